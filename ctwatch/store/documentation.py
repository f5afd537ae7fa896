"""docs/database.md, made from the comments in the schema."""

from pathlib import Path
from tempfile import TemporaryDirectory

from ctwatch.store.database import Database
from ctwatch.store.preparation import prepare
from ctwatch.store.queries import columns_of_views

_HEAD = """\
# The database

Open `reports.duckdb` (never `ctwatch.duckdb`, the daemon's own) with anything that reads DuckDB, for as long as you like;
DuckDB from 1.0 on reads it. Every block below runs as it is beside the configuration, where the database is in `data/`.

On the command line, with ctwatch, or with DuckDB's own program (`pip install duckdb-cli`):

```sh
ctwatch schema detections
ctwatch query "select location_id, scientific_name, sum(events) as events from detections group by all order by all"
ctwatch query "from detections" --csv > detections.csv
ctwatch query "from observations where observation_level = 'event'" --parquet events.parquet
duckdb -readonly data/reports.duckdb "select count(*) as photographs from media"
```

In Python:

```python
import duckdb

connection = duckdb.connect("data/reports.duckdb", read_only=True)
detections = connection.sql("from detections").fetchnumpy()
effort = connection.sql("select location_id, sum(camera_days) as camera_days from effort group by all").fetchall()
```

In R, without any package; or `DBI::dbConnect(duckdb::duckdb(), "data/reports.duckdb", read_only = TRUE)` with the package
duckdb:

```r
detections <- read.csv(pipe("ctwatch query 'from detections' --csv"))
aggregate(events ~ scientific_name + location_id, detections, sum)
```

Times are local, the camera's clock corrected as the deployments table says. The views below are the promise; the tables behind
them are in the schema `raw` and may change. `ctwatch schema` prints the same;
this page is made from it: `python -m ctwatch.store.documentation > docs/database.md`.
"""


def as_markdown() -> str:
    """Return the page."""
    with TemporaryDirectory() as folder:
        database = Database(Path(folder))
        prepare(database)
        with database.reading() as connection:
            views = columns_of_views(connection)
    lines = [_HEAD]
    for view, meaning, columns in views:
        lines += [f"## {view}", "", meaning, "", "| column | type | meaning |", "|---|---|---|"]
        lines += [f"| `{name}` | {kind} | {said} |" for name, kind, said in columns.rows]
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    print(as_markdown(), end="")  # noqa: T201 - the page is what is asked for

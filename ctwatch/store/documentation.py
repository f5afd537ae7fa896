"""docs/database.md, made from the comments in the schema."""

from pathlib import Path
from tempfile import TemporaryDirectory

from ctwatch.store.database import Database

_HEAD = """\
# The database

Open `reports.duckdb` (never `ctwatch.duckdb`, the daemon's own) with anything that reads DuckDB, for as long as you like:

```sh
ctwatch query "select location_id, scientific_name, sum(events) from detections group by all"
duckdb -readonly data/reports.duckdb
```

```python
import duckdb

detections = duckdb.connect("data/reports.duckdb", read_only=True).sql("from detections").df()
```

```r
con <- DBI::dbConnect(duckdb::duckdb(), "data/reports.duckdb", read_only = TRUE)
detections <- DBI::dbReadTable(con, "detections")
```

Times are the camera's clock. The views below are the promise; the tables behind them are in the schema `raw` and may change.
This page is made from the schema: `python -m ctwatch.store.documentation > docs/database.md`.
"""


def as_markdown() -> str:
    """Return the page."""
    with TemporaryDirectory() as folder:
        database = Database(Path(folder))
        database.prepare()
        with database.reading() as connection:
            views = connection.execute(
                "SELECT view_name, comment FROM duckdb_views() WHERE NOT internal AND schema_name = 'main' ORDER BY 1"
            ).fetchall()
            columns = connection.execute(
                "SELECT table_name, column_name, data_type, comment FROM duckdb_columns()"
                " WHERE NOT internal AND schema_name = 'main' ORDER BY table_name, column_index"
            ).fetchall()
    lines = [_HEAD]
    for view, comment in views:
        lines += [f"## {view}", "", comment or "", "", "| column | type | meaning |", "|---|---|---|"]
        lines += [f"| `{name}` | {kind} | {meaning or ''} |" for table, name, kind, meaning in columns if table == view]
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    print(as_markdown(), end="")  # noqa: T201 - the page is what is asked for

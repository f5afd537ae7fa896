"""People who query the published database all the while, as processes of their own: `python -m benchmarks.soak.readers`."""

import json
import signal
import sys
import time
from pathlib import Path

import duckdb

_QUESTION = """
SELECT (SELECT coalesce(sum(files_seen), 0) FROM raw.card), (SELECT count(*) FROM raw.card_file),
       (SELECT count(*) FROM events), (SELECT count(*) FROM observations), (SELECT count(*) FROM media)
"""


def main() -> None:
    """Ask again and again until told to stop, then write down what was answered: REPORTS OUT SECONDS_HELD."""
    reports, out, held_s = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
    stopped = False

    def stop(*_: object) -> None:
        nonlocal stopped
        stopped = True

    signal.signal(signal.SIGTERM, stop)
    asked, longest, problems = 0, 0.0, list[str]()
    while not stopped:
        if not reports.exists():
            time.sleep(0.1)
            continue
        try:
            with duckdb.connect(str(reports), read_only=True) as connection:
                until, first = time.monotonic() + held_s, None
                while True:
                    started = time.monotonic()
                    answer = connection.execute(_QUESTION).fetchall()[0]
                    longest, asked = max(longest, time.monotonic() - started), asked + 1
                    first = first or answer
                    if answer != first or answer[0] != answer[1]:
                        problems.append(f"answered {answer} after {first}")
                    if stopped or time.monotonic() >= until:
                        break
                    time.sleep(0.25)
        except duckdb.Error as error:
            problems.append(str(error).splitlines()[0])
        time.sleep(0.1)
    out.write_text(json.dumps({"asked": asked, "longest_s": longest, "problems": problems[:20]}), "utf-8")


if __name__ == "__main__":
    main()

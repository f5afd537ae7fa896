"""Replay recorded camtrapR calls through our own functions and compare cell for cell.

`python -m tests.camtrapr_golden DIR` reads `DIR/manifest.json`: a list of calls, each with `id`, `fun`, `args`, `files`
(what camtrapR returned, as written by R's write.csv) and `error`. It prints how many calls agree, names those that differ
with the first cell that does, and those that our functions cannot express with the reason. Exit code 1 if any differs.

Numbers agree to 1e-4, seconds exactly, the other delta columns to 0.1. Rows are matched by name, for we sort ours by
location; columns by position and name. A call that camtrapR refused is expressed whatever we return or raise.
"""

import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .calls import Call, DiffersError, InexpressibleError, Verdict
from .histories import detection_history
from .operations import camera_operation
from .records import filter_record_table, record_table
from .reports import survey_report
from .times import moment

__all__ = ["main", "moment", "replay"]

FUNCTIONS: Mapping[str, Callable[[Call], None]] = {
    "cameraOperation": camera_operation,
    "detectionHistory": detection_history,
    "recordTable": record_table,
    "filterRecordTable": filter_record_table,
    "surveyReport": survey_report,
}


def verdict(entry: Mapping[str, Any], folder: Path) -> Verdict:
    """Replay one call."""
    call = Call(entry, folder)
    function = FUNCTIONS.get(call.function)
    if function is None:
        return Verdict(call.call_id, "inexpressible", f"function {call.function}")
    try:
        if not call.refused and not call.files():
            raise InexpressibleError("the manifest names no file to compare with")
        function(call)
        return Verdict(call.call_id, "refused" if call.refused else "agrees")
    except DiffersError as error:
        return Verdict(call.call_id, "refused" if call.refused else "differs", str(error))
    except InexpressibleError as error:
        return Verdict(call.call_id, "inexpressible", str(error))
    except (ValueError, LookupError, OSError, TypeError) as error:
        told = f"{type(error).__name__}: {error}"
        return Verdict(call.call_id, "refused" if call.refused else "inexpressible", told)


def replay(folder: Path) -> list[Verdict]:
    """Replay all calls of a manifest."""
    entries = json.loads((folder / "manifest.json").read_text("utf-8"))
    return [verdict(entry, folder) for entry in entries]


def main(arguments: Sequence[str]) -> int:
    """Print what became of the calls below a folder; 1 if any differs, 2 without a manifest."""
    if len(arguments) != 1 or not (Path(arguments[0]) / "manifest.json").is_file():
        sys.stderr.write("python -m tests.camtrapr_golden DIR, where DIR/manifest.json lists the calls\n")
        return 2
    verdicts = replay(Path(arguments[0]))
    for item in verdicts:
        if item.outcome in ("differs", "inexpressible"):
            sys.stdout.write(f"{item.outcome:14}{item.call_id}: {item.detail}\n")
    count = Counter(item.outcome for item in verdicts)
    sys.stdout.write(
        f"{len(verdicts)} calls: {count['agrees']} agree in every cell, {count['refused']} refused by camtrapR are expressed,"
        f" {count['differs']} differ, {count['inexpressible']} cannot be expressed\n"
    )
    return int(count["differs"] > 0)

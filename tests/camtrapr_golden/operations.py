"""cameraOperation."""

import re
from datetime import datetime, timedelta

from ctwatch import occupancy
from ctwatch.domain import Outage

from .calls import Call, flag, listed, whole
from .comparing import same_matrix, same_name
from .times import guessed

DAY = timedelta(days=1)
OUTPUT = {"writecsv", "outDir"}


def camera_operation(call: Call) -> None:
    """CTtable, *Col, hasProblems, byCamera, allCamsOn, camerasIndependent, dateFormat, occasionStartTime, writecsv."""
    call.check(
        {
            "CTtable", "stationCol", "cameraCol", "sessionCol", "setupCol", "retrievalCol", "hasProblems", "byCamera",
            "allCamsOn", "camerasIndependent", "dateFormat", "occasionStartTime", *OUTPUT,
        }
    )  # fmt: skip
    worked = operated(call)
    for path in call.files().values():
        by = "by_camera" if flag(call.arguments, "byCamera") and call.arguments.get("cameraCol") else "by_station"
        session = "_by_session" if call.arguments.get("sessionCol") else ""
        problems = "with_problems_" if flag(call.arguments, "hasProblems") else ""
        same_name(path, f"CameraOperationMatrix_{by}{session}_{problems}DATE.csv")
        hour = f"+{worked.start_hour}h" if worked.start_hour else ""
        names = [f"{worked.first_day + column * DAY}{hour}" for column in range(worked.days.shape[1])]
        same_matrix("operation", path, occupancy.row_names(worked), names, worked.days)


def operated(call: Call) -> occupancy.Operation:
    """The operation matrix that a call of cameraOperation asks for."""
    arguments = call.arguments
    by_camera = bool(arguments.get("cameraCol")) and flag(arguments, "byCamera")
    return occupancy.camera_operation(
        periods(call, "dateFormat", "%Y-%m-%d"),
        start_hour=whole(arguments, "occasionStartTime") or 0,
        by_camera=by_camera,
        all_cameras_on=bool(arguments.get("cameraCol")) and flag(arguments, "allCamsOn"),
        cameras_independent=flag(arguments, "camerasIndependent", True),
        camtrapr_compatible=True,
    )


def periods(call: Call, layout_name: str, default: str | None) -> list[occupancy.CameraPeriod]:
    """The rows of a CTtable as camera periods."""
    arguments = call.arguments
    rows = call.rows("CTtable")
    layout = arguments.get(layout_name) or default
    setup, retrieval = arguments.get("setupCol") or "Setup_date", arguments.get("retrievalCol") or "Retrieval_date"
    ends = guessed([row[name] for row in rows for name in (setup, retrieval)], layout)
    is_date = "H" not in "".join(listed(layout)) if layout else all(item.time() == datetime.min.time() for item in ends)
    problems = sorted({name for name in (rows[0] if rows else {}) if re.search(r"Problem\d+\Sfrom", name)})
    found = []
    for place, row in enumerate(rows):
        outages = []
        for name in problems if flag(arguments, "hasProblems") else ():
            until = name.replace("from", "to")
            if row[name] not in ("", "NA") and row[until] not in ("", "NA"):
                down, up = guessed([row[name], row[until]], layout)
                outages.append(Outage(down, up, is_date))
        camera, session = arguments.get("cameraCol"), arguments.get("sessionCol")
        found.append(
            occupancy.period(
                row[arguments.get("stationCol") or "Station"],
                ends[2 * place],
                ends[2 * place + 1],
                start_is_date=is_date,
                end_is_date=is_date,
                camera_id=row[camera] if camera else None,
                session=row[session] if session else None,
                outages=outages,
            )
        )
    return found

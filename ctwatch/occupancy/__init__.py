"""Effort, occasions, detection histories and independent records: pure functions on columns of numpy.

Rules are camtrapR's (Niedballa et al. 2016), except where it errs or surprises; there `camtrapr_compatible = True` asks
for its very result. Times are camera-local, without zone; intervals are half open.
"""

from ctwatch.occupancy.histories import (
    DetectionHistory,
    Detections,
    SideBySide,
    detection_histories,
    detections,
    multi_season,
)
from ctwatch.occupancy.occasions import Effort, FirstDay, Rules, effort, occasion_names, scaled
from ctwatch.occupancy.operation import CameraPeriod, Operation, camera_operation, period, row_names
from ctwatch.occupancy.records import Compared, Deltas, Records, deltas, record_table
from ctwatch.occupancy.survey_report import SurveyReport, survey_report

__all__ = [
    "CameraPeriod",
    "Compared",
    "Deltas",
    "DetectionHistory",
    "Detections",
    "Effort",
    "FirstDay",
    "Operation",
    "Records",
    "Rules",
    "SideBySide",
    "SurveyReport",
    "camera_operation",
    "deltas",
    "detection_histories",
    "detections",
    "effort",
    "multi_season",
    "occasion_names",
    "period",
    "record_table",
    "row_names",
    "scaled",
    "survey_report",
]

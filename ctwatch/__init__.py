"""ctwatch turns a dropped camera-trap card into an occupancy table."""

__version__ = "0.1.0"

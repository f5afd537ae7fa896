"""The crash harness: kills the real commands at every commit point and at random moments, and compares what comes out."""

import sys
from pathlib import Path

# The photographs of the other tests, also where this is run by `python -m tests.crash`.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

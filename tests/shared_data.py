"""Where the shared test data lies, which is no part of the repository: tests that need it are skipped without it."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=f"no shared test data beside the repository ({SHARED})")

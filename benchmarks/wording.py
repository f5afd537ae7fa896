"""The words of docs/performance.md; its figures come from the benchmarks."""

BEFORE = "# Performance\n"
SECTIONS: dict[str, tuple[str, str]] = {}
AFTER = ""

"""`python -m benchmarks NAME [--images N] [--json]`: one table, or one JSON object whose key `ratio` is the figure."""

import argparse
import json

from benchmarks import roofline

BENCHMARKS = {"roofline": roofline.measure}


def main() -> None:
    """Run one benchmark and print what it found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=sorted(BENCHMARKS))
    parser.add_argument("--images", type=int, default=240, help="photographs of 3 megapixels to make and process")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds; medians are reported")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    figures = BENCHMARKS[arguments.name](arguments.images, arguments.rounds)
    if arguments.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:34}{value:>12.4g}" if isinstance(value, float) else f"{name:34}{value!s:>12}")


main()

"""`python -m benchmarks NAME`: one table, or one JSON object whose key `ratio` is the figure; others write pages or pictures."""

import argparse
import importlib
import json
import sys
from pathlib import Path

_PHOTOGRAPHS = ("images", 240, "photographs of 3 megapixels to make and process")
BENCHMARKS = {
    "roofline": ("images", 3000, "photographs of 3 megapixels on the card to process; as many as cards have"),
    "naive": _PHOTOGRAPHS,
    "peers": ("images", 12, "photographs of 12 megapixels to prepare"),
    "inference": ("frames", 64, "frames that each network is shown"),
    "scale": ("frames", 10_000_000, "frames of the largest of three sizes; also a half and a quarter of them"),
    "memory": ("images", 20_000, "photographs of the large card; the small one has 1,000"),
    "startup": ("runs", 7, "starts of each command"),
    "training": _PHOTOGRAPHS,
    "histories": ("observations", 10_000_000, "detections to make histories of; also a half and a quarter of them"),
}
"""Modules with a function `measure(number, rounds)`: what is numbered, how many by default, and what they are."""


def main() -> None:
    """Run one benchmark and print what it found, or the standing experiment."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="name", required=True, metavar="NAME")
    for name, (what, default, meaning) in BENCHMARKS.items():
        command = commands.add_parser(name)
        command.add_argument(f"--{what}", dest="number", type=int, default=default, help=meaning)
        command.add_argument("--rounds", type=int, default=3, help="interleaved rounds; medians are reported")
        command.add_argument("--json", action="store_true", help="print JSON")
        command.add_argument("--keep", action="store_true", help="also keep the figures in docs/performance/")
    commands.add_parser("page", help="make docs/performance.md of the figures that were kept")
    experiments = commands.add_parser(
        "experiments", help="what holds on generated worlds; some 20 minutes on two cores"
    )
    experiments.add_argument(
        "--quick", action="store_true", help="one tiny world: shows that everything works, no more"
    )
    experiments.add_argument("--out", type=Path, default=Path("docs"), help="folder of experiments.md")
    experiments.add_argument("--work", type=Path, default=Path("data/experiments"), help="worlds, models and answers")
    experiments.add_argument("--processes", type=int, default=2, help="networks that are trained side by side")
    soak = commands.add_parser(
        "soak", help="the daemon on hundreds of cards in a row, read and disturbed all the while"
    )
    soak.add_argument("--cards", type=int, default=500, help="cards to make and process")
    soak.add_argument("--out", type=Path, default=Path("docs/reliability"), help="folder of soak.png and soak.json")
    soak.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    if arguments.name == "soak":
        from benchmarks.soak.command import soak as run_soak

        figures = run_soak(arguments.cards, arguments.out, _say)
        print(json.dumps(figures, indent=None if arguments.json else 1))
        sys.exit(1 if figures["problems"] else 0)
    if arguments.name == "page":
        from benchmarks.keeping import DOCS, page

        (DOCS / "performance.md").write_text(page(), "utf-8")
        return
    if arguments.name == "experiments":
        from benchmarks.experiments.command import experiments as run

        print(run(arguments.quick, arguments.out, arguments.work, arguments.processes, _say))
        return
    figures = importlib.import_module(f"benchmarks.{arguments.name}").measure(arguments.number, arguments.rounds)
    if arguments.keep:
        from benchmarks.keeping import keep

        keep(arguments.name, figures)
    if arguments.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:34}{value:>12.4g}" if isinstance(value, float) else f"{name:34}{value!s:>12}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

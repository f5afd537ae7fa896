"""Figures in words: every sentence follows from the numbers that it is given, whichever way they fall; pure."""

from collections.abc import Mapping, Sequence
from typing import Any

Figure = Mapping[str, Any]
PLACES = {"test_seen": "seen places", "test": "unseen places"}
CHOSEN = {"seen": "the training places", "validation": "validation's own places"}
"""Where thresholds and temperatures come from."""
LEVELS = {"image": "photographs", "event": "events"}
NONE = "–"


def share(value: float | None) -> str:
    """Return a share as per cent with one decimal."""
    return NONE if value is None else f"{100 * value:.1f} %"


def interval(figure: Figure | None, key: str = "ci") -> str:
    """Return a share with its interval."""
    if figure is None or figure["value"] is None:
        return NONE
    ends = figure[key]
    return share(figure["value"]) + (f" ({100 * ends[0]:.1f} to {100 * ends[1]:.1f})" if ends else "")


def points(figure: Figure) -> str:
    """Return a difference of shares in percentage points with its sign and interval."""
    ends = figure["ci"]
    return f"{100 * figure['value']:+.1f}" + (f" ({100 * ends[0]:+.1f} to {100 * ends[1]:+.1f})" if ends else "")


def each(figure: Figure) -> str:
    """Return the values of the worlds, as per cent."""
    return ", ".join(f"{100 * value:.1f}" for value in figure["by_world"])


def each_points(figure: Figure) -> str:
    """Return the differences of the worlds in percentage points."""
    return ", ".join(f"{100 * value:+.1f}" for value in figure["by_world"])


def sign(figure: Figure) -> int:
    """Return 1 or -1 if the whole interval is above or below 0, else 0."""
    ends = figure["ci"]
    return 0 if ends is None else int(ends[0] > 0) - int(ends[1] < 0)


def verdict(signs: Sequence[int]) -> str:
    """Return what several comparisons say together about a claim that each should be above 0."""
    up, down = sum(s > 0 for s in signs), sum(s < 0 for s in signs)
    if up == len(signs) and up:
        return "holds"
    if up and not down:
        return f"holds in {up} of {len(signs)} comparisons, open in the others"
    if up:
        return f"holds in {up} of {len(signs)} comparisons, the contrary in {down}"
    if down:
        return f"does not hold: the contrary in {down} of {len(signs)} comparisons"
    return "not shown: every interval has 0 in it"


def listed(words: Sequence[str]) -> str:
    """Return words as an English list."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else "none"


def prose(text: str) -> str:
    """Return text on one line, however it is broken in the code."""
    return " ".join(text.split())


def capital(text: str) -> str:
    """Return text with its first letter large."""
    return text[:1].upper() + text[1:]


def grid(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Return a Markdown table whose first columns are words and the others numbers."""
    rule = ["---" if index < left else "---:" for index in range(len(head))]
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, rule, *rows)]
    return "\n".join(lines)


def of_events(found: Figure) -> tuple[str, str]:
    """Return what is found about events against photographs, and the verdict."""
    rows = [row for row in found["rows"] if row["kind"] == "cross entropy"]
    said = []
    for row in rows:
        up, n = row["gain_paper_signs"], row["networks"]
        plain = row["gain_signs"]
        said.append(
            f"{PLACES[row['split']]}: {points(row['gain_paper'])} points by the paper's counting "
            f"({up['up']} of {n} networks up, {up['clear_up']} clearly, {up['clear_down']} clearly down), "
            f"{points(row['gain'])} where only photographs that show the animal count "
            f"({plain['up']} of {n} up, {plain['clear_up']} clearly, {plain['clear_down']} clearly down)"
        )
    paper, seen = (verdict([sign(row[key]) for row in rows]) for key in ("gain_paper", "gain"))
    return "; ".join(said), f"by the paper's counting: {paper}; on photographs that show the animal: {seen}"


def of_ensembles(found: Figure) -> tuple[str, str]:
    """Return what is found about ensembles, and the verdict."""
    said = [
        f"{LEVELS[row['level']]} at {PLACES[row['split']]}: {points(row['against mean'])} points against the mean member, "
        f"{points(row['against best'])} against the best in hindsight"
        for row in found["rows"]
    ]
    words = {"mean": "better than the mean member", "best": "better than the best in hindsight"}
    verdicts = [f"{text}: {verdict([row['clear'][name] for row in found['rows']])}" for name, text in words.items()]
    return "; ".join(said), "; ".join(verdicts)


def of_coverage(found: Figure, aim: float = 0.8) -> tuple[str, str]:
    """Return what is found about coverage against accuracy, and the verdict."""
    rows = found["rows"]
    said = []
    for row in rows:
        first = row["steps"][0]
        last = [step for step in row["steps"] if step["n_kept"]][-1]
        said.append(
            f"{LEVELS[row['level']]} at {PLACES[row['split']]}: {share(first['top1'])} right of all, {share(last['top1'])} "
            f"of the {share(last['coverage'])} that are answered at {last['threshold']:g}"
        )
    reached = [row["spearman"] is not None and row["spearman"] >= aim for row in rows]
    lowest = min((row["spearman"] for row in rows if row["spearman"] is not None), default=None)
    if lowest is None:
        return "; ".join(said), "too few steps to say"
    text = "holds" if all(reached) else f"holds in {sum(reached)} of {len(rows)} tables"
    falls = sum(row["falls"] for row in rows)
    return "; ".join(said), (
        f"{text}: Spearman's correlation of accuracy with falling coverage is {lowest:.2f} or more; accuracy falls at "
        f"{falls} of the steps"
    )


def of_imbalance(found: Figure) -> tuple[str, str]:
    """Return what is found about methods against imbalance, and the verdict."""
    rows = [row for row in found["rows"] if row["method"] != "cross entropy"]
    names = list(dict.fromkeys(row["method"] for row in rows))
    plain = {row["split"]: row for row in found["rows"] if row["method"] == "cross entropy"}
    raised: list[str] = []
    lowered: list[str] = []
    falling: list[str] = []
    rising: list[str] = []
    either: list[str] = []
    for name in names:
        own = [row["against"] for row in rows if row["method"] == name]
        tail, micro = [each["tail"]["clear"] for each in own], [each["micro"]["clear"] for each in own]
        if all(value > 0 for value in tail):
            raised.append(name)
        elif any(value < 0 for value in tail) and not any(value > 0 for value in tail):
            lowered.append(name)
        falls, rises = any(value < 0 for value in micro), any(value > 0 for value in micro)
        if falls or rises:
            (either if falls and rises else falling if falls else rising).append(name)
    said = (
        f"plain cross entropy finds {interval(plain['test_seen']['tail'])} of the three rarest species at seen and "
        f"{interval(plain['test']['tail'])} at unseen places; clearly more at both: {listed(raised)}"
        + (f"; clearly less: {listed(lowered)}" if lowered else "")
    )
    return said, (
        f"rare species gain at both kinds of places with {len(raised)} of {len(names)} methods ({listed(raised)}); accuracy "
        f"at natural frequencies clearly falls at one kind of places at least with {listed(falling)}"
        + (f", rises with {listed(rising)}" if rising else "")
        + (f", falls at one and rises at the other with {listed(either)}" if either else "")
    )


def reached(figure: Figure | None, target: float) -> str:
    """Return whether an interval lies above, below or around a target."""
    if figure is None or figure["ci"] is None:
        return "no threshold"
    if figure["ci"][0] >= target:
        return "reached"
    return "missed" if figure["ci"][1] < target else "open"


def of_thresholds(found: Figure, aim: float = 0.966) -> tuple[str, str]:
    """Return what is found about thresholds that are carried to other places, and the verdict."""
    said, words = [], []
    for chosen, where in CHOSEN.items():
        for split in ("test_seen", "test"):
            rows = [r for r in found["rows"] if (r["target"], r["chosen"], r["split"]) == (aim, chosen, split)]
            outcomes = [f"{reached(row['accuracy'], aim)} ({LEVELS[row['level']]})" for row in rows]
            words.append(f"chosen at {where}, used at {PLACES[split]}: {', '.join(outcomes)}")
            said += [
                f"chosen at {where}, {LEVELS[row['level']]} at {PLACES[split]}: {interval(row['accuracy'])} right on "
                f"{share(row['coverage'])}"
                for row in rows
            ]
    return "; ".join(said), f"aim of {share(aim)}; " + "; ".join(words)


def of_shuffled(found: Figure) -> tuple[str, str]:
    """Return what is found about shuffled labels, and the verdict."""
    rows = [row for row in found["rows"] if row["figure"] == "accuracy"]
    said = [
        f"{PLACES[row['split']]}: {interval(row['found'])} right, the commonest label {interval(row['majority'])}"
        for row in rows
    ]
    above = [row for row in rows if row["clear"] > 0]
    return "; ".join(
        said
    ), "falls to the prior or below, as it must" if not above else "ABOVE the prior: something leaks"


def of_erased(found: Figure) -> tuple[str, str]:
    """Return what is found about erased animals, and the verdict."""
    rows = [row for row in found["species"] if row["part"] == "natural" and row["figure"] == "accuracy"]
    said, gives = [], []
    for row in rows:
        said.append(
            f"{PLACES[row['split']]}: {interval(row['found'])} right without an animal on the photograph, "
            f"{points(row['difference'])} points against naming the commonest"
        )
        words = {1: "gives species away", 0: "gives nothing away that can be shown", -1: "misleads"}
        gives.append(f"at {PLACES[row['split']]} the background {words[row['clear']]}")
    return "; ".join(said), "; ".join(gives)


def of_unknown(found: Figure) -> tuple[str, str]:
    """Return what is found about unknown species, and the verdict."""
    rows = [row for row in found["rows"] if row["level"] == "image"]
    said, above = [], 0
    for split in ("test_seen", "test"):
        own = sorted((row for row in rows if row["split"] == split), key=lambda row: -row["value"])
        best, worst = own[0], own[-1]
        said.append(
            f"{PLACES[split]}: AUROC {best['value']:.3f} ({best['ci'][0]:.3f} to {best['ci'][1]:.3f}) by {best['score']}, "
            f"{worst['value']:.3f} by {worst['score']}"
        )
    above = sum(row["ci"][0] > 0.5 for row in rows)
    return "; ".join(
        said
    ), f"better than chance in {above} of {len(rows)} pairs of score and kind of place (photographs)"

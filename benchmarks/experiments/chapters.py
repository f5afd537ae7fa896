"""The chapters of docs/experiments.md, one per question: a table, a sentence that follows from it, a picture; pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.experiments import wording
from benchmarks.experiments.wording import (
    CHOSEN,
    LEVELS,
    NONE,
    PLACES,
    capital,
    each,
    each_points,
    grid,
    interval,
    listed,
    points,
    prose,
    reached,
    share,
    verdict,
)

Results = Mapping[str, Any]
WORDS = ("reached", "missed", "open", "no threshold")


def chapter(number: int, title: str, *parts: str) -> str:
    """Return a chapter."""
    return "\n\n".join((f"## {number}. {title}", *(part for part in parts if part)))


def _picture(name: str, text: str) -> str:
    return f"![{text}](experiments/{name})"


def events(found: Results) -> str:
    """Events against photographs."""
    rows = [
        [
            row["kind"], PLACES[row["split"]], f"{row['n']['images']:,} / {row['n']['events']:,}",
            interval(row["images"]), interval(row["events_seen"]), points(row["gain"]), each_points(row["gain"]),
            interval(row["images_of_events"]), interval(row["events"]), points(row["gain_paper"]),
            each_points(row["gain_paper"]),
        ]
        for row in found["rows"]
    ]  # fmt: skip
    head = (
        "networks", "at", "photographs / events", "photographs by what they show", "their events", "points", "each world",
        "all photographs under the event's name", "their events", "points", "each world",
    )  # fmt: skip
    said, _ = wording.of_events(found)
    return chapter(
        1,
        "Events against photographs",
        prose(
            """The photographs of an event are averaged by logit. The paper's labels are of events: a photograph that the animal
            has left counts as wrong unless the event's species is guessed on it, so that part of what events gain there is
            owed to the counting. Both ways are shown, means over networks, each compared with itself. "By what they show":
            of species networks photographs with the animal on them, of the empty filter all photographs."""
        ),
        grid(head, rows, left=2),
        f"Species networks - {said}.",
        _picture("events.svg", "Accuracy of each network by photograph and by event"),
    )


def ensemble(found: Results) -> str:
    """Ensembles against their members."""
    rows = [
        [
            PLACES[row["split"]], LEVELS[row["level"]], f"{row['n']:,}", interval(row["mean"]), interval(row["best"]),
            interval(row["ensemble:logit"]), share(row["ensemble:prob"]["value"]), share(row["ensemble:top5"]["value"]),
            points(row["against mean"]), points(row["against best"]), each_points(row["against best"]),
            points(row["against chosen"]),
        ]
        for row in found["rows"]
    ]  # fmt: skip
    head = (
        "at", "of", "n", "mean member", "best in hindsight", "ensemble (logit)", "prob", "top5", "against the mean",
        "against the best", "each world", "against the chosen",
    )  # fmt: skip
    named = (
        ("mean", "than the mean member"),
        ("best", "than the best in hindsight"),
        ("chosen", "than the member that validation would choose"),
    )
    outcomes = [f"{text} - {verdict([row['clear'][name] for row in found['rows']])}" for name, text in named]
    return chapter(
        2,
        "Ensembles against their members",
        prose(
            f"""{found["rows"][0]["members"]} networks that differ in their seed alone; accuracy. The best member is named in
            hindsight, on the very items, as the paper's table does, which favours it; "the chosen" is the member that is best
            on validation."""
        ),
        grid(head, rows, left=2),
        f"That the ensemble is better {'; '.join(outcomes)}.",
    )


def coverage(found: Results) -> str:
    """Coverage against accuracy."""
    picked = (0.0, 0.5, 0.7, 0.9, 0.95, 0.99)
    rows = []
    for row in found["rows"]:
        steps = {step["threshold"]: step for step in row["steps"]}
        cells = [f"{share(steps[t]['top1'])} of {share(steps[t]['coverage'])}" for t in picked]
        correlation = NONE if row["spearman"] is None else f"{row['spearman']:.2f}"
        rows.append(
            [PLACES[row["split"]], LEVELS[row["level"]], f"{row['n']:,}", *cells, correlation, f"{row['aurc']:.4f}"]
        )
    head = ("at", "of", "n", *(f"from {t:g}" for t in picked), "Spearman", "AURC")
    _, outcome = wording.of_coverage(found)
    return chapter(
        3,
        "Coverage against accuracy",
        prose(
            """The ensemble answers where its highest probability reaches a threshold (inclusive): accuracy among what is
            answered, and what share that is. All worlds together."""
        ),
        grid(head, rows, left=2),
        f"That surer answers are righter: {outcome}.",
        _picture("coverage.svg", "Accuracy among answered items against coverage"),
    )


def imbalance(found: Results) -> str:
    """What helps rare species."""
    tables = []
    for split in PLACES:
        rows = [
            [
                row["method"],
                *(
                    text
                    for figure in ("tail", "head", "macro", "micro")
                    for text in (interval(row[figure]), points(row["against"][figure]))
                ),
                each(row["tail"]),
                f"{row['shown']:.2f}",
            ]
            for row in found["rows"]
            if row["split"] == split
        ]
        head = (
            "method", "three rarest", "points", "two commonest", "points", "all species alike", "points",
            "accuracy, natural", "points", "rarest, each world", "photographs shown",
        )  # fmt: skip
        n = found["n"][split]
        what = (
            f"{n['balanced']:,} photographs of the balanced part for recalls, {n['natural']:,} at natural frequencies"
        )
        tables.append(f"**At {PLACES[split]}** ({what}):\n\n{grid(head, rows)}")
    said, outcome = wording.of_imbalance(found)
    return chapter(
        4,
        "What helps rare species",
        prose(
            f"""Networks of each method: {found["rows"][0]["networks"]}. Recall on a part with as many events of every species,
            where places say nothing about species; beside it accuracy at natural frequencies, because that is what it costs. Logit
            adjustment changes the answers of the plain networks, nothing is trained again. The clamp is 1.28 / batch size on
            the gradients of the logits: the paper's 0.01 at 128. Photographs shown, those shown again included, are
            in units of the plain networks'."""
        ),
        *tables,
        prose(
            f"""Here {said}. {capital(outcome)}. A run as short as this is no test of what needs a long one: the paper's
            weights and clamp were at work for hundreds of thousands of steps."""
        ),
        _picture("imbalance.svg", "Recall of rare species against accuracy at natural frequencies"),
    )


def thresholds(found: Results, calibration: Results) -> str:
    """Thresholds and calibration at seen and unseen places."""
    rows = [
        [
            LEVELS[row["level"]], share(row["target"]), CHOSEN[row["chosen"]],
            ", ".join(NONE if value is None else f"{value:g}" for value in row["thresholds"]), PLACES[row["split"]],
            f"{row['kept']:,} of {row['n']:,}", share(row["coverage"]), interval(row["accuracy"]),
            NONE if row["accuracy"] is None else each(row["accuracy"]), reached(row["accuracy"], row["target"]),
        ]
        for row in found["rows"]
    ]  # fmt: skip
    head = (
        "of", "aim", "chosen at", "thresholds", "used at", "answered", "coverage", "accuracy", "each world", "the aim is",
    )  # fmt: skip
    gap = [
        [
            row["part"], "accuracy" if row["figure"] == "accuracy" else "macro recall", LEVELS[row["level"]],
            PLACES[row["split"]], f"{row['n']:,}", str(row["places"]), interval(row), interval(row, "ci_places"), each(row),
        ]
        for row in found["places"]
    ]  # fmt: skip
    gap_head = ("frequencies", "figure", "of", "at", "n", "places", "by event", "by place", "each world")
    ways = ("none", *CHOSEN)
    errors = [
        [
            row["who"], LEVELS[row["level"]], PLACES[row["split"]],
            *(f"{row['ways'][way][key]['value']:.3f}" for key in ("ece", "nll") for way in ways),
        ]
        for row in calibration["rows"]
    ]  # fmt: skip
    error_head = (
        "of", "per", "at", "ECE, none", "ECE, training places", "ECE, validation", "NLL, none", "NLL, training places",
        "NLL, validation",
    )  # fmt: skip
    ranges = listed(
        [f"{_range(values)} at {CHOSEN[way]}" for way, values in calibration["temperatures"].items() if way in CHOSEN]
    )
    return chapter(
        5,
        "Thresholds and calibration at seen and unseen places",
        prose(
            """For each world the lowest threshold at which the ensemble is surely at the aim (lower end of Wilson's interval),
            chosen in two ways: on further events of the training places, as a split by event would do, or on validation at
            places of its own, as ctwatch divides sets by default. "Reached" and "missed" mean that the whole interval lies on
            that side of the aim, "open" that it lies on both, and "no threshold" that none was sure enough in any world."""
        ),
        grid(head, rows, left=3),
        _carry(found),
        "How far seen and unseen places are apart when everything is answered, with intervals by event and by whole place:",
        grid(gap_head, gap, left=4),
        _apart(found["gaps"]),
        prose(
            f"""Calibration: expected calibration error (15 bins) and negative log likelihood without temperature, with one
            fitted at the training places and with one fitted on validation. Temperatures are {ranges}."""
        ),
        grid(error_head, errors, left=3),
        _cooled(calibration),
        _picture("calibration.svg", "Accuracy against confidence at seen and unseen places"),
    )


def _apart(gaps: Sequence[Results]) -> str:
    """Say how much worse (or better) unseen places are."""
    said = []
    for gap in gaps:
        figure = "accuracy" if gap["figure"] == "accuracy" else "macro recall"
        outcome = {1: "clearly better", 0: "no difference can be shown", -1: "clearly worse"}[wording.sign(gap)]
        said.append(f"{figure} of {LEVELS[gap['level']]} on the {gap['part']} part {points(gap)} points, {outcome}")
    return f"Unseen against seen places, with intervals by place: {'; '.join(said)}."


def _carry(found: Results) -> str:
    """Say how often the aim is reached, by where thresholds are chosen and used."""
    said = []
    for chosen, where in CHOSEN.items():
        for split in PLACES:
            rows = [row for row in found["rows"] if (row["chosen"], row["split"]) == (chosen, split)]
            outcomes = [reached(row["accuracy"], row["target"]) for row in rows]
            counts = listed([f"{word} in {outcomes.count(word)}" for word in WORDS if word in outcomes])
            said.append(f"chosen at {where} and used at {PLACES[split]} it is {counts} of {len(rows)} rows")
    return f"The aim: {'; '.join(said)}."


def _cooled(found: Results) -> str:
    """Say where temperatures lower the calibration error."""
    said = []
    for way, where in CHOSEN.items():
        for split, place in PLACES.items():
            rows = [row["ways"] for row in found["rows"] if row["split"] == split]
            better = sum(row[way]["ece"]["value"] < row["none"]["ece"]["value"] for row in rows)
            said.append(f"fitted at {where}, used at {place}, in {better} of {len(rows)} rows")
    return f"A temperature lowers the calibration error: {'; '.join(said)}."


def _range(temperatures: Sequence[Sequence[float]]) -> str:
    values = [value for several in temperatures for value in several]
    return f"{min(values):.2f} to {max(values):.2f}"


def _control(rows: Sequence[Results]) -> str:
    cells = [
        [
            row["part"], "accuracy" if row["figure"] == "accuracy" else "macro recall", PLACES[row["split"]],
            f"{row['n']:,}", interval(row["found"]), interval(row["majority"]), points(row["difference"]),
            each(row["found"]),
        ]
        for row in rows
    ]  # fmt: skip
    head = ("part", "figure", "at", "photographs", "found", "commonest label always", "points", "each world")
    return grid(head, cells, left=3)


def shuffled(found: Results) -> str:
    """Control: labels dealt out at random."""
    said, outcome = wording.of_shuffled(found)
    return chapter(
        6,
        "Control: labels dealt out at random",
        prose(
            """The same training, but every photograph of an animal has some other one's label. Nothing can be learned then but
            how frequent labels are; if more comes out, the experiment itself leaks."""
        ),
        _control(found["rows"]),
        f"{capital(said)}: {outcome}.",
    )


def erased(found: Results) -> str:
    """Control: animals erased."""
    plain = [
        [
            PLACES[row["split"]], f"{row['n']:,}", interval(row["found"]), interval(row["majority"]),
            points(row["difference"]), share(row["sure"]),
        ]
        for row in found["plain"]
    ]  # fmt: skip
    plain_head = (
        "at", "photographs", "name the absent species", "commonest label always", "points", "sure of some species",
    )  # fmt: skip
    said, outcome = wording.of_erased(found)
    with_animals = {(row["task"], row["split"]): row for row in found["with animals"]}
    words = {1: "more than", 0: "not shown to differ from", -1: "less than"}
    filters = [
        f"{interval(row['found'])} at {PLACES[row['split']]}, {words[row['clear']]} the commoner answer's "
        f"{share(row['majority']['value'])} (with animals {interval(with_animals['empty', row['split']])})"
        for row in found["empty"]
        if row["figure"] == "accuracy"
    ]
    return chapter(
        7,
        "Control: animals erased",
        prose(
            """The same scenes, to the pixel, with the animal left out and its label kept; networks learn from them and are
            tested on them. What they still know is owed to the place, the light and the wind. Species prefer places in these
            worlds, each place anew, so that at seen places a background can give its animals away and at unseen ones it
            should not."""
        ),
        _control(found["species"]),
        prose(
            f"""{capital(said)}. In short, {outcome}. One network that sees the animals is right on
            {interval(with_animals["species", "test_seen"])} at seen and {interval(with_animals["species", "test"])} at unseen
            places."""
        ),
        prose(
            f"""Plain networks, which learned from animals, shown the same scenes without them; "sure" is a probability of
            {found["plain"][0]["level"]:g} and more:"""
        ),
        grid(plain_head, plain),
        prose(
            f"""An empty filter that never saw an animal tells triggers whose animal was erased from blank ones on
            {listed(filters)}; what there is to go by is wind and shadow, which the generator makes stronger in blank
            triggers."""
        ),
        _picture("controls.svg", "Accuracy with animals, without them, and with shuffled labels"),
    )


def unknown(found: Results) -> str:
    """Unknown species."""
    rows = [
        [
            row["score"], LEVELS[row["level"]], PLACES[row["split"]], f"{row['known']:,} / {row['unknown']:,}",
            f"{row['value']:.3f} ({row['ci'][0]:.3f} to {row['ci'][1]:.3f})",
            ", ".join(f"{value:.3f}" for value in row["by_world"]),
        ]
        for row in found["rows"]
    ]  # fmt: skip
    flags = [[row["score"], PLACES[row["split"]], share(row["known"]), share(row["unknown"])] for row in found["flags"]]
    _, outcome = wording.of_unknown(found)
    species = "; ".join(f"world {number}: {listed(names)}" for number, names in enumerate(found["species"], 1))
    unseen = [row for row in found["flags"] if row["split"] == "test"]
    ends = {key: (min(row[key] for row in unseen), max(row[key] for row in unseen)) for key in ("known", "unknown")}
    return chapter(
        8,
        "Unknown species",
        prose(
            f"""Some species of each world are in no training photograph ({species}). Scores of the ensemble tell their
            photographs from those of known species at the same kind of places, at natural frequencies."""
        ),
        grid(("score", "of", "at", "known / unknown", "AUROC", "each world"), rows, left=3),
        f"They are {outcome}.",
        f"A flag that leaves {share(found['kept'])} of the known animals on validation alone, used elsewhere:",
        grid(("score", "at", "known species flagged", "unknown species flagged"), flags, left=2),
        prose(
            f"""At unseen places such a flag finds {share(ends["unknown"][0])} to {share(ends["unknown"][1])} of the unknown
            animals, depending on the score, and falsely flags {share(ends["known"][0])} to {share(ends["known"][1])} of the
            known ones, where {share(1 - found["kept"])} was meant."""
        ),
        _picture("unknown.svg", "AUROC of scores for unknown species"),
    )

"""The part of the page about one source of photographs: unseen and seen places, natural and balanced, side by side."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from . import plots
from .findings import FEW_ITEMS, NOTHING, default_of, drawn, interval, points, share, unit_of, where
from .page_parts import (
    Cell,
    Content,
    Markup,
    Row,
    details,
    element,
    join,
    number,
    paragraphs,
    svg,
    table,
    with_interval,
)
from .plots import Series

Section = Mapping[str, Any]
LEVELS = {"image": "photographs", "event": "events"}
PRIORS = {"natural": "natural frequencies", "balanced": "every label equally frequent"}
_COLOURS = (plots.ORANGE, plots.BLUE, plots.GREEN, plots.PURPLE)
_BY_PLACES = "intervals if places are drawn, not events"
_FIGURES = ("accuracy", "macro recall", "macro F1", "top-5", "NLL", "ECE")


def source_part(evaluation: dict[str, Any], source: str) -> Markup:
    """Return everything that was measured on one source, without its heading."""
    found: dict[str, dict[str, Section]] = {}
    for section in evaluation["sections"]:
        if section["source"] == source:
            found.setdefault(section["split"], {})[section["prior"]] = section
    missing = [split for split in ("test", "test_seen") if split not in found]
    absent = [f"Of this source no photograph is in {split}: that side is missing here." for split in missing]
    parts = [
        paragraphs(*absent),
        element("h3", "Figures"),
        element("p", _left_out(evaluation, found)),
        _figures(evaluation, found),
        _compared(evaluation, found),
        element("h3", "Label by label"),
        _labels(evaluation, found),
        element("h3", "What is taken for what"),
        _confusions(evaluation, found),
    ]
    if evaluation["task"] == "empty":
        parts += [element("h3", "Blanks removed, animals lost"), *_empties(evaluation, found)]
    parts += [
        element("h3", "Answering only when sure"),
        *_thresholds(evaluation, found),
        element("h3", "Is confidence to be believed?"),
        *_reliability(evaluation, found),
    ]
    return join(*parts)


def who_is(name: str) -> str:
    """Return what a name among those measured stands for."""
    return {
        "ensemble:logit": "ensemble, mean of log probabilities",
        "ensemble:prob": "ensemble, mean of probabilities",
        "ensemble:top5": "ensemble, top five",
    }.get(name, name)


def _place(evaluation: dict[str, Any], split: str) -> str:
    return where(split, unit_of(evaluation))


def _naturals(found: Mapping[str, Mapping[str, Section]]) -> dict[str, Section]:
    return {split: priors["natural"] for split, priors in found.items() if "natural" in priors}


def _left_out(evaluation: dict[str, Any], found: Mapping[str, Mapping[str, Section]]) -> str:
    said = []
    for split, section in _naturals(found).items():
        used, out = section["used"], section["left_out"]
        text = (
            f"{_place(evaluation, split)}: {used['photographs']:,} photographs in {used['events']:,} events of "
            f"{used['locations']:,} places; {used['image_targets']:,} photographs and {used['event_targets']:,} events have "
            "an answer"
        )
        unknown = sum(out["unknown_label"].values())
        why = [
            (out["blank"], "blank"),
            (out["several"], "of several species"),
            (unknown, "of labels that the models lack"),
        ]
        without = ", ".join(f"{n:,} {reason}" for n, reason in why if n)
        said.append(text + (f" (without: {without})" if without else ""))
    return ". ".join(said) + "."


def _figures(evaluation: dict[str, Any], found: Mapping[str, Mapping[str, Section]]) -> Markup:
    heads: list[Row] = [
        ["", *(Cell(_place(evaluation, split), len(_FIGURES), "group") for split in found)],
        [
            "who answers",
            *(Cell(name, css="first" if at == 0 else "") for _ in found for at, name in enumerate(_FIGURES)),
        ],
    ]
    rows: list[Row] = []
    default = default_of(evaluation)
    for level, items in LEVELS.items():
        for prior, frequencies in PRIORS.items():
            cells = {split: priors[prior] for split, priors in found.items() if prior in priors}
            if not cells:
                continue
            many = ", ".join(
                f"{section['who'][default][level]['n']:,} at {_place(evaluation, split)}"
                for split, section in cells.items()
            )
            rows.append([Cell(f"{items}, {frequencies}: {many}", 1 + len(_FIGURES) * len(found))])
            lines = {split: _lines(section, level) for split, section in cells.items()}
            for title in dict.fromkeys(title for each in lines.values() for title in each):
                values = [lines[split].get(title) if split in lines else None for split in found]
                if any(values):
                    css = "faint" if title == _BY_PLACES else "best" if title == who_is(default) else ""
                    rows.append([Cell(title, css=css), *(cell for value in values for cell in _six(value))])
    says = (
        "Intervals (95 %) come from drawing events anew, 2,000 times, so that photographs of one event count together. "
        "Macro: mean over the labels that occur. NLL: negative log likelihood. ECE: calibration error, 15 bins. Top five: the "
        "averaging of Norouzzadeh et al. 2018. Bold: what runs in ctwatch unless it is configured otherwise."
    )
    return table(heads, rows, says=says)


def _lines(section: Section, level: str) -> dict[str, Any]:
    """Return the figures of everybody who was measured in a section, by what the table calls them."""
    ensemble = section["ensemble"]
    lines = {who_is(name): cells[level] for name, cells in section["who"].items()}
    lines["the same, decided for these frequencies"] = (ensemble["adjusted"] or {}).get(level)
    if level == "event":
        lines["the same, from animal frames only"] = ensemble["event_animal_frames"]
    ends = ensemble["location_ci"][level]
    lines[_BY_PLACES] = {"ends": ends} if any(ends.values()) else None
    return lines


def _six(figures: dict[str, Any] | None) -> Iterator[Cell]:
    """Yield the cells of one who on one split."""
    if not figures or figures.get("n") == 0:
        yield from (Cell(NOTHING, css="first" if at == 0 else "") for at in range(len(_FIGURES)))
        return
    for at, key in enumerate(("accuracy", "macro_recall", "macro_f1")):
        ends = figures["ends"][key] if "ends" in figures else drawn(figures, key)
        value = "" if "ends" in figures else share(figures[key])
        below = element("small", interval(ends)) if ends else ""
        yield Cell(join(value, element("br") if value and below else "", below), css="first" if at == 0 else "")
    yield from (Cell("" if "ends" in figures else text) for text in _scores(figures))


def _scores(figures: Mapping[str, Any]) -> tuple[str, str, str]:
    return share(figures.get("top5")), number(figures.get("nll")), number(figures.get("ece"))


def _compared(evaluation: dict[str, Any], found: Mapping[str, Mapping[str, Section]]) -> Markup:
    rows: list[Row] = []
    for split, section in _naturals(found).items():
        for cell in section["compared"]:
            alike = cell["a"] == cell["b"]
            pair = "event against photograph" if alike else f"ensemble against one model, {LEVELS[cell['level']]}"
            ends = NOTHING if cell["ci"] is None else f"{points(cell['ci'][0])[:-7]} to {points(cell['ci'][1])}"
            rows.append(
                [
                    pair,
                    cell["figure"].replace("_", " "),
                    _place(evaluation, split),
                    "" if alike else cell["b"],
                    points(cell["difference"]),
                    ends,
                    "clear" if cell["clear"] else "not clear",
                ]
            )
    if not rows:
        return Markup()
    heads: list[Row] = [["compared", "figure", "on", "best single model", "difference", "95 % interval", ""]]
    says = (
        "Differences on the same drawn events, natural frequencies; clear: the interval excludes 0. The best single model is "
        "the best on these very photographs, which favours it."
    )
    title = "Is the ensemble better than one model, and an event better than a photograph?"
    return details(title, table(heads, rows, left=4, says=says))


def _labels(evaluation: dict[str, Any], found: Mapping[str, Mapping[str, Section]]) -> Markup:
    default, natural = default_of(evaluation), _naturals(found)
    columns = ("photographs", "recall", "precision", "F1", "events", "recall")
    heads: list[Row] = [
        ["", *(Cell(_place(evaluation, split), len(columns), "group") for split in natural)],
        ["label", *(Cell(name, css="first" if at == 0 else "") for _ in natural for at, name in enumerate(columns))],
    ]
    both = {split: section["who"][default] for split, section in natural.items()}

    def seen(label: str, level: str = "image") -> list[int]:
        return [cells[level]["recall"].get(label, {"n": 0})["n"] for cells in both.values()]

    rows: list[Row] = []
    for label in sorted(evaluation["labels"], key=lambda label: ([-n for n in seen(label)], label)):
        row: list[Cell | str] = [Cell(label, css="faint" if max(seen(label), default=0) < FEW_ITEMS else "")]
        for cells in both.values():
            image, event = (cells[level]["recall"].get(label) for level in LEVELS)
            if image is None:
                row += [Cell("0", css="first"), *[NOTHING] * 3]
            else:
                row += [Cell(f"{image['n']:,}", css="first"), Cell(share(image["recall"]), bar=image["recall"])]
                row += [share(image["precision"]), share(image["f1"])]
            row += (
                ["0", NOTHING]
                if event is None
                else [f"{event['n']:,}", Cell(share(event["recall"]), bar=event["recall"])]
            )
        rows.append(row)
    says = f"The default ensemble, natural frequencies; the commonest first. Grey: fewer than {FEW_ITEMS} photographs."
    return table(heads, rows, says=says)


def _confusions(evaluation: dict[str, Any], found: Mapping[str, Mapping[str, Section]]) -> Markup:
    parts: list[Content] = []
    for level, key in (("image", "confusion"), ("event", "confusion_event")):
        pictures = []
        for split, section in _naturals(found).items():
            table_of = section["ensemble"][key]
            if any(any(row) for row in table_of["matrix"]):
                says = f"{_place(evaluation, split)}, {LEVELS[level]}. Rows are the truth; each sums to 100 %."
                if len(table_of["labels"]) > plots.SHOWN_LABELS:
                    says += f" The {plots.SHOWN_LABELS} commonest of {len(table_of['labels'])} labels."
                pictures.append(svg(plots.confusion(table_of["labels"], table_of["matrix"]), says, wide=True))
        side = element("div", pictures, css="side")
        parts.append(side if level == "image" else details("Events", side))
    return join(*(part for part in parts if isinstance(part, str)))


def _series(evaluation: dict[str, Any], found: Mapping[str, Mapping[str, Section]], key: str) -> list[Series]:
    """Return for every split and level what the ensemble's section has under a key, where it has anything."""
    series = []
    for colour, (split, section) in zip(_COLOURS, _naturals(found).items(), strict=False):
        for level, items in LEVELS.items():
            values = section["ensemble"][key][level]
            if values:
                name = f"{_place(evaluation, split)}, {items}"
                series.append(Series(name, values, colour, dashed=level == "event"))
    return series


def _thresholds(evaluation: dict[str, Any], found: Mapping[str, Mapping[str, Section]]) -> list[Markup]:
    series = _series(evaluation, found, "thresholds")
    kept = [each for each in series if each.values[0]["coverage"] is not None]
    if not kept:
        return [element("p", "Nothing was measured here: no photograph has an answer that the models know.")]
    says = (
        "What is gained and lost by leaving unsure answers to people; shaded: 95 % intervals (Wilson) for photographs. "
        "Accuracy need not rise with the threshold."
    )
    parts = [svg(plots.thresholds(kept), says)]
    for level, items in LEVELS.items():
        for prior, frequencies in PRIORS.items():
            cells = {split: priors[prior] for split, priors in found.items() if prior in priors}
            rows = _threshold_rows([section["ensemble"]["thresholds"][level] for section in cells.values()])
            columns = ("kept", "share kept", "right (95 %, Wilson)", "among the best five")
            heads: list[Row] = [
                ["", *(Cell(_place(evaluation, split), len(columns), "group") for split in cells)],
                [
                    "confidence from",
                    *(Cell(name, css="first" if at == 0 else "") for _ in cells for at, name in enumerate(columns)),
                ],
            ]
            says = f"{items}, {frequencies}. ↓ marks where accuracy falls although more confidence is asked for."
            parts.append(details(f"Table: {items}, {frequencies}", table(heads, rows, says=says)))
    curves = _series(evaluation, found, "risk_coverage")
    if curves:
        aims = [cell["accuracy"] for cell in curves[0].values["coverage_at"]]
        heads = [["", "area under the curve", *(f"share at {share(aim)} right" for aim in aims)]]
        rows = [
            [
                each.name,
                number(each.values["aurc"], 4),
                *(
                    share(cell["coverage"]) + ("" if cell["threshold"] is None else f" (from {cell['threshold']:.3f})")
                    for cell in each.values["coverage_at"]
                ),
            ]
            for each in curves
        ]
        says = "Read off these same items, so a little too good: an operating point is chosen on validation."
        picture = svg(plots.risk_coverage(curves), "Error among the surest answers; lower and flatter is better.")
        parts.append(element("div", [picture, element("div", table(heads, rows, says=says))], css="side"))
    return parts


def _threshold_rows(tables: Sequence[Sequence[Mapping[str, Any]]]) -> list[Row]:
    rows: list[Row] = []
    for across in zip(*tables, strict=False):
        row: list[Cell | str] = [f"{across[0]['threshold']:.2f}"]
        for cell in across:
            right = with_interval(cell["top1"], cell["top1_95"]) + (" ↓" if cell["falls"] else "")
            row += [Cell(f"{cell['n_kept']:,}", css="first"), share(cell["coverage"]), right, share(cell["top5"])]
        rows.append(row)
    return rows


def _reliability(evaluation: dict[str, Any], found: Mapping[str, Mapping[str, Section]]) -> list[Markup]:
    parts = []
    for split, section in _naturals(found).items():
        both = section["ensemble"]["reliability"]
        if any(cell["n"] for cell in both["after"]["bins"]):
            says = (
                f"{_place(evaluation, split)}, photographs. On the dotted line, confidence is how often answers are right; "
                "below it, they are too sure. Grey: share of the answers. Calibrated on validation photographs."
            )
            parts.append(svg(plots.reliability(both["before"], both["after"]), says))
    return parts or [element("p", "Nothing was measured here: no photograph has an answer that the models know.")]


def _empties(evaluation: dict[str, Any], found: Mapping[str, Mapping[str, Section]]) -> list[Markup]:
    natural = _naturals(found)
    rules = {
        "image": "photographs",
        "event": "events, every photograph blank (as it runs)",
        "event_pooled": "events, pooled",
    }
    rows: list[Row] = []
    for split, section in natural.items():
        for key, name in rules.items():
            cell = section["ensemble"]["filter"][key]
            rows.append(
                [
                    f"{_place(evaluation, split)}, {name}",
                    f"{cell['animals']:,}",
                    share(cell["animal_recall"]),
                    f"{cell['blanks']:,}",
                    share(cell["empty_recall"]),
                    *(share(prior["precision_blank"]) for prior in cell["at_priors"]),
                ]
            )
    first = next(iter(natural.values()))["ensemble"]["filter"]
    priors = [str(prior["name"]) for prior in first["image"]["at_priors"]]
    heads: list[Row] = [
        [
            "",
            Cell("animals", 2, "group"),
            Cell("blanks", 2, "group"),
            Cell("is blank, of what it calls so, if blanks are", len(priors), "group"),
        ],
        ["", "all", "kept", "all", "removed", *priors],
    ]
    parts = [
        table(heads, rows, says=f"At the filter's own threshold: blank from probability {first['threshold']:.3f}.")
    ]
    series = _series(evaluation, found, "empty_curve")
    if not series:
        return [*parts, element("p", "There is no curve: it takes both blank and animal photographs.")]
    limits = [cell["at_most"] for cell in next(iter(natural.values()))["ensemble"]["empties_removed"]["image"]]
    removed = _series(evaluation, found, "empties_removed")
    lines: list[Row] = [[each.name, *(share(cell["blanks_removed"]) for cell in each.values)] for each in removed]
    heads = [["blanks removed if animals lost are", *(f"at most {share(limit)}" for limit in limits)]]
    picture = svg(plots.empties(series), "Every threshold at once: blanks removed against animals lost.")
    says = "Read off these same photographs, so a little too good: a threshold is chosen on validation."
    return [*parts, element("div", [picture, element("div", table(heads, lines, says=says))], css="side")]

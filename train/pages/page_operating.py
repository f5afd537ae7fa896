"""The part of the page about automation: two stages, thresholds chosen on validation, and the work that they save."""

from typing import Any

from .findings import NOTHING, share, unit_of, where
from .page_parts import Cell, Content, Markup, Row, bullets, details, element, join, number, table, with_interval
from .page_sections import LEVELS

_STAGES = (
    "thresholds", "items", "left to the models", "right (95 %, Wilson)", "called blank", "given a species", "animals missed",
    "blanks named", "wrong species",
)  # fmt: skip


def automation(evaluation: dict[str, Any]) -> Markup:
    """Return the pipeline, the operating points that match people, thresholds label by label, and the labour saved."""
    parts: list[Content] = [
        element("h3", "Empty filter, then species"),
        _pipeline(evaluation),
        element("h3", "As right as volunteers"),
        _matched(evaluation),
        element("h3", "Thresholds label by label"),
        _labels(evaluation),
        element("h3", "Work saved"),
        _labour(evaluation),
    ]
    return join(*(part for part in parts if isinstance(part, str)))


def _place(evaluation: dict[str, Any], cell: dict[str, Any]) -> str:
    return f"{cell['source']}, {where(cell['split'], unit_of(evaluation))}"


def _stages(cell: dict[str, Any]) -> list[str]:
    first = "" if cell["t1"] is None else f"{cell['t1']:g}, "
    keys = ("auto_empty", "auto_species", "missed_animals", "empties_named", "wrong_species")
    return [
        f"{first}{cell['t2']:g}",
        f"{cell['n']:,}",
        share(cell["coverage"]),
        with_interval(cell["accuracy"], cell["accuracy_95"]),
        *(f"{cell[key]:,}" for key in keys),
    ]


def _pipeline(evaluation: dict[str, Any]) -> Markup:
    pipeline = evaluation["pipeline"]
    if pipeline is None:
        return element(
            "p", "Not measured: it takes an empty filter and a species ensemble; name the folders of both to evaluate."
        )
    rows: list[Row] = []
    grids: list[Content] = []
    for cell in pipeline["results"]:
        items = LEVELS[cell["level"]]
        rows.append([f"{_place(evaluation, cell)}, {items}", *_stages(cell["paper_point"])])
        grids.append(_grid(f"{_place(evaluation, cell)}, {items}", cell["grid"]))
    says = (
        "At the thresholds of Norouzzadeh et al. 2018 (0.50 for the filter, 0.97 for species); these say nothing about "
        "whether that paper's accuracy is reached here. Several species at once: left out, no single answer is right."
    )
    return join(table([["", *_STAGES]], rows, says=says), details("Other thresholds", *grids))


def _grid(title: str, grid: dict[str, Any]) -> Markup:
    heads: list[Row] = [
        ["", Cell("species from", len(grid["t2"]), "group")],
        ["blank or animal from", *(f"{t2:g}" for t2 in grid["t2"])],
    ]
    rows: list[Row] = []
    for t1, coverage, accuracy in zip(grid["t1"], grid["coverage"], grid["accuracy"], strict=True):
        cells = zip(coverage, accuracy, strict=True)
        rows.append(
            [f"{t1:g}", *(join(share(c), element("br"), element("small", f"{share(a)} right")) for c, a in cells)]
        )
    return table(heads, rows, says=f"{title}: share left to the models, and how much of that is right.")


def _matched(evaluation: dict[str, Any]) -> Markup:
    match = evaluation["match_human"]
    if match is None:
        empty = evaluation["task"] == "empty"
        why = (
            "it takes a species ensemble" if empty else "the set has no validation photographs to choose thresholds on"
        )
        return element("p", f"Not measured: {why}.")
    target = share(match["target"])
    rows: list[Row] = []
    for level, items in LEVELS.items():
        for part in match[level]:
            if part["chosen"] is None:
                said = f"{part['source']}, {items}: no thresholds surely reach {target} on validation photographs"
                rows.append([Cell(said, len(_STAGES) + 2)])
                continue
            rows.append([f"{part['source']}, validation, {items}", *_stages(part["chosen"]), "chosen here"])
            for cell in part["results"]:
                reached = {True: "yes", False: "no", None: NOTHING}[cell["reached"]]
                rows.append([f"{_place(evaluation, cell)}, {items}", *_stages(cell), reached])
    what = (
        "both stages" if match["stages"] == 2 else "the species ensemble alone, on photographs with one known species"
    )
    says = (
        f"Thresholds of {what} that leave most to the models while accuracy is surely {target} (lower end of the interval); "
        "chosen on validation, reported on test. What holds at seen places need not hold at new ones."
    )
    return table([["", *_STAGES, f"{target} reached"]], rows, says=says)


def _labels(evaluation: dict[str, Any]) -> Markup:
    chosen = evaluation["species_thresholds"]
    if chosen is None:
        empty = evaluation["task"] == "empty"
        why = (
            "an empty filter has one threshold, above"
            if empty
            else "the set has no validation photographs to choose them on"
        )
        return element("p", f"None: {why}.")
    rows: list[Row] = [
        [
            Cell(label, css="faint" if cell["pooled"] else ""),
            number(cell["threshold"]),
            f"{cell['n']:,}",
            "yes" if cell["reached"] else "no",
            "all labels together" if cell["pooled"] else "its own photographs",
        ]
        for label, cell in chosen["labels"].items()
    ]
    says = (
        f"The lowest confidence from which {share(chosen['precision'])} of the answers are right, on validation photographs. "
        f"Grey: fewer than {chosen['least']} photographs or answers, so that all labels together decide."
    )
    heads: list[Row] = [["label", "threshold", "validation photographs", "reached", "chosen on"]]
    lines: list[Row] = [
        [_place(evaluation, cell), f"{cell['n']:,}", share(cell["coverage"]), share(cell["accuracy"])]
        for cell in chosen["results"]
    ]
    held = table([["with these thresholds", "photographs", "answered", "right"]], lines)
    return join(held, details("Every label's threshold", table(heads, rows, says=says)))


def _labour(evaluation: dict[str, Any]) -> Markup:
    found = evaluation["labour"]
    if not found:
        return element(
            "p", "No estimate: there is no share of photographs, measured above, that models can label alone."
        )
    known = found[0]["constants"]
    constants = (
        f"{known['reference_years']:g} years of full-time work for {known['reference_images']:,.0f} images (all volunteers "
        f"together; Norouzzadeh et al. 2018), {known['weeks_per_year']:g} weeks of {known['hours_per_week']:g} hours, that is "
        f"{found[0]['seconds_per_image']:g} s an image; {share(known['reviewed_share'])} of automatic labels looked at, "
        f"{known['review_seconds']:g} s each"
    )
    formula = (
        f"years = {known['reference_years']:g} x images / {known['reference_images']:,.0f} x share left to the models; "
        f"hours = years x {known['weeks_per_year']:g} x {known['hours_per_week']:g}; review is taken off"
    )
    rows: list[Row] = [
        [
            each["source"],
            f"{each['images']:,}",
            share(each["coverage"]),
            number(each["years"]),
            f"{each['hours']:,.1f}",
            f"{each['review_hours']:,.1f}",
            f"{each['net_hours']:,.1f}",
        ]
        for each in found
    ]
    heads: list[Row] = [["source", "images", "left to the models", "years", "hours", "hours of review", "hours saved"]]
    notes = ", ".join(dict.fromkeys(each["note"] for each in found))
    lines = [f"Formula: {formula}.", f"Constants: {constants}."]
    lines += [f"{each['source']}: {each['from']}." for each in found]
    return join(element("p", element("strong", f"{notes[:1].upper()}{notes[1:]}.")), table(heads, rows), bullets(lines))

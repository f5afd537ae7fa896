"""Writes an evaluation as one HTML file that needs nothing else: no script, no font, no address outside of it."""

from collections.abc import Mapping
from typing import Any

from .findings import (
    NOTHING,
    Finding,
    answers,
    cautions,
    certain,
    default_of,
    interval,
    leak,
    measured,
    share,
    unit_of,
    where,
)
from .page_operating import automation
from .page_parts import (
    STYLE,
    Cell,
    Content,
    Markup,
    Row,
    bullets,
    details,
    element,
    join,
    jpeg,
    number,
    paragraphs,
    table,
)
from .page_sections import LEVELS, PRIORS, source_part

TASKS = {"species": "species", "empty": "empty filter"}
PAPER_COLUMN = "Norouzzadeh et al. 2018, Snapshot Serengeti, split by sequence: not a figure of this model"
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def page(evaluation: dict[str, Any], mistakes: Mapping[str, bytes] | None = None) -> str:
    """Return the page about an evaluation: first the answer in words, then every figure that there is.

    Args:
        evaluation: As from `evaluate`.
        mistakes: For each task a JPEG of its worst mistakes, to be shown in the page.

    Returns:
        HTML whose every text is escaped, the same for the same evaluation. It asks browsers to load nothing at all.
    """
    sheets = mistakes or {}
    about = evaluation["set"]
    filtered = evaluation["empty_filter"]
    what = "empty filter and species" if filtered else TASKS[evaluation["task"]]
    title = f"Evaluation: {what}{' on ' + about['name'] if about else ''}"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        Markup(f"<style>{STYLE}</style>"),
    )
    chapters = _chapters(evaluation, sheets)
    names = list(chapters)
    parts: list[Content] = [element("h1", title), element("p", _fingerprint(evaluation), css="sub")]
    shout = leak(evaluation)
    if shout:
        parts.append(element("p", shout, css="shout", role="alert"))
    parts.append(_answer(evaluation))
    if filtered:
        parts += [element("h3", "The empty filter"), _answer(filtered)]
    parts.append(element("nav", [element("a", name, href=f"#part{at}") for at, name in enumerate(names)]))
    for at, (name, content) in enumerate(chapters.items()):
        parts += [element("h2", name, id=f"part{at}"), content]
    return "<!DOCTYPE html>\n" + element("html", head, element("body", *parts), lang="en") + "\n"


def _chapters(evaluation: dict[str, Any], sheets: Mapping[str, bytes]) -> dict[str, Markup]:
    chapters = {"Keep in mind": _cautions(evaluation), "What was measured, and on what": _measured(evaluation)}
    both = [evaluation, *([evaluation["empty_filter"]] if evaluation["empty_filter"] else [])]
    for each in both:
        name = TASKS[each["task"]].capitalize()
        for source in dict.fromkeys(section["source"] for section in each["sections"]):
            chapters[f"{name}, {source}"] = source_part(each, source)
    chapters["What can be left to the models"] = automation(evaluation)
    for each in both:
        chapters[f"Mistakes, {TASKS[each['task']]}"] = _mistakes(each, sheets.get(each["task"]))
    chapters["What was published elsewhere"] = _published(evaluation)
    return chapters


def _fingerprint(evaluation: dict[str, Any]) -> str:
    about = evaluation["set"]
    if not about:
        return "Of the photographs nothing more is known: they came without a set."
    tall, wide = about["canvas"]
    return f"Set {about['name']}, split by {about['unit']}, frames of {wide} x {tall} pixels, fingerprint {about['fingerprint']}"


def _answer(evaluation: dict[str, Any]) -> Markup:
    said = [part for each in answers(evaluation) for part in (element("dt", each.of), element("dd", each.text))]
    lines = [measured(evaluation), *([] if said else ["There is no photograph to measure on."])]
    return element("div", paragraphs(*lines), element("dl", said), _headline(evaluation), css="answer")


def _headline(evaluation: dict[str, Any]) -> Markup:
    """Return accuracy of the default ensemble: seen beside unseen, balanced beside natural, with intervals."""
    default, unit = default_of(evaluation), unit_of(evaluation)
    cells = {(each["source"], each["split"], each["prior"]): each["who"][default] for each in evaluation["sections"]}
    splits = list(dict.fromkeys(split for _, split, _ in cells))
    if not splits:
        return Markup()
    columns = [(split, prior) for split in splits for prior in PRIORS]
    heads: list[Row] = [
        ["accuracy", *(Cell(where(split, unit), 2, "group") for split in splits)],
        ["", *(Cell("natural" if prior == "natural" else "balanced", css="first") for _, prior in columns)],
    ]
    rows: list[Row] = []
    for source in dict.fromkeys(source for source, _, _ in cells):
        for level, items in LEVELS.items():
            row: list[Cell | str] = [f"{source}, {items}"]
            for split, prior in columns:
                figures = cells.get((source, split, prior), {}).get(level)
                row.append(Cell(_accuracy(figures), css="first"))
            rows.append(row)
    says = "Natural: labels as frequent as they come. Balanced: every label equally frequent. Below, 95 % intervals by events."
    return table(heads, rows, says=says)


def _accuracy(figures: dict[str, Any] | None) -> Markup:
    if not figures or not figures["n"]:
        return Markup(NOTHING)
    said = f"{interval(certain(figures))}, n {figures['n']:,}"
    return join(element("strong", share(figures["accuracy"])), element("br"), element("small", said))


def _cautions(evaluation: dict[str, Any]) -> Markup:
    filtered = evaluation["empty_filter"]
    groups: dict[str, list[Finding]] = {}
    for each, task in ((evaluation, ""), (filtered, "empty filter; ")):
        for finding in cautions(each) if each else ():
            groups.setdefault(task + finding.of if finding.of else "", []).append(finding)
    general = groups.pop("", [])
    parts: list[Content] = [_findings(list(dict.fromkeys(general)))] if general else []
    for name, found in groups.items():
        parts += [element("h3", name), _findings(found)]
    return join(*(part for part in parts if isinstance(part, str))) or element(
        "p", "The figures raise no doubt of their own."
    )


def _findings(found: list[Finding]) -> Markup:
    return bullets(element("span", each.text, css="grave") if each.grave else each.text for each in found)


def _measured(evaluation: dict[str, Any]) -> Markup:
    parts: list[Content] = []
    about = evaluation["set"]
    if about:
        columns = ("photographs", "events", "locations", "blank", "several")
        rows: list[Row] = []
        for source, splits in {"all": about["counts"], **about["sources"]}.items():
            rows += [[source, split, *(f"{cell.get(key, 0):,}" for key in columns)] for split, cell in splits.items()]
        heads: list[Row] = [
            ["source", "split", "photographs", "events", "places", "of these blank", "of several species"]
        ]
        unit = about["unit"]
        says = f"No {unit} is in two splits; test: {where('test', unit)}, test_seen: {where('test_seen', unit)}."
        parts.append(table(heads, rows, left=2, says=says))
    heads = [["model", "for", "architecture", "seed", "temperature", "blank from", "ms a frame", "id"]]
    rows = []
    both = [evaluation, *([evaluation["empty_filter"]] if evaluation["empty_filter"] else [])]
    for each in both:
        for model in each["models"]:
            seed = NOTHING if model["seed"] is None else str(model["seed"])
            rows.append(
                [
                    model["name"],
                    TASKS[each["task"]],
                    model["architecture"],
                    seed,
                    number(model["temperature"], 2),
                    number(model["blank_threshold"]),
                    number(model.get("ms_per_frame"), 1),
                    element("code", model["model_id"]),
                ]
            )
    parts.append(table(heads, rows, left=3))
    lines: list[Row] = [
        [
            f"{cell['source']}, {where(cell['split'], unit_of(each))}",
            TASKS[each["task"]],
            cell["label"],
            share(cell["label_train_share"]),
            f"{cell['n']:,}",
            share(cell["accuracy"]),
        ]
        for each in both
        for cell in each["controls"]["majority_baseline"]
    ]
    if lines:
        heads = [["control", "task", "always answering", "share in training", "photographs", "right"]]
        parts.append(
            table(heads, lines, left=3, says="What no model at all would reach, with the commonest label of training.")
        )
    return join(*(part for part in parts if isinstance(part, str)))


def _mistakes(evaluation: dict[str, Any], sheet: bytes | None) -> Markup:
    found = evaluation["mistakes"]
    if not found:
        return element("p", "The ensemble made no mistake, or nothing was measured.")
    parts: list[Content] = []
    if sheet:
        says = (
            "The most confident mistakes first, then some drawn at random; bars are the five best answers, blue the right "
            "one. Photographs of people are not shown unless asked for."
        )
        parts.append(jpeg(sheet, says))
    rows: list[Row] = [
        [
            f"{each['source']}, {where(each['split'], unit_of(evaluation))}",
            "most confident" if each["kind"] == "worst" else "at random",
            each["truth"],
            ", ".join(f"{label} {share(p)}" for label, p in each["answers"]),
            each["location"],
            each["path"],
        ]
        for each in found
    ]
    heads: list[Row] = [["source", "chosen", "truth", "answers", "place", "photograph"]]
    parts.append(details(f"List of {len(found)} mistakes", table(heads, rows, left=6)))
    return join(*(part for part in parts if isinstance(part, str)))


def _published(evaluation: dict[str, Any]) -> Markup:
    paper = evaluation["paper"]
    heads: list[Row] = [["figure", "task", "on what", Cell(PAPER_COLUMN, css="paper")]]
    rows: list[Row] = [[each["what"], each["task"], each["note"], _as_published(each)] for each in paper["figures"]]
    about = (
        f"From {paper['source']}; split unit: {paper['split_unit']}. These figures are of other models on other photographs; "
        "they were not reproduced here and cannot be compared with the figures above."
    )
    return join(element("p", about), table(heads, rows, left=3))


def _as_published(figure: dict[str, Any]) -> str:
    value = figure["value"]
    if value <= 1:
        return share(value)
    return f"{value:,.1f} years" if "years" in figure["what"] else f"{value:,.0f} hours"

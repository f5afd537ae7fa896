"""Writes the card of an ensemble in Markdown; every figure in it comes from the evaluation, none is typed."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from ..fitting.recipe import Recipe, Start
from .findings import NOTHING, answers, cautions, default_of, drawn, interval, leak, natural, share, unit_of, where
from .page_sections import LEVELS, who_is
from .plots import UNREADABLE, clean

TITLES = {"empty": "Empty filter", "species": "Species ensemble"}
_MARKS = re.compile(r"([\\`*\[\]<>|#~&]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")
_Table = list[Sequence[str]]


def card(figures: Mapping[str, Any]) -> str:
    """Return the Markdown of a card.

    Args:
        figures: `evaluation` (as from `evaluate`), `files` (what each model file says of itself, with its size and speed),
            `thresholds` (how they were chosen) and `set` (how the set was made), as `bundle` writes them to figures.json.

    Returns:
        Text in which what comes from strangers is escaped. It is the same for the same figures.
    """
    evaluation, files = figures["evaluation"], figures["files"]
    recipes = list(dict.fromkeys(str(file["recipe"].get("name", "")) for file in files))
    parts = [f"# {TITLES[evaluation['task']]}: {text(', '.join(filter(None, recipes)) or 'no recipe')}"]
    shout = leak(evaluation)
    parts += [f"**{text(shout)}**"] if shout else []
    parts += [text(note) for note in dict.fromkeys(file["notes"] for file in files) if note]
    parts += ["## What it is for, and what it cannot do", *_limits(evaluation, files)]
    parts += ["## What was measured", *_answers(evaluation), *_data(evaluation, figures["set"], files)]
    for source in dict.fromkeys(section["source"] for section in evaluation["sections"]):
        parts += [f"## Figures: {text(source)}", *_figures(evaluation, source)]
    parts += ["## Thresholds", *_thresholds(evaluation, figures["thresholds"])]
    if evaluation["pipeline"]:
        parts += ["## Together with the empty filter", *_pipeline(evaluation)]
    parts += ["## Files", _files(files), "## How to make it again", *_again(evaluation, figures)]
    parts.append("This card was written by `ctwatch train bundle` from `figures.json`; edit neither by hand.")
    return "\n\n".join(part for part in parts if part) + "\n"


def text(value: str) -> str:
    """Return a text of strangers as Markdown that shows it as it is, on one line."""
    return _MARKS.sub(r"\\\1", clean(value, 2000))


def code(value: str) -> str:
    """Return a text of strangers as a piece of code."""
    return "`" + clean(value, 300).replace("`", "'").replace("|", "\\|") + "`"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Return a Markdown table of cells that are escaped already; the first `left` columns are text, the others numbers."""
    if not rows:
        return ""
    ruler = ["---" if at < left else "---:" for at in range(len(head))]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ruler, *rows))


def _limits(evaluation: dict[str, Any], files: Sequence[Mapping[str, Any]]) -> list[str]:
    labels = ", ".join(text(label) for label in evaluation["labels"])
    if evaluation["task"] == "species":
        what = f"It knows these {len(evaluation['labels'])} labels and nothing else: {labels}. "
        what += "Whatever else is on a photograph gets one of these names, or none where it is not sure enough."
    else:
        what = f"It tells photographs with something on them from blank ones (labels: {labels}); what it is, it does not say."
    lines = [
        what,
        "Its figures are of the photographs named below, and of no others: on other cameras and places, measure again.",
    ]
    about = evaluation["set"]
    others = [file for file in files if about and file["data_fingerprint"] != about["fingerprint"]]
    if others:
        names = ", ".join(text(file["name"]) for file in others)
        trained = ", ".join(dict.fromkeys(f"{code(file['data_fingerprint'] or 'unknown')}" for file in others))
        lines.append(
            f"**Trained on another set than it was measured on:** {names}, on {trained}, measured on "
            f"{code(about['fingerprint'])}. Whether photographs or places of this set were trained on is not known."
        )
    groups: dict[str, list[str]] = {}
    for finding in cautions(evaluation):
        said = text(finding.text)
        groups.setdefault(finding.of, []).append(f"* **{said}**" if finding.grave else f"* {said}")
    for of, found in sorted(groups.items(), key=lambda item: item[0] != ""):
        lines += [f"### {text(of)}" if of else "", "\n".join(found)]
    return lines


def _answers(evaluation: dict[str, Any]) -> list[str]:
    said = [f"* **{text(each.of)}**: {text(each.text)}" for each in answers(evaluation)]
    return ["\n".join(said) or "Nothing: there is no photograph to measure on."]


def _data(evaluation: dict[str, Any], made: Mapping[str, Any], files: Sequence[Mapping[str, Any]]) -> list[str]:
    about = evaluation["set"]
    if not about:
        return []
    rows = [
        [text(source), split, *(f"{cell[key]:,}" for key in ("photographs", "events", "locations", "blank", "several"))]
        for source, splits in about["sources"].items()
        for split, cell in splits.items()
    ]
    unit = about["unit"]
    out = ", ".join(f"{number:,} {text(reason.replace('_', ' '))}" for reason, number in made["left_out"].items())
    tall, wide = about["canvas"]
    libraries = dict.fromkeys(
        ", ".join(f"{name} {version}" for name, version in file["recipe"].get("versions", {}).items()) for file in files
    )
    return [
        f"The set {code(about['name'])}, fingerprint {code(about['fingerprint'])}, frames of {wide} x {tall} pixels. It is "
        f"split by {unit}: test is {where('test', unit)}, test\\_seen is {where('test_seen', unit)}. Temperature and thresholds "
        "come from validation, figures from test.",
        table(
            ["source", "split", "photographs", "events", "places", "of these blank", "of several species"], rows, left=2
        ),
        f"Photographs that could not be used: {out or 'none'}. "
        f"Trained with {text('; '.join(filter(None, libraries)) or 'unknown')}.",
    ]


def _figures(evaluation: dict[str, Any], source: str) -> list[str]:
    scores = ["accuracy", "95 %", "macro recall", "95 %", "macro F1", "top-5", "NLL", "ECE"]
    parts = []
    for level, items in LEVELS.items():
        rows = [
            [where(section["split"], unit_of(evaluation)), section["prior"], text(who_is(name)), *_cells(cell[level])]
            for section in evaluation["sections"]
            if section["source"] == source
            for name, cell in section["who"].items()
            if cell[level]["n"]
        ]
        parts.append(table(["where", "labels", "who", items, *scores], rows, left=3))
    if not any(parts):
        return ["Nothing was measured: no photograph has an answer that the models know."]
    for section in natural(evaluation):
        if section["source"] == source:
            parts += _recalls(evaluation, section)
    says = (
        "Intervals come from drawing events anew, so that photographs of one event count together (2,000 rounds). Natural: "
        "labels as frequent as they come; balanced: every label equally frequent."
    )
    return [says, *parts]


def _cells(figures: dict[str, Any]) -> Iterator[str]:
    yield f"{figures['n']:,}"
    yield share(figures["accuracy"])
    yield interval(drawn(figures, "accuracy"))
    yield share(figures["macro_recall"])
    yield interval(drawn(figures, "macro_recall"))
    yield share(figures["macro_f1"])
    yield share(figures["top5"])
    yield f"{figures['nll']:.3f}"
    yield f"{figures['ece']:.3f}"


def _recalls(evaluation: dict[str, Any], section: Mapping[str, Any]) -> list[str]:
    image, event = (section["who"][default_of(evaluation)][level]["recall"] for level in LEVELS)
    rows = []
    for label, cell in sorted(image.items(), key=lambda item: (-item[1]["n"], item[0])):
        pooled = event.get(label)
        of_event = ["0", NOTHING] if pooled is None else [f"{pooled['n']:,}", share(pooled["recall"])]
        rows.append([text(label), f"{cell['n']:,}", share(cell["recall"]), share(cell["precision"]), *of_event])
    if not rows:
        return []
    title = f"{where(section['split'], unit_of(evaluation))}, label by label, {who_is(default_of(evaluation))}"
    head = ["label", "photographs", "recall", "precision", "events", "recall"]
    return [f"{title[:1].upper()}{title[1:]}:", table(head, rows)]


def _thresholds(evaluation: dict[str, Any], chosen: Mapping[str, Any]) -> list[str]:
    empty = evaluation["task"] == "empty"
    if chosen["precision"] is not None:
        aim = (
            f"the lowest at which {share(chosen['precision'])} of what is called {'blank' if empty else 'it'} is right"
        )
    elif empty:
        aim = f"the lowest at which {share(chosen['recall'])} of photographs with something on them are kept"
    else:
        aim = f"the highest at which {share(chosen['recall'])} of a label's photographs are still answered rightly"
    rows = [
        [
            text(label),
            f"{cell['threshold']:.3f}",
            f"{cell['n']:,}",
            "yes" if cell["reached"] else "**no**",
            "all labels together" if cell["pooled"] else "its own",
        ]
        for label, cell in chosen["labels"].items()
    ]
    lines = [
        f"Chosen on {chosen['photographs']:,} validation photographs: {aim}. ctwatch uses them as they are, unless "
        "config.toml has a `blank_threshold` of its own." if empty else
        f"Chosen on {chosen['photographs']:,} validation photographs: {aim}. Labels with fewer than {chosen['least']} "
        "photographs or answers have the one that all labels together reach. ctwatch uses them for photographs and events.",
        table(["label", "threshold", "validation photographs", "reached", "chosen on"], rows),
    ]  # fmt: skip
    never = [label for label, cell in chosen["labels"].items() if cell["threshold"] >= 1 and not cell["reached"]]
    if never:
        lines.append(f"**Never sure enough to be given by itself:** {', '.join(map(text, never))}.")
    always = [label for label, cell in chosen["labels"].items() if cell["threshold"] <= 0 and not cell["reached"]]
    if always:
        lines.append(
            f"**Not reached at any threshold, so that every answer is taken:** {', '.join(map(text, always))}."
        )
    unit = unit_of(evaluation)
    results = [
        [
            f"{where(cell['split'], unit)}, {LEVELS[cell['level']]}",
            f"{cell['n']:,}",
            share(cell["coverage"]),
            share(cell["accuracy"]),
        ]
        for cell in chosen.get("results", ())
    ]
    lines.append(table(["with these thresholds", "n", "answered", "right"], results))
    kept = [
        [
            f"{text(section['source'])}, {where(section['split'], unit)}, {items}",
            f"{cell['animals']:,}",
            share(cell["animal_recall"]),
            f"{cell['blanks']:,}",
            share(cell["empty_recall"]),
        ]
        for section in natural(evaluation)
        if "filter" in section["ensemble"]
        for items, cell in ((items, section["ensemble"]["filter"][level]) for level, items in LEVELS.items())
    ]
    lines.append(table(["with this threshold", "animals", "kept", "blanks", "removed"], kept))
    return lines


def _pipeline(evaluation: dict[str, Any]) -> list[str]:
    rows = []
    for cell in evaluation["pipeline"]["results"]:
        point = cell["paper_point"]
        rows.append(
            [
                f"{text(cell['source'])}, {where(cell['split'], unit_of(evaluation))}, {LEVELS[cell['level']]}",
                f"{point['n']:,}",
                share(point["coverage"]),
                share(point["accuracy"]),
                interval(point["accuracy_95"]),
            ]
        )
    says = "Both stages at the thresholds of Norouzzadeh et al. 2018, 0.50 and 0.97: what is left to the models, how right it is."
    return [says, table(["photographs", "n", "left to the models", "right", "95 %"], rows)]


def _files(files: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [
            code(file["file"]),
            text(file["architecture"]),
            f"{file['bytes']:,}",
            f"{file['ms_per_frame']:.1f}",
            f"{file['temperature']:.2f}",
            f"{code(file['model_id'])}",
        ]
        for file in files
    ]
    return table(["file", "architecture", "bytes", "ms per frame, one thread", "temperature", "id"], rows, left=2)


def _again(evaluation: dict[str, Any], figures: Mapping[str, Any]) -> list[str]:
    chosen, made, task = figures["thresholds"], figures["set"], evaluation["task"]
    aim = f"--precision {chosen['precision']}" if chosen["precision"] is not None else f"--recall {chosen['recall']}"
    labels = " ".join(f"{_plain(name)}=LABELS" for name in made["sources"])
    lines = [
        f"ctwatch train data {labels} --out set{_set_options(made)}",
        f"ctwatch train fit recipe.toml --on set --out models/{task}",
        f"ctwatch train bundle models/{task} --on set --out bundle {aim}",
    ]
    groups = [group for group in _same(figures["files"]) if "name" in group[0]]
    blocks = dict.fromkeys(recipe_text(group) for group in groups)
    starts = dict.fromkeys(_start(file["recipe"].get("weights") or {}) for file in figures["files"])
    return [
        "```sh\n" + "\n".join(lines) + "\n```",
        *(f"```toml\n{block}```" for block in blocks),
        *filter(None, starts),
    ]


def _plain(value: str) -> str:
    """Return a name that can stand in a code block."""
    return clean(value, 100).replace("`", "'")


def _set_options(made: Mapping[str, Any]) -> str:
    canvas, options = made["canvas"], made["options"]
    shares = options.get("shares") or {}
    pairs = [("--canvas", f"{canvas['height']}x{canvas['width']}")]
    pairs += [
        (f"--banner-{side}", f"{canvas[f'banner_{side}']:g}") for side in ("top", "bottom") if canvas[f"banner_{side}"]
    ]
    pairs += [("--by", options["unit"])] if "unit" in options else []
    pairs += [(f"--{name}", f"{value:g}") for name, value in shares.items()]
    pairs += [(f"--{name}", str(options[name])) for name in ("seed", "median") if name in options]
    pairs += [("--gap", f"{options['gap_s']:g}")] if "gap_s" in options else []
    pairs += [("--propagate", "")] if options.get("propagate") else []
    return "".join(f" {name} {value}".rstrip() for name, value in pairs)


def _same(files: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Return the recipes of files in groups that differ in the member alone."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for file in files:
        recipe = {**file["recipe"], "task": file["recipe"].get("task"), "notes": file["notes"]}
        common = {key: value for key, value in recipe.items() if key in _KEYS and key != "members"}
        groups.setdefault(json.dumps(common, sort_keys=True), []).append(recipe)
    return list(groups.values())


_KEYS = {each.name: each.default for each in fields(Recipe)}


def recipe_text(recipes: Sequence[Mapping[str, Any]]) -> str:
    """Return as TOML the recipe of models that have it in common, with a member for each.

    Args:
        recipes: What model files say of their recipe; keys that a recipe does not have are left out.
    """
    first = recipes[0]
    lines, sections = [], []
    for key, default in _KEYS.items():
        value = first.get(key)
        if value is None or key == "members":
            continue
        if not is_dataclass(default):
            lines.append(f"{key} = {_toml(value)}")
            continue
        known = {each.name for each in fields(Start if key == "start" else default)}
        inside = [f"{name} = {_toml(each)}" for name, each in value.items() if name in known and each is not None]
        sections.append("\n".join([f"[{key}]", *inside])) if inside else None
    members = [each["member"] for each in recipes if isinstance(each.get("member"), Mapping)]
    sections += [
        "\n".join(["[[member]]", *(f"{key} = {_toml(value)}" for key, value in each.items())]) for each in members
    ]
    return "\n\n".join(["\n".join(lines), *sections]) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_toml(str(key))} = {_toml(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(each) for each in value) + "]"
    # JSON writes strings, numbers and truth values as TOML does; what it leaves unseen is escaped, halves of pairs are lost.
    written = json.dumps(value, ensure_ascii=False)
    return UNREADABLE.sub(
        lambda sign: "\ufffd" if "\ud800" <= sign[0] <= "\udfff" else f"\\u{ord(sign[0]):04x}", written
    )


def _start(start: Mapping[str, Any]) -> str:
    if start.get("kind", "scratch") == "scratch":
        return ""
    return f"Started from the weights of {code(str(start.get('file')))}, SHA-256 {code(str(start.get('sha256')))}."

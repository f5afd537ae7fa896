"""Says in plain sentences what an evaluation found and what it cannot say, for the page and for the model card.

Everything here goes from the dict of `evaluate` to text without markup. Names of labels and sources in it come from
strangers: whoever shows a sentence escapes it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

FEW_PLACES, FEW_EVENTS, FEW_ITEMS = 10, 100, 20
"""Below these a figure is said to rest on little."""
FEW_GRAVE = 5
"""From so many missed photographs of a label on it is no accident any more."""
WIDE = 0.1
"""An interval of accuracy from here on is said to be wide."""
MOST_NAMED = 12
NOTHING = "–"
UNSEEN, SEEN = "test", "test_seen"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is said about one part of the photographs, and whether nobody may overlook it."""

    text: str
    of: str = ""
    """Source and split, for people; empty: all of them."""
    grave: bool = False


def share(value: float | None) -> str:
    """Return a share as per cent with one decimal; a dash for none. What is not all is never rounded up to all."""
    if value is None:
        return NOTHING
    text = f"{100 * value:.1f} %"
    if text == "100.0 %" and value < 1:
        return "99.9 %"
    return "0.1 %" if text == "0.0 %" and value > 0 else text


def interval(ends: list[float] | None) -> str:
    """Return a 95 % interval as `47.1–63.0 %`; a dash where there is none."""
    return NOTHING if ends is None else f"{share(ends[0])[:-2]}–{share(ends[1])}"


def certain(figures: dict[str, Any]) -> list[float] | None:
    """Return the interval of accuracy by events; Wilson's where every event is alike and drawing them again says nothing."""
    drawn: list[float] | None = figures["ci"]["accuracy"]
    return figures["accuracy_95"] if drawn is None or drawn[0] == drawn[1] else drawn


def drawn(figures: dict[str, Any], key: str) -> list[float] | None:
    """Return the interval of one of the figures; none where events are too alike for it to mean anything."""
    if key == "accuracy":
        return certain(figures)
    ends: list[float] | None = figures["ci"][key]
    return None if ends is None or ends[0] == ends[1] else ends


def points(difference: float) -> str:
    """Return a difference of two shares in points, with its sign."""
    return f"{100 * difference:+.1f} points".replace("-", "−")


def count(number: int, what: str) -> str:
    """Return a number with its noun, as in `1 place` and `2,000 places`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def where(split: str, unit: str) -> str:
    """Return what a split is, for people, given what the set's splits do not share."""
    names = {
        "location": {UNSEEN: "unseen places", SEEN: "seen places"},
        "event": {UNSEEN: "unseen events"},
        "image": {UNSEEN: "other photographs"},
    }
    return names.get(unit, {}).get(split, {SEEN: "seen places", "train": "training photographs"}.get(split, split))


def unit_of(evaluation: dict[str, Any]) -> str:
    """Return what the splits of the evaluation's set do not share; `location` where it does not say."""
    return str((evaluation["set"] or {}).get("unit", "location"))


def default_of(evaluation: dict[str, Any]) -> str:
    """Return the name of the default ensemble among those that were measured."""
    return f"ensemble:{evaluation['default']}"


def natural(evaluation: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the sections with natural frequencies."""
    return [section for section in evaluation["sections"] if section["prior"] == "natural"]


def twin(
    evaluation: dict[str, Any], section: dict[str, Any], *, prior: str = "", split: str = ""
) -> dict[str, Any] | None:
    """Return the section that differs from another only in prior or split; None if it was not measured."""
    wanted = (section["source"], split or section["split"], prior or section["prior"])
    found = (each for each in evaluation["sections"] if (each["source"], each["split"], each["prior"]) == wanted)
    return next(found, None)


def leak(evaluation: dict[str, Any]) -> str | None:
    """Return what must be shouted if photographs of one event are on both sides of the split."""
    if not (evaluation["set"] or {}).get("leaky"):
        return None
    return (
        "These figures are too good to be true. The set is split by image: photographs of one event, seconds apart, are in "
        "training and in test. Split it by location before believing anything below."
    )


def measured(evaluation: dict[str, Any]) -> str:
    """Return in one sentence what was measured and on what."""
    number = len(evaluation["models"])
    who = f"An ensemble of {number} models" if number > 1 else "One model"
    empty = evaluation["task"] == "empty"
    what = "tells blank photographs from others" if empty else f"knows {count(len(evaluation['labels']), 'label')}"
    about = evaluation["set"]
    on = f" on the set {about['name']}, which is split by {about['unit']}" if about else ""
    return f"{who} that {what} was measured{on}, with the decoder, the averaging and the events that run in ctwatch."


def answers(evaluation: dict[str, Any]) -> list[Finding]:
    """Return for each source and split how many photographs and events were answered rightly, and what new places cost."""
    return [_answer(evaluation, section) for section in natural(evaluation)]


def _answer(evaluation: dict[str, Any], section: dict[str, Any]) -> Finding:
    unit, who = unit_of(evaluation), default_of(evaluation)
    image, event = section["who"][who]["image"], section["who"][who]["event"]
    of = f"{section['source']}, {where(section['split'], unit)}"
    if not image["n"]:
        return Finding("No photograph has an answer that the models know; nothing was measured.", of)
    text = (
        f"{share(image['accuracy'])} of {count(image['n'], 'photograph')} answered rightly "
        f"(95 % interval {interval(certain(image))})"
    )
    if event["n"]:
        text += f", {share(event['accuracy'])} of {count(event['n'], 'event')} ({interval(certain(event))})"
    text += f", at {count(section['used']['locations'], 'place')}."
    balanced = twin(evaluation, section, prior="balanced")
    if balanced and balanced["who"][who]["image"]["n"]:
        cells = balanced["who"][who]
        text += (
            f" With every label equally frequent: {share(cells['image']['accuracy'])} of photographs, "
            f"{share(cells['event']['accuracy'])} of events."
        )
    seen = twin(evaluation, section, split=SEEN) if section["split"] == UNSEEN else None
    if seen and seen["who"][who]["image"]["n"]:
        text += f" Against {where(SEEN, unit)}: {points(image['accuracy'] - seen['who'][who]['image']['accuracy'])}"
        if event["n"] and seen["who"][who]["event"]["n"]:
            text += f" for photographs, {points(event['accuracy'] - seen['who'][who]['event']['accuracy'])} for events"
        text += "; both sides have intervals."
    kept = section["ensemble"].get("filter")
    if kept and kept["event"]["animals"] and kept["event"]["blanks"]:
        cells = (("photographs", kept["image"]), ("events", kept["event"]))
        said = [
            f"{share(cell['animal_recall'])} of {cell['animals']:,} animal {what} kept, "
            f"{share(cell['empty_recall'])} of {cell['blanks']:,} blank {what} removed"
            for what, cell in cells
        ]
        text += f" As it runs, blank from probability {kept['threshold']:.3f}: {'; '.join(said)}."
    return Finding(text, of)


def cautions(evaluation: dict[str, Any]) -> list[Finding]:
    """Return what a reader must keep in mind, as it follows from the figures; what the evaluation itself notes comes last."""
    found: list[Finding] = []
    for section in natural(evaluation):
        found += _of_section(evaluation, section)
    tested = {
        label
        for section in natural(evaluation)
        for label in section["who"][default_of(evaluation)]["image"]["recall"]
        if section["split"] in (UNSEEN, SEEN)
    }
    never = [label for label in evaluation["labels"] if label not in tested]
    if never and natural(evaluation):
        found.append(Finding(f"Never tested, because no test photograph shows them: {_named(never)}.", grave=True))
    return [*found, *(Finding(note) for note in evaluation["notes"])]


def _of_section(evaluation: dict[str, Any], section: dict[str, Any]) -> Iterator[Finding]:
    image = section["who"][default_of(evaluation)]["image"]
    if not image["n"]:
        return
    of = f"{section['source']}, {where(section['split'], unit_of(evaluation))}"
    label, most = max(((name, cell["n"]) for name, cell in image["recall"].items()), key=lambda item: item[1])
    always = most / image["n"]
    text = f"Always answering {label} would be right in {share(always)} of these photographs."
    if image["accuracy"] <= always:
        yield Finding(f"{text} The ensemble, with {share(image['accuracy'])}, is no better than that.", of, grave=True)
    elif image["accuracy"] - always < WIDE:
        yield Finding(f"{text} The ensemble reaches {share(image['accuracy'])}.", of)
    missed = [(name, cell) for name, cell in image["recall"].items() if cell["recall"] < 0.5]
    for name, cell in sorted(missed, key=lambda item: item[1]["recall"])[:MOST_NAMED]:
        right, grave = round(cell["recall"] * cell["n"]), cell["n"] >= FEW_GRAVE
        yield Finding(
            f"Of {count(cell['n'], 'photograph')} of {name} it recognised {right or 'none'}.", of, grave=grave
        )
    if len(missed) > MOST_NAMED:
        more = len(missed) - MOST_NAMED
        yield Finding(
            f"Of {count(more, 'more label')} it recognised less than half of the photographs.", of, grave=True
        )
    used = section["used"]
    if used["locations"] < FEW_PLACES or used["event_targets"] < FEW_EVENTS:
        what = f"{count(used['event_targets'], 'event')} of {count(used['locations'], 'place')}"
        yield Finding(f"These are only {what}; others may do quite differently.", of)
    ends = certain(image)
    if ends and ends[1] - ends[0] >= WIDE:
        yield Finding(f"The interval of accuracy is {100 * (ends[1] - ends[0]):.0f} points wide.", of)
    few = [name for name, cell in image["recall"].items() if cell["n"] < FEW_ITEMS]
    if few:
        yield Finding(f"Fewer than {FEW_ITEMS} photographs each: {_named(few)}. What is said of these is a guess.", of)


def _named(labels: list[str]) -> str:
    more = f" and {len(labels) - MOST_NAMED} more" if len(labels) > MOST_NAMED else ""
    return ", ".join(labels[:MOST_NAMED]) + more

"""Measuring models on a set: what is measured is what runs, seen beside unseen, natural beside balanced."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from ctwatch_train.figures import operating, sections
from ctwatch_train.figures.confidence import BLANK_TRUTH, OTHER_TRUTH
from ctwatch_train.figures.evaluate import about_set, evaluate, figures_of, predict, view_of
from ctwatch_train.figures.measure import figures
from ctwatch_train.figures.view import Subject, prior_of
from ctwatch_train.sets.dataset import SetInfo, TrainingSet
from ctwatch_train.sets.split import SPLITS
from ctwatch_train.sets.targets import event_targets, grouped, targets
from hypothesis import given, settings
from hypothesis import strategies as st

from ctwatch.domain import BLANK, Canvas, ModelInfo, Preprocessing, Task
from ctwatch.ensemble import Averaging, average, pool
from ctwatch.errors import ConfigError, ModelError
from ctwatch.nets.eager import EagerEngine
from ctwatch.nets.inference import Ensemble
from ctwatch.nets.model_file import load

CPU = torch.device("cpu")
CANVAS = Canvas(32, 32)
SPECIES = ("Panthera pardus", "Cephalophus natalensis", "Crocuta crocuta", "Homo sapiens")
"""Of the tiny models."""
NAMES = (BLANK, *sorted((*SPECIES, "Lycaon pictus")))


def training_set(seed: int = 0, events: int = 60, **changes: Any) -> TrainingSet:
    """A real set in memory: two sources, eight locations of which two are unseen, some photographs of several species."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 4, events)
    of_event = np.arange(events).repeat(sizes)
    place = rng.integers(0, 8, events)
    part = np.where(place >= 6, 2, np.where(place == 5, 1, np.where(rng.random(events) < 0.3, 3, 0)))
    kind = rng.choice(len(NAMES), events, p=[0.4, 0.2, 0.1, 0.1, 0.1, 0.1])
    labels = kind[of_event].astype(np.int32)
    labels[rng.random(len(labels)) < 0.15] = 0
    labels[rng.random(len(labels)) < 0.04] = -1
    n = len(labels)
    pixels = rng.integers(0, 255, (n, 3, 32, 32), np.uint8)
    frames = SimpleNamespace(windows=lambda _shards, slots, *_window: pixels[slots])
    about = SetInfo("world", CANVAS, "location", False, 0, "f" * 32, ("generated", "real"), "/", {}, {}, {}, ())
    fields: dict[str, Any] = {
        "folder": Path("world"),
        "about": replace(about, **changes.pop("about", {})),
        "media_ids": tuple(f"{row:032x}" for row in range(n)),
        "paths": tuple(f"{row}.jpg" for row in range(n)),
        "label_names": NAMES,
        "labels": labels,
        "location_names": tuple(f"L{at}" for at in range(8)),
        "locations": place[of_event].astype(np.int32),
        "event_names": tuple(f"E{at:03}" for at in range(events)),
        "events": of_event.astype(np.int32),
        "source_names": ("generated", "real"),
        "sources": (place[of_event] % 2).astype(np.int32),
        "splits": part[of_event].astype(np.int8),
        "balanced": np.zeros(n, bool),
        "support": np.full(n, np.nan, np.float32),
        "evenness": np.full(n, np.nan, np.float32),
        "shards": np.zeros(n, np.int32),
        "slots": np.arange(n, dtype=np.int32),
        "frames": frames,
    }
    return TrainingSet(**{**fields, **changes})


def model(name: str, task: Task, labels: tuple[str, ...], **changes: Any) -> ModelInfo:
    preprocessing = Preprocessing(CANVAS, (32, 32), (0.4, 0.4, 0.4), (0.2, 0.2, 0.2))
    return replace(ModelInfo(f"{name}-id", name, task, "thin_resnet10", labels, preprocessing, 1.5), **changes)


def random_probabilities(n: int, members: int, labels: int, seed: int = 0) -> Any:
    raw = np.random.default_rng(seed).dirichlet(np.full(labels, 0.5), (n, members))
    return raw.astype(np.float32)


def perfect(source: TrainingSet, task: Task, labels: tuple[str, ...], members: int = 1) -> Any:
    """Probabilities of models that know: 0.9 for the truth, even where there is none."""
    truth = targets(source.labels, source.label_names, task, labels)
    p = np.full((len(truth), len(labels)), 1 / len(labels))
    p[truth >= 0] = 0.1 / (len(labels) - 1)
    p[np.flatnonzero(truth >= 0), truth[truth >= 0]] = 0.9
    return np.repeat(p[:, None], members, axis=1).astype(np.float32)


def every_row(source: TrainingSet) -> Any:
    return np.arange(len(source))


def section(result: dict[str, Any], source: str, split: str, prior: str = "natural") -> dict[str, Any]:
    (found,) = (
        each for each in result["sections"] if (each["source"], each["split"], each["prior"]) == (source, split, prior)
    )
    return cast(dict[str, Any], found)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def world() -> TrainingSet:
    return training_set()


@pytest.fixture(scope="module")
def both(world: TrainingSet, tiny_models: Path) -> dict[str, Any]:
    return evaluate([tiny_models / "species", tiny_models / "empty"], world, device=CPU, rounds=50)


# --- everything together


def test_an_evaluation_is_json_and_says_where_it_comes_from(both: dict[str, Any], world: TrainingSet) -> None:
    assert json.loads(json.dumps(both, allow_nan=False)) == both
    assert (both["version"], both["task"], both["labels"]) == (1, "species", list(SPECIES))
    assert both["set"]["fingerprint"] == "f" * 32
    assert both["set"]["canvas"] == [32, 32]
    assert sum(cell["photographs"] for cell in both["set"]["counts"].values()) == len(world)
    assert both["empty_filter"]["task"] == "empty"
    assert [each["name"] for each in both["models"]] == ["species0", "species1", "species2"]
    assert both["paper"]["reproduced"] is False
    assert "paper" in both["paper"]["column"]


def test_seen_and_unseen_natural_and_balanced_stand_side_by_side(both: dict[str, Any]) -> None:
    for result in (both, both["empty_filter"]):
        found = [(each["source"], each["split"], each["prior"]) for each in result["sections"]]
        assert found == [
            (source, split, prior)
            for source in ("generated", "real")
            for split in ("test", "test_seen")
            for prior in ("natural", "balanced")
        ]
        for each in result["sections"]:
            names = [model["name"] for model in result["models"]]
            assert list(each["who"]) == [*names, "ensemble:top5", "ensemble:prob", "ensemble:logit"]
            assert all(set(cell) == {"image", "event"} for cell in each["who"].values())


def test_what_is_measured_is_what_runs(both: dict[str, Any], world: TrainingSet, tiny_models: Path) -> None:
    ensemble = Ensemble.load(tiny_models / "species", Task.SPECIES)
    rows = np.flatnonzero((world.splits == SPLITS.index("test")) & (world.sources == 0))
    p = ensemble.predict({CANVAS: world.pixels(rows)})
    truth = targets(world.labels[rows], NAMES, Task.SPECIES, SPECIES)
    known = truth >= 0
    who = section(both, "generated", "test")["who"]
    for how in Averaging:
        expected = figures(average(p[known], how), truth[known], SPECIES)
        found = who[f"ensemble:{how}"]["image"]
        assert {key: found[key] for key in expected if key != "nll"} == {
            key: value for key, value in expected.items() if key != "nll"
        }
    groups = grouped(world.events[rows])
    event_truth = event_targets(groups, world.labels[rows], NAMES, Task.SPECIES, SPECIES)
    pooled = pool(p[groups.order, 1].astype(np.float64), groups.starts, Averaging.LOGIT)
    expected = figures(pooled[event_truth >= 0], event_truth[event_truth >= 0], SPECIES)
    assert who["species1"]["event"]["accuracy"] == expected["accuracy"]
    assert who["species1"]["event"]["n"] == expected["n"] > 0


def test_files_are_measured_like_their_folder(both: dict[str, Any], world: TrainingSet, tiny_models: Path) -> None:
    files = sorted((tiny_models / "empty").glob("*.safetensors"))
    alone = evaluate([files], world, device=CPU, rounds=50)
    assert alone["sections"] == both["empty_filter"]["sections"]
    assert (alone["pipeline"], alone["match_human"], alone["labour"]) == (None, None, [])
    single = evaluate([files[0]], world, device=CPU, rounds=50)
    assert [each["name"] for each in single["models"]] == ["empty0"]
    assert all(row["level"] == "event - image" for row in section(single, "real", "test")["compared"])


def test_pixels_are_read_in_pieces_and_progress_is_told(
    world: TrainingSet, tiny_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctwatch_train.figures.evaluate._AT_ONCE", 20)
    said: list[tuple[int, int]] = []
    ensemble = Ensemble([EagerEngine(*load(tiny_models / "empty" / "member0.safetensors"), CPU)])
    rows = every_row(world)[:50]
    (whole,) = predict([ensemble], world, rows, lambda done, of: said.append((done, of)))
    assert said == [(20, 50), (40, 50), (50, 50)]
    assert np.abs(whole - ensemble.predict({CANVAS: world.pixels(rows)})).max() < 1e-5


# --- what does not fit


def test_another_canvas_is_refused_and_both_are_named(tiny_models: Path) -> None:
    other = training_set(about={"canvas": Canvas(72, 96, 0.0, 0.1)})
    with pytest.raises(ConfigError) as caught:
        evaluate([tiny_models / "species", tiny_models / "empty"], other, device=CPU)
    assert len(caught.value.problems) == 6
    assert "species0 needs photographs of 32 x 32" in caught.value.problems[0]
    assert "96 x 72 with 0 and 0.1 cut off" in caught.value.problems[0]


def test_models_that_are_no_pair_are_refused(world: TrainingSet, tiny_models: Path, tmp_path: Path) -> None:
    species, empty = tiny_models / "species", tiny_models / "empty"
    with pytest.raises(ConfigError, match="name one, or one empty filter and one for species"):
        evaluate([species, species], world, device=CPU)
    with pytest.raises(ConfigError, match="for nothing"):
        evaluate([], world, device=CPU)
    with pytest.raises(ConfigError, match="are not one ensemble"):
        evaluate([[species / "member0.safetensors", empty / "member0.safetensors"]], world, device=CPU)
    with pytest.raises(ConfigError, match="no model file"):
        evaluate([[]], world, device=CPU)
    with pytest.raises(ConfigError, match="dev: not a split; there are train, validation, test, test_seen"):
        evaluate([species], world, device=CPU, splits=("dev",))
    with pytest.raises(ModelError, match="no model file"):
        evaluate([tmp_path], world, device=CPU)
    shutil.copy(species / "member0.safetensors", tmp_path / "a.safetensors")
    shutil.copy(empty / "member0.safetensors", tmp_path / "b.safetensors")
    with pytest.raises(ModelError, match="is for the task"):
        evaluate([tmp_path], world, device=CPU)


def test_a_set_with_nothing_to_measure_on_is_refused(world: TrainingSet, tiny_models: Path) -> None:
    all_train = replace(world, splits=np.zeros(len(world), np.int8))
    with pytest.raises(ConfigError, match="no photograph in test or test_seen"):
        evaluate([tiny_models / "species"], all_train, device=CPU)
    strangers = replace(world, label_names=(BLANK, "a", "b", "c", "d", "e"))
    with pytest.raises(ConfigError, match="has one of the 4 labels of species0; the set's are blank, a, b"):
        evaluate([tiny_models / "species"], strangers, device=CPU)


@pytest.mark.parametrize("wrong", ["nan", "shape"])
def test_probabilities_that_are_none_are_refused(world: TrainingSet, wrong: str) -> None:
    p = random_probabilities(len(world), 1, 4)
    p[0, 0, 0] = np.nan
    info = model("a", Task.SPECIES, SPECIES)
    with pytest.raises(ValueError, match=r"not numbers|shape"):
        figures_of(p if wrong == "nan" else p[:, :, :3], (info,), view_of(world, every_row(world)), rounds=10)


# --- what is missing is said


def test_without_unseen_places_there_is_no_such_section_and_a_note_says_why(world: TrainingSet) -> None:
    splits = np.where(world.splits == SPLITS.index("test"), SPLITS.index("train"), world.splits).astype(np.int8)
    source = replace(world, splits=splits, about=replace(world.about, unit="event"))
    result = figures_of(
        random_probabilities(len(source), 1, 4),
        (model("a", Task.SPECIES, SPECIES),),
        view_of(source, every_row(source)),
        about=about_set(source),
        rounds=10,
    )
    assert {each["split"] for each in result["sections"]} == {"test_seen"}
    assert any("split by event, has no photograph in `test`" in note for note in result["notes"])


def test_a_test_that_shares_places_or_events_with_training_says_so(world: TrainingSet) -> None:
    splits = np.where(world.events % 2 == 0, 0, 2).astype(np.int8)
    source = replace(world, splits=splits, about=replace(world.about, unit="image", leaky=True))
    result = figures_of(
        random_probabilities(len(source), 1, 4),
        (model("a", Task.SPECIES, SPECIES),),
        view_of(source, every_row(source)),
        about=about_set(source),
        rounds=10,
    )
    notes = "\n".join(result["notes"])
    shared = len(set(world.locations[splits == 0].tolist()) & set(world.locations[splits == 2].tolist()))
    tested = len(set(world.locations[splits == 2].tolist()))
    assert f"{shared} of the {tested} locations of `test` are in training too" in notes
    assert shared > 1
    assert "too good to be true" in notes
    assert "no photograph in `test_seen`" in notes
    assert "No validation photographs" in notes
    assert "do not say how frequent" in notes
    assert "Lycaon pictus" in notes


def test_models_of_another_set_are_named(world: TrainingSet) -> None:
    infos = (
        model("here", Task.SPECIES, SPECIES, data_fingerprint=world.about.fingerprint),
        model("elsewhere", Task.SPECIES, SPECIES, data_fingerprint="other"),
    )
    view, p = view_of(world, every_row(world)), random_probabilities(len(world), 2, 4)
    notes = figures_of(p, infos, view, about=about_set(world), rounds=10)["notes"]
    assert [note for note in notes if "another set" in note and note.startswith("elsewhere:")]
    notes = figures_of(p[:, :1], infos[:1], view, about=about_set(world), rounds=10)["notes"]
    assert not any("another set" in note for note in notes)


def test_one_place_gives_no_interval_by_places(world: TrainingSet) -> None:
    result = figures_of(
        random_probabilities(len(world), 1, 4),
        (model("a", Task.SPECIES, SPECIES),),
        view_of(world, every_row(world)),
        rounds=10,
    )
    cell = section(result, "generated", "test")
    assert cell["used"]["locations"] == 1
    assert cell["ensemble"]["location_ci"]["image"]["accuracy"] is None
    assert cell["who"]["a"]["image"]["ci"]["accuracy"] is not None


def test_a_section_of_blanks_alone_has_figures_of_nothing(world: TrainingSet) -> None:
    source = replace(world, labels=np.zeros(len(world), np.int32))
    result = figures_of(
        random_probabilities(len(source), 2, 4),
        (model("a", Task.SPECIES, SPECIES), model("b", Task.SPECIES, SPECIES)),
        view_of(source, every_row(source)),
        rounds=10,
    )
    cell = section(result, "real", "test")
    assert cell["who"]["ensemble:logit"]["event"]["n"] == 0
    assert cell["who"]["ensemble:logit"]["event"]["ci"]["accuracy"] is None
    assert cell["left_out"] == {"blank": cell["used"]["photographs"], "several": 0, "unknown_label": {}}
    assert cell["compared"] == []
    assert result["mistakes"] == []
    assert result["controls"]["majority_baseline"] == []
    json.dumps(result, allow_nan=False)


def test_a_set_without_blanks_is_measured_too() -> None:
    source = training_set()
    source = replace(
        source, label_names=NAMES[1:], labels=np.where(source.labels > 0, source.labels - 1, -1).astype(np.int32)
    )
    assert all(cell["blank"] == 0 for cell in about_set(source)["counts"].values())
    info = model("a", Task.EMPTY, ("animal", BLANK))
    result = figures_of(random_probabilities(len(source), 1, 2), (info,), view_of(source, every_row(source)), rounds=10)
    cell = section(result, "real", "test")
    assert cell["ensemble"]["filter"]["image"]["blanks"] == 0
    assert cell["ensemble"]["empty_curve"] == {"image": [], "event": []}
    assert cell["who"]["a"]["image"]["n"] == cell["used"]["photographs"]


# --- figures


def test_models_that_know_are_right_and_better_than_the_commonest_label(world: TrainingSet) -> None:
    info = model("a", Task.SPECIES, SPECIES)
    result = figures_of(perfect(world, Task.SPECIES, SPECIES), (info,), view_of(world, every_row(world)), rounds=20)
    for cell in result["sections"]:
        for level in ("image", "event"):
            assert cell["who"]["ensemble:logit"][level]["accuracy"] == 1.0
            assert cell["who"]["ensemble:logit"][level]["ci"]["accuracy"] == [1.0, 1.0]
    assert result["mistakes"] == []
    trained = world.labels[(world.splits == 0) & (world.sources == 0)]
    counts = [(trained == NAMES.index(label)).sum() for label in SPECIES]
    baseline = result["controls"]["majority_baseline"][0]
    assert baseline["label"] == SPECIES[int(np.argmax(counts))]
    assert baseline["label_train_share"] == pytest.approx(max(counts) / sum(counts), abs=1e-4)
    assert baseline["accuracy"] < 1


def test_sources_are_never_mixed(world: TrainingSet) -> None:
    """Models that know on one source and are wrong on the other: nothing in between appears anywhere."""
    p = perfect(world, Task.SPECIES, SPECIES)
    real = world.sources == 1
    p[real] = np.roll(p[real], 1, axis=2)
    info = model("a", Task.SPECIES, SPECIES)
    result = figures_of(p, (info,), view_of(world, every_row(world)), rounds=10)
    for cell in result["sections"]:
        assert cell["who"]["a"]["image"]["accuracy"] == (0.0 if cell["source"] == "real" else 1.0)
    assert {mistake["source"] for mistake in result["mistakes"]} == {"real"}


@settings(max_examples=10, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_photographs_does_not_matter(random: Any) -> None:
    world = training_set(3)
    p = random_probabilities(len(world), 2, 4)
    infos = (model("a", Task.SPECIES, SPECIES), model("b", Task.SPECIES, SPECIES))
    order = list(range(len(world)))
    random.shuffle(order)
    one = figures_of(p, infos, view_of(world, every_row(world)), rounds=10)
    other = figures_of(p[order], infos, view_of(world, np.array(order)), rounds=10)
    for a, b in zip(one["sections"], other["sections"], strict=True):
        for who in a["who"]:
            for level in ("image", "event"):
                for figure in ("n", "accuracy", "macro_recall", "macro_f1", "recall"):
                    assert a["who"][who][level][figure] == b["who"][who][level][figure]
                assert a["who"][who][level]["ci"] == b["who"][who][level]["ci"]


def test_species_are_balanced_by_weights(world: TrainingSet) -> None:
    infos = (model("a", Task.SPECIES, SPECIES),)
    result = figures_of(random_probabilities(len(world), 1, 4), infos, view_of(world, every_row(world)), rounds=10)
    plain, equal = (section(result, "generated", "test_seen", prior) for prior in ("natural", "balanced"))
    assert (plain["balancing"], equal["balancing"]) == (None, "weights")
    for level in ("image", "event"):
        assert equal["who"]["a"][level]["accuracy"] == pytest.approx(plain["who"]["a"][level]["macro_recall"], abs=1e-4)
        assert equal["who"]["a"][level]["n"] == plain["who"]["a"][level]["n"]
    assert any("weigh photographs" in note for note in result["notes"])


def test_an_empty_filter_is_balanced_by_the_photographs_that_are_marked(world: TrainingSet) -> None:
    rows = np.flatnonzero((world.splits == 2) & (world.sources == 0))
    blank = world.labels[rows] == 0
    few = min(blank.sum(), (~blank).sum())
    marked = np.zeros(len(world), bool)
    marked[rows[blank][:few]] = marked[rows[~blank][:few]] = True
    source = replace(world, balanced=marked)
    infos = (model("a", Task.EMPTY, ("animal", BLANK), thresholds={BLANK: 0.6}),)
    result = figures_of(random_probabilities(len(world), 1, 2), infos, view_of(source, every_row(source)), rounds=10)
    cell = section(result, "generated", "test", "balanced")
    assert cell["balancing"] == "rows"
    assert cell["used"]["photographs"] == 2 * few
    assert cell["ensemble"]["filter"]["image"]["blank_share"] == 0.5
    # Nothing is marked elsewhere, so weights do it there.
    assert section(result, "real", "test", "balanced")["balancing"] == "weights"


def test_a_filters_event_is_blank_only_if_every_frame_is(world: TrainingSet) -> None:
    labels = ("animal", BLANK)
    infos = (
        model("a", Task.EMPTY, labels, thresholds={BLANK: 0.5}),
        model("b", Task.EMPTY, labels, thresholds={BLANK: 0.7}),
    )
    p = random_probabilities(len(world), 2, 2, seed=5)
    result = figures_of(p, infos, view_of(world, every_row(world)), rounds=10)
    found = section(result, "real", "test")["ensemble"]["filter"]
    assert found["threshold"] == pytest.approx(0.6)
    rows = np.flatnonzero((world.splits == 2) & (world.sources == 1))
    mean = average(p[rows], Averaging.LOGIT)[:, 1]
    kept = removed = animals = blanks = 0
    for event in set(world.events[rows].tolist()):
        inside = world.events[rows] == event
        is_blank, said = (world.labels[rows][inside] == 0).all(), (mean[inside] >= 0.6).all()
        animals, blanks = animals + (not is_blank), blanks + is_blank
        kept, removed = kept + (not is_blank and not said), removed + (is_blank and said)
    assert (found["event"]["animals"], found["event"]["blanks"]) == (animals, blanks)
    assert found["event"]["animal_recall"] == pytest.approx(kept / animals, abs=1e-4)
    assert found["event"]["empty_recall"] == pytest.approx(removed / blanks, abs=1e-4)
    assert [cell["name"] for cell in found["image"]["at_priors"]] == ["natural", "equal", "paper (0.75)"]


def test_the_temperature_is_taken_back_for_the_comparison(world: TrainingSet) -> None:
    sharp = perfect(world, Task.SPECIES, SPECIES)
    calm = (sharp**0.5) / (sharp**0.5).sum(axis=2, keepdims=True)
    info = model("a", Task.SPECIES, SPECIES, temperature=2.0)
    view = view_of(world, every_row(world))
    halved = section(figures_of(calm, (info,), view, rounds=10), "real", "test")["ensemble"]["reliability"]
    whole = section(figures_of(sharp, (info,), view, rounds=10), "real", "test")["ensemble"]["reliability"]
    assert halved["before"] == whole["after"]
    assert halved["after"]["ece"] > whole["after"]["ece"]


def test_decisions_for_other_frequencies_need_the_models_to_say_theirs(world: TrainingSet) -> None:
    equal = dict.fromkeys(SPECIES, 0.25)
    natural = dict(zip(SPECIES, (0.97, 0.01, 0.01, 0.01), strict=True))
    view = view_of(world, every_row(world))
    p = random_probabilities(len(world), 1, 4)
    silent = model("a", Task.SPECIES, SPECIES)
    assert section(figures_of(p, (silent,), view, rounds=10), "real", "test")["ensemble"]["adjusted"] is None
    says = replace(silent, recipe={"priors": {"training": equal, "natural": natural}})
    result = figures_of(p, (says,), view, rounds=10)
    adjusted = section(result, "generated", "test_seen")["ensemble"]["adjusted"]
    assert adjusted["from"] == equal
    assert adjusted["to"] == pytest.approx(natural)
    # Told that nearly all is the first label, nearly all answers are.
    cell = adjusted["image"]["recall"]
    plain = section(result, "generated", "test_seen")["who"]["a"]["image"]["recall"]
    assert cell[SPECIES[0]]["said"] > plain[SPECIES[0]]["said"]
    even = section(result, "generated", "test_seen", "balanced")
    assert even["ensemble"]["adjusted"]["to"] == equal
    assert even["ensemble"]["adjusted"]["image"] == even["who"]["ensemble:logit"]["image"]
    assert not any("do not say how frequent" in note for note in result["notes"])


def test_the_prior_of_several_models_is_their_geometric_mean() -> None:
    two = ("a", "b")
    priors = ({"a": 0.8, "b": 0.2}, {"a": 0.5, "b": 0.5})
    infos = tuple(model(str(at), Task.SPECIES, two, recipe={"priors": {"training": p}}) for at, p in enumerate(priors))
    subject = Subject(infos, random_probabilities(1, 2, 2))
    # Odds of 4 and of 1: 2 together.
    assert prior_of(subject, "training") == pytest.approx([2 / 3, 1 / 3])
    assert prior_of(subject, "natural") is None
    lacking = replace(infos[0], recipe={"priors": {"training": {"a": 1.0}}})
    assert prior_of(Subject((lacking,), random_probabilities(1, 1, 2)), "training") is None


def test_photographs_of_unknown_places_are_no_shared_place(world: TrainingSet) -> None:
    splits = np.where(world.locations < 4, world.splits, np.where(world.events % 2, 0, 2)).astype(np.int8)
    splits[world.locations < 4] = 1
    source = replace(world, splits=splits)
    shared = about_set(source)["test_locations_in_training"]
    assert shared > 1
    nameless = replace(source, location_names=(*world.location_names[:4], "", *world.location_names[5:]))
    assert about_set(nameless)["test_locations_in_training"] == shared - 1


def test_the_best_member_and_the_ensemble_are_compared_on_the_same_draws(world: TrainingSet) -> None:
    good, bad = perfect(world, Task.SPECIES, SPECIES), random_probabilities(len(world), 1, 4)
    infos = (model("bad", Task.SPECIES, SPECIES), model("good", Task.SPECIES, SPECIES))
    result = figures_of(np.concatenate([bad, good], axis=1), infos, view_of(world, every_row(world)), rounds=200)
    rows = section(result, "generated", "test_seen")["compared"]
    assert [(row["figure"], row["level"]) for row in rows] == [
        (figure, level) for figure in ("accuracy", "macro_recall") for level in ("image", "event", "event - image")
    ]
    assert {row["b"] for row in rows if row["level"] != "event - image"} == {"good"}
    for row in rows[:2]:
        assert row["difference"] <= 0
        assert row["ci"][1] <= 0
        assert row["clear"] == (row["ci"][1] < 0)


def test_mistakes_are_the_surest_first_and_then_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sections, "MISTAKES", 3)
    world = training_set(1, events=150)
    infos = (model("a", Task.SPECIES, SPECIES),)
    view = view_of(world, every_row(world))
    p = random_probabilities(len(world), 1, 4)
    found = figures_of(p, infos, view, rounds=10, seed=1)["mistakes"]
    assert [(each["source"], each["kind"]) for each in found] == [
        (source, kind) for source in ("generated", "real") for kind in ("worst", "random") for _ in range(3)
    ]
    sure = [each["answers"][0][1] for each in found[:6]]
    assert sure[:3] == sorted(sure[:3], reverse=True)
    assert min(sure[:3]) >= max(sure[3:])
    for each in found:
        row = world.paths.index(each["path"])
        assert each["truth"] == NAMES[world.labels[row]] != each["answers"][0][0]
        assert each["event"] == world.event_names[world.events[row]]
        assert each["split"] == "test"
    assert figures_of(p, infos, view, rounds=10, seed=1)["mistakes"] == found
    assert figures_of(p, infos, view, rounds=10, seed=2)["mistakes"][:3] == found[:3]


def test_models_of_one_name_are_told_apart(world: TrainingSet) -> None:
    infos = (
        model("a", Task.SPECIES, SPECIES, model_id="0123456789"),
        model("a", Task.SPECIES, SPECIES, model_id="9876543210"),
    )
    result = figures_of(random_probabilities(len(world), 2, 4), infos, view_of(world, every_row(world)), rounds=10)
    names = [each["name"] for each in result["models"]]
    assert names == ["a (01234567)", "a (98765432)"]
    assert list(result["sections"][0]["who"])[:2] == names


# --- operating points


def subjects(world: TrainingSet, seed: int = 2) -> tuple[Subject, Subject]:
    species = Subject((model("s", Task.SPECIES, SPECIES),), random_probabilities(len(world), 1, 4, seed))
    empty = Subject((model("e", Task.EMPTY, ("animal", BLANK)),), random_probabilities(len(world), 1, 2, seed + 1))
    return species, empty


def test_photographs_and_events_on_their_way_through_two_stages(world: TrainingSet) -> None:
    species, empty = subjects(world)
    rows = np.flatnonzero(world.splits == 3)
    found = operating.staged(species, empty, view_of(world, every_row(world)), rows)
    blank, named = empty.probabilities[:, 0, 1].astype(np.float64), species.probabilities[:, 0].astype(np.float64)
    image, event_of, several = found["image"]
    labels = world.labels[rows]
    assert several == (labels == -1).sum()
    known = {NAMES.index(label): at for at, label in enumerate(SPECIES)} | {0: BLANK_TRUTH}
    assert image.truth.tolist() == [known.get(label, OTHER_TRUTH) for label in labels[labels != -1].tolist()]
    assert len(event_of) == len(image.truth)
    items, _, left_out = found["event"]
    position = mixed = 0
    for event in sorted(set(world.events[rows].tolist())):
        inside = rows[world.events[rows] == event]
        seen = set(world.labels[inside].tolist()) - {0}
        if len(seen) > 1 or -1 in seen:
            mixed += 1
            continue
        assert items.truth[position] == (known.get(next(iter(seen)), OTHER_TRUTH) if seen else BLANK_TRUTH)
        least = blank[inside].min()
        assert items.blank[position] == (least > 0.5)
        assert items.first[position] == pytest.approx(max(least, 1 - least), abs=1e-6)
        shown = inside[blank[inside] <= 0.5] if (blank[inside] <= 0.5).any() else inside
        pooled = pool(named[shown], np.zeros(1, np.int64), Averaging.LOGIT)[0]
        assert items.second[position] == pytest.approx(pooled.max(), abs=1e-6)
        position += 1
    assert (position, mixed) == (len(items.truth), left_out)


def test_the_pipeline_is_reported_for_every_source_split_and_level(both: dict[str, Any]) -> None:
    results = both["pipeline"]["results"]
    assert [(each["source"], each["split"], each["level"]) for each in results] == [
        (source, split, level)
        for source in ("generated", "real")
        for split in ("test", "test_seen")
        for level in ("image", "event")
    ]
    for each in results:
        grid, point = each["grid"], each["paper_point"]
        assert (point["t1"], point["t2"]) == (0.5, 0.97)
        cell = grid["coverage"][grid["t1"].index(0.5)][grid["t2"].index(0.97)]
        assert cell == point["coverage"]
        wrong = point["missed_animals"] + point["empties_named"] + point["wrong_species"]
        assert point["accuracy"] is None or point["accuracy"] == pytest.approx(1 - wrong / point["auto"], abs=1e-4)


def test_thresholds_are_chosen_on_validation_and_reported_on_the_tests() -> None:
    """Models that know, and filters too: on validation everything can be automatic, and on the tests it is."""
    world = training_set(4, events=900)
    species = Subject((model("s", Task.SPECIES, SPECIES),), perfect(world, Task.SPECIES, SPECIES))
    empty = Subject((model("e", Task.EMPTY, ("animal", BLANK)),), perfect(world, Task.EMPTY, ("animal", BLANK)))
    view = view_of(world, every_row(world))
    match = operating.match_of(species, empty, view, ("test", "test_seen"), target=0.9)
    assert match is not None
    # Location 5 alone is for validation, and it is of the second source.
    (cell,) = match["image"]
    assert (cell["source"], match["stages"]) == ("real", 2)
    # A species that the models do not know gets 0.25 for each of theirs, so a threshold above leaves it to people.
    assert 0.88 < cell["chosen"]["t1"] <= 0.9
    assert 0.25 < cell["chosen"]["t2"] <= 0.9
    assert cell["chosen"]["accuracy"] == 1.0
    assert [(each["source"], each["split"]) for each in cell["results"]] == [("real", "test"), ("real", "test_seen")]
    for each in cell["results"]:
        assert (each["t1"], each["t2"]) == (cell["chosen"]["t1"], cell["chosen"]["t2"])
        assert each["reached"] is True
        assert each["ci"] == [1.0, 1.0]
    impossible = operating.match_of(species, empty, view, ("test",), target=1.0)
    assert impossible is not None
    assert (impossible["image"][0]["chosen"], impossible["image"][0]["results"]) == (None, [])
    none = replace(world, splits=np.full(len(world), 2, np.int8))
    assert operating.match_of(species, empty, view_of(none, every_row(none)), ("test",)) is None


def test_species_models_alone_are_matched_in_one_stage(both: dict[str, Any], tiny_models: Path) -> None:
    alone = evaluate([tiny_models / "species"], training_set(4, events=200), device=CPU, rounds=20)
    assert alone["match_human"]["stages"] == 1
    assert both["match_human"]["stages"] == 2
    assert alone["empty_filter"] is None
    assert alone["pipeline"] is None


def test_each_label_gets_the_threshold_that_validation_supports() -> None:
    world = training_set(4, events=900)
    species = Subject((model("s", Task.SPECIES, SPECIES),), perfect(world, Task.SPECIES, SPECIES))
    found = operating.thresholds_of(species, view_of(world, every_row(world)), ("test",), least=5)
    assert found is not None
    assert found["pooled"] == pytest.approx(0.9)
    assert list(found["labels"]) == list(SPECIES)
    assert all(cell["threshold"] == pytest.approx(0.9) for cell in found["labels"].values())
    assert found["too_few"] == [label for label, cell in found["labels"].items() if cell["n"] < 5]
    assert {(each["coverage"], each["accuracy"]) for each in found["results"]} == {(1.0, 1.0)}
    few = operating.thresholds_of(species, view_of(world, every_row(world)), ("test",), least=10_000)
    assert few is not None
    assert few["too_few"] == list(SPECIES)


def test_work_is_estimated_at_the_unseen_splits_coverage_for_each_source(both: dict[str, Any]) -> None:
    cells = {each["source"]: each for each in both["labour"]}
    assert set(cells) == {"generated", "real"}
    paper = {
        each["source"]: each["paper_point"]["coverage"]
        for each in both["pipeline"]["results"]
        if (each["split"], each["level"]) == ("test", "image")
    }
    for source, cell in cells.items():
        assert cell["images"] == sum(part["photographs"] for part in both["set"]["sources"][source].values())
        assert cell["note"] == "estimate, linear extrapolation"
        if "the paper's thresholds" in cell["from"]:
            assert cell["coverage"] == paper[source]


def test_the_number_of_photographs_to_extrapolate_to_can_be_said(world: TrainingSet, tiny_models: Path) -> None:
    told = evaluate([tiny_models / "species", tiny_models / "empty"], world, device=CPU, rounds=10, images=3_200_000)[
        "labour"
    ]
    assert {each["images"] for each in told} == {3_200_000}
    assert all(each["years"] == pytest.approx(8.4945 * each["coverage"], abs=2e-3) for each in told)

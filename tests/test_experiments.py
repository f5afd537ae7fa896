"""The standing experiment: its figures on answers worked out by hand, its words whichever way figures fall, its page."""

import csv
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ctwatch_train.generate import World
from ctwatch_train.sets.dataset import open_set
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.experiments import controls, questions, wording
from benchmarks.experiments.cells import (
    Cell,
    Estimate,
    Frames,
    Run,
    auroc,
    estimate,
    events,
    images,
    mean,
    over_worlds,
    ranks,
    spearman,
)  # fmt: skip
from benchmarks.experiments.command import analysed
from benchmarks.experiments.page import PAPER, page
from benchmarks.experiments.pictures import pictures
from benchmarks.experiments.settings import (
    EMPTY,
    EMPTY_ERASED,
    ERASED,
    METHODS,
    PLAIN,
    QUICK,
    SHUFFLED,
    STANDARD,
    Job,
    jobs,
    recipe_of,
)  # fmt: skip
from benchmarks.experiments.work import draw_world, train_network
from benchmarks.experiments.world import frames_of, shuffled

DOCS = Path(__file__).parent.parent / "docs"


def some(value: float, low: float, high: float, *by_world: float) -> dict[str, Any]:
    return {"value": value, "ci": [low, high], "by_world": list(by_world or (value,))}


# --- settings


def test_every_network_has_a_recipe_and_a_place_of_its_own() -> None:
    for size in (QUICK, STANDARD):
        todo = jobs(size)
        assert len({(job.world, job.folder, job.seed) for job in todo}) == len(todo)
        for job in todo:
            recipe = recipe_of(size, job)
            assert [member.seed for member in recipe.members] == [job.seed]
            assert recipe.keep == "last"
    assert len(STANDARD.seeds) >= 3
    worlds = [STANDARD.world_of(seed) for seed in STANDARD.seeds]
    places = [place for world in worlds for place in world.places]
    assert len(set(places)) == len(places)


def test_methods_differ_from_plain_in_what_they_are_named_for_alone() -> None:
    by_run = {
        job.run: recipe_of(STANDARD, job).as_table() for job in jobs(STANDARD) if job.seed == 1 and job.world == 1
    }
    for name, change in METHODS.items():
        different = {key for key, value in by_run[name].items() if value != by_run[PLAIN][key]} - {"name"}
        assert different == set(change)
    # 0.01 at a batch of 128 is 1.28 / batch size at any.
    loss = by_run["clamped weighted loss"]["loss"]
    assert loss["clamp"] * 128 == pytest.approx(1.28)
    assert loss["clamp_scaled"] is True


# --- figures


def frames(n_events: int = 40, seed: int = 0) -> Frames:
    """Events of three photographs; the third one is empty. Two known species, at ten places, in every part and split."""
    rng = np.random.default_rng(seed)
    cells = [
        ("natural", "validation"), ("natural", "test_seen"), ("natural", "test"), ("aside", "test_seen"),
        ("balanced", "test_seen"), ("balanced", "test"), ("unknown", "test_seen"), ("unknown", "test"),
    ]  # fmt: skip
    species, part, split, event = [], [], [], []
    for number, (one, other) in enumerate(cells):
        for index in range(n_events):
            kinds = [-2] if one == "unknown" else [0, 0, 1] if one == "balanced" else [0, 0, 1, -1]
            species += [int(rng.choice(kinds))] * 3
            part += [one] * 3
            split += [other] * 3
            event += [number * n_events + index] * 3
    of_event = np.array(species, np.int64)
    seen = of_event.copy()
    seen[2::3] = -1
    events_ = np.array(event, np.int64)
    return Frames(
        ("cat", "hare"), ("bird",), np.array([60, 20], np.int64), seen, of_event, events_, events_ % 10,
        np.array(part), np.array(split),
    )  # fmt: skip


def answering(there: Frames, right: float, *, members: int = 2, task: str = "species", seed: int = 0) -> Run:
    """Networks that are right on each photograph of an animal by a chance, and empty photographs puzzle them."""
    rng = np.random.default_rng(seed)
    n = len(there.seen)
    run = Run(
        there, task, np.zeros((members, n, 2), np.float32), np.ones(members), np.full(members, 9.0), np.ones(members)
    )
    truth = np.maximum(run.truth(), 0)
    logits = rng.normal(0, 0.3, (members, n, 2))
    for member in range(members):
        answer = np.where(rng.random(n) < right, truth, 1 - truth)
        logits[member, np.arange(n), answer] += np.where((there.seen >= 0) | (task == "empty"), 2.0, 0.0)
    return replace(run, logits=logits.astype(np.float32))


def cell(right: list[int], clusters: list[int]) -> Cell:
    """Items of one label, right where the list has 1."""
    said = np.array([[0.9, 0.1] if each else [0.1, 0.9] for each in right])
    numbers = np.array(clusters, np.int64)
    return Cell(said, np.zeros(len(right), np.int64), numbers, numbers, int(numbers.max()) + 1, int(numbers.max()) + 1)


def test_an_estimate_is_the_plain_figure_and_its_interval_is_over_whole_events() -> None:
    alone = estimate(cell([1, 0] * 50, list(range(100))), "accuracy", rounds=400)
    together = estimate(cell([1] * 50 + [0] * 50, [0] * 50 + [1] * 50), "accuracy", rounds=400)
    assert alone.value == together.value == 0.5
    assert alone.table()["ci"] == pytest.approx([0.4, 0.6], abs=0.03)
    # Two events, all right or all wrong: another draw of two may be anything.
    assert together.table()["ci"] == [0.0, 1.0]


def test_macro_recall_and_f1_by_hand() -> None:
    said = np.array([[1.0, 0], [1, 0], [0, 1], [1, 0]])
    own = Cell(said, np.array([0, 0, 0, 1]), np.arange(4), np.arange(4), 4, 4)
    assert estimate(own, "macro_recall", rounds=0).value == pytest.approx((2 / 3 + 0) / 2)
    assert estimate(own, "macro_f1", rounds=0).value == pytest.approx((2 * 2 / (3 + 3) + 0) / 2)
    assert estimate(own, "accuracy", rounds=0).value == 0.5
    assert estimate(own.only([1]), "macro_recall", rounds=0).value == 0


def test_differences_are_paired() -> None:
    """One is right wherever the other is, and on one event more: the difference is sure, though neither figure is."""
    right = [1, 0, 1, 1, 0, 0, 1, 0] * 10
    better = [*right]
    better[1] = better[4] = better[5] = 1
    a, b = (estimate(cell(each, list(range(80))), "accuracy", rounds=500) for each in (better, right))
    gain = a.minus(b)
    assert gain.value == pytest.approx(3 / 80)
    assert gain.table()["ci"][0] >= 0
    assert a.table()["ci"][0] < b.table()["ci"][1]
    assert gain.clear() >= 0
    assert a.minus(a).clear() == 0


def test_worlds_are_averaged_and_kept_apart() -> None:
    one, other = Estimate(0.5, np.array([0.4, 0.6]), (0.5,)), Estimate(0.9, np.array([0.9, 0.9]), (0.9,))
    both = over_worlds([one, other])
    assert both.value == pytest.approx(0.7)
    assert both.by_world == (0.5, 0.9)
    assert sorted(both.draws) == pytest.approx([0.65, 0.75])
    assert over_worlds([one, other]).minus(over_worlds([one, other])).table()["ci"] == [0, 0]
    assert mean([one, other]).by_world == pytest.approx((0.7,))


def test_photographs_that_the_animal_has_left_count_by_the_event_s_name_only_where_asked() -> None:
    there = frames()
    run = answering(there, 1.0)
    said = run.probabilities(0)
    own, paper = images(run, said, "natural", "test"), images(run, said, "natural", "test", of_events=True)
    assert len(paper.targets) * 2 == len(own.targets) * 3
    assert estimate(own, "accuracy", rounds=0).value == 1
    assert estimate(paper, "accuracy", rounds=0).value < 0.95
    whole = events(run, said, "natural", "test")
    assert len(whole.targets) * 3 == len(paper.targets)
    assert estimate(whole, "accuracy", rounds=0).value == 1
    assert np.array_equal(np.unique(whole.events), np.unique(own.events))
    assert whole.n_events == own.n_events == 40


def test_an_empty_filter_s_event_is_an_animal_s_if_any_photograph_is() -> None:
    run = answering(frames(), 1.0, task="empty")
    said = run.probabilities(0)
    whole, own = events(run, said, "natural", "test"), images(run, said, "natural", "test")
    assert len(whole.targets) == 40
    assert len(own.targets) == 120
    assert set(whole.targets.tolist()) == {0, 1}
    animal = run.frames.of_event[run.frames.where("natural", "test")][::3] >= 0
    assert np.array_equal(whole.targets == 0, animal)


def test_spearman_by_hand() -> None:
    assert spearman([1, 2, 3, 4], [10, 20, 30, 40]) == pytest.approx(1)
    assert spearman([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1)
    # 1 - 6 sum(d^2) / (n (n^2 - 1)) with d = 0, 1, -1, 0.
    assert spearman([1, 2, 3, 4], [1, 3, 2, 4]) == pytest.approx(1 - 6 * 2 / (4 * 15))
    assert spearman([1, 2], [1, 2]) is None
    assert spearman([1, 1, 1], [1, 2, 3]) is None
    assert ranks(np.array([5.0, 1, 5, 9])).tolist() == [2.5, 1, 2.5, 4]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=25))
def test_auroc_is_the_share_of_pairs_in_order(items: list[tuple[int, bool]]) -> None:
    scores = np.array([score for score, _ in items], np.float64)
    positive = np.array([kind for _, kind in items])
    if positive.all() or not positive.any():
        return
    pairs = [(a > b) + (a == b) / 2 for a in scores[positive] for b in scores[~positive]]
    found = auroc(scores, positive, np.arange(len(items)), rounds=5)
    assert found.value == pytest.approx(np.mean(pairs))
    assert len(found.draws) == 5
    assert ((found.draws >= 0) & (found.draws <= 1)).all()


# --- work

MICRO = replace(
    QUICK,
    name="micro",
    world=World(
        seen=2, validation=1, unseen=1, events=14, unseen_events=8, blanks=0.3, rarest=2, apart=1, size=(48, 64)
    ),
    epochs=1,
    empty_epochs=1,
    canvas=(32, 40),
    crop=(32, 32),
)  # fmt: skip


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    for erased in (False, True):
        draw_world(MICRO, folder, 1, erased)
    return folder


def answers(folder: Path, name: str) -> dict[str, Any]:
    with np.load(folder / "answers" / "world-1" / f"{name}.npz", allow_pickle=False) as file:
        return dict(file)


def test_frames_of_a_world_are_what_its_tables_say(work: Path) -> None:
    there = frames_of(work / "world-1" / "plain" / "set")
    rows = []
    for part in ("natural", "aside", "balanced", "unknown"):
        with (work / "world-1" / "plain" / "photographs" / part / "labels.csv").open(newline="") as file:
            rows += [(part, row["split"], row["label"]) for row in csv.DictReader(file) if row["split"] != "train"]
    names = [*there.labels, "unknown", "blank"]
    found = Counter(zip(there.part.tolist(), there.split.tolist(), (names[each] for each in there.seen), strict=True))
    assert found == Counter(
        (part, split, "unknown" if label in there.unknown else label) for part, split, label in rows
    )
    assert len(there.unknown) == 2
    gone = there.seen != there.of_event
    assert (there.seen[gone] == -1).all()
    # Species of an event are the same on all of its photographs.
    assert len(np.unique(np.stack([there.event, there.of_event]), axis=1).T) == len(np.unique(there.event))


def test_a_network_is_trained_once_and_answers_everything_held_out(work: Path) -> None:
    job = Job(1, PLAIN, 1)
    assert train_network(MICRO, work, job).endswith(" s")
    there = frames_of(work / "world-1" / "plain" / "set")
    found = answers(work, "cross-entropy-1")
    assert found["logits"].shape == found["logits_erased"].shape == (len(there.seen), len(there.labels))
    assert np.isfinite(found["logits"]).all()
    # A photograph without an animal is the same in both worlds.
    same = np.isclose(found["logits"], found["logits_erased"], atol=1e-5).all(axis=1)
    assert same[there.seen == -1].all()
    assert not same[there.seen != -1].all()
    # Fewer photographs than a batch: one step, in which they come round again.
    assert found["shown"] == pytest.approx(64, rel=1e-3)
    assert train_network(MICRO, work, job) == "world 1, cross entropy, network 1: is there"
    assert draw_world(MICRO, work, 1, False) == "world 1: is there"


def test_shuffled_labels_are_the_same_ones_dealt_out_anew(work: Path) -> None:
    source = open_set(work / "world-1" / "plain" / "set")
    dealt = shuffled(source, 5)
    assert np.array_equal(np.bincount(dealt.labels), np.bincount(source.labels))
    changed = dealt.labels != source.labels
    blank = source.label_names.index("blank")
    assert changed[source.rows("train")].any()
    for split in ("test", "test_seen"):
        assert not changed[source.rows(split)].any()
    assert not changed[source.labels == blank].any()
    assert np.array_equal(np.sort(dealt.labels[source.rows("train")]), np.sort(source.labels[source.rows("train")]))
    assert dealt.about.fingerprint != source.about.fingerprint
    assert np.array_equal(shuffled(source, 5).labels, dealt.labels)


# --- questions


@pytest.fixture(scope="module")
def worlds() -> list[dict[str, Run]]:
    found = []
    for number in range(2):
        there = frames(seed=number)
        runs = {
            PLAIN: answering(there, 0.8, members=3, seed=number),
            f"{PLAIN}, on erased": answering(there, 0.5, members=1),
        }
        runs |= {name: answering(there, 0.85, seed=number + 7) for name in METHODS}
        runs[SHUFFLED] = answering(there, 0.5, members=1, seed=number)
        runs[ERASED] = answering(there, 0.6, members=1, seed=number)
        runs[EMPTY] = answering(there, 0.9, members=2, task="empty", seed=number)
        runs[EMPTY_ERASED] = answering(there, 0.55, members=1, task="empty", seed=number)
        found.append(runs)
    return found


@pytest.fixture(scope="module")
def results(worlds: list[dict[str, Run]]) -> dict[str, Any]:
    small = replace(QUICK, seeds=(1, 2), rounds=60)
    found = {
        "version": 1,
        "settings": small.as_table(),
        "machine": {"processor": "abacus", "cores": 2, "load": 0.5, "python": "3", "torch": "2", "numpy": "2"},
        "effort": {
            "of": "processor time",
            "networks": 9,
            "training_minutes": 1.0,
            "drawing_minutes": 0.5,
            "processes": 2,
        },
        **analysed(small, worlds),
    }
    return json.loads(json.dumps(found, allow_nan=False))  # type: ignore[no-any-return]


def test_counts_of_networks_and_of_signs_add_up(results: dict[str, Any]) -> None:
    for row in results["events"]["rows"]:
        assert row["networks"] == (6 if row["kind"] == PLAIN else 4)
        signs = row["gain_signs"]
        assert signs["clear_up"] <= signs["up"] <= row["networks"]
        assert signs["clear_up"] + signs["clear_down"] <= row["networks"]
        own = [
            each
            for each in results["events"]["networks"]
            if (each["kind"], each["split"]) == (row["kind"], row["split"])
        ]
        assert len(own) == row["networks"]
        assert sum(each["events_seen"] > each["images"] for each in own) == signs["up"]


def test_the_best_member_is_at_least_the_mean_one(results: dict[str, Any]) -> None:
    for row in results["ensemble"]["rows"]:
        assert row["best"]["value"] >= row["mean"]["value"]
        gain = row["ensemble:logit"]["value"] - row["mean"]["value"]
        assert row["against mean"]["value"] == pytest.approx(gain, abs=2e-4)


def test_a_method_is_compared_with_the_plain_networks_of_the_same_seeds(worlds: list[dict[str, Run]]) -> None:
    same = [{**runs, "emphasis": replace(runs[PLAIN], logits=runs[PLAIN].logits[:2])} for runs in worlds]
    found = questions.imbalance(same, ("emphasis",), 2, 50)
    for row in found["rows"]:
        if row["method"] in (PLAIN, "emphasis"):
            for figure in row["against"].values():
                assert (figure["value"], figure["ci"], figure["clear"]) == (0, [0, 0], 0)
    assert [species for species, _ in found["species"][0]] == ["cat", "hare"]


def test_a_threshold_that_was_never_reached_says_so(worlds: list[dict[str, Run]]) -> None:
    bad = [{PLAIN: answering(runs[PLAIN].frames, 0.5, members=1)} for runs in worlds]
    rows = questions.thresholds_at_places(bad, 20)["rows"]
    assert {row["chosen"] for row in rows} == {"seen", "validation"}
    assert all(row["accuracy"] is None and row["coverage"] is None and row["kept"] == 0 for row in rows)


def test_networks_that_know_nothing_are_not_above_the_commonest_label_and_others_are(
    worlds: list[dict[str, Run]],
) -> None:
    def clear(right: float) -> list[int]:
        own = [{SHUFFLED: answering(runs[PLAIN].frames, right, members=1)} for runs in worlds]
        return [row["clear"] for row in controls.against_majority(own, SHUFFLED, 200) if row["figure"] == "accuracy"]

    assert all(each <= 0 for each in clear(0.5))
    assert clear(1.0) == [1, 1]


def test_strange_photographs_score_higher(worlds: list[dict[str, Run]]) -> None:
    """The made-up networks give photographs of unknown species no clear answer."""
    there = worlds[0][PLAIN].frames
    assert set(controls.SCORES) == {row["score"] for row in controls.unknown_species(worlds, 20)["rows"]}
    for function in controls.SCORES.values():
        scores = function(worlds[0][PLAIN])
        strange = (there.part == "unknown") & (there.seen == -2)
        assert scores[strange].mean() > scores[(there.part == "natural") & (there.seen >= 0)].mean()


# --- words


@pytest.mark.parametrize(
    ("signs", "said"),
    [
        ([1, 1], "holds"),
        ([1, 0], "holds in 1 of 2 comparisons, open in the others"),
        ([1, -1], "holds in 1 of 2 comparisons, the contrary in 1"),
        ([0, -1], "does not hold: the contrary in 1 of 2 comparisons"),
        ([0, 0], "not shown: every interval has 0 in it"),
    ],
)
def test_verdicts_follow_the_intervals(signs: list[int], said: str) -> None:
    assert wording.verdict(signs) == said


@pytest.mark.parametrize(
    ("low", "high", "said"), [(0.97, 0.99, "reached"), (0.9, 0.96, "missed"), (0.95, 0.98, "open")]
)
def test_an_aim_is_reached_or_missed_only_by_the_whole_interval(low: float, high: float, said: str) -> None:
    assert wording.reached(some(0.965, low, high), 0.966) == said
    assert wording.reached(None, 0.966) == "no threshold"


def test_figures_in_words() -> None:
    assert wording.share(0.12345) == "12.3 %"
    assert wording.share(None) == wording.NONE
    assert wording.interval(some(0.5, 0.25, 0.75)) == "50.0 % (25.0 to 75.0)"
    assert wording.points(some(-0.012, -0.02, 0.001)) == "-1.2 (-2.0 to +0.1)"
    assert wording.each(some(0.5, 0.2, 0.7, 0.4, 0.6)) == "40.0, 60.0"
    assert wording.listed(["a", "b", "c"]) == "a, b and c"
    assert wording.listed([]) == "none"
    assert wording.grid(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | ---: |\n| 1 | 2 |"


def test_shuffled_labels_that_help_are_called_a_leak() -> None:
    row = {
        "figure": "accuracy",
        "split": "test",
        "found": some(0.6, 0.5, 0.7),
        "majority": some(0.4, 0.3, 0.5),
        "clear": 1,
    }
    assert "leaks" in wording.of_shuffled({"rows": [row]})[1]
    assert "as it must" in wording.of_shuffled({"rows": [row | {"clear": 0}]})[1]


def test_methods_that_lose_are_not_said_to_win() -> None:
    def row(name: str, split: str, tail: int, micro: int) -> dict[str, Any]:
        return {
            "method": name, "split": split, "tail": some(0.1, 0.0, 0.2),
            "against": {"tail": {"clear": tail}, "micro": {"clear": micro}},
        }  # fmt: skip

    both = ("test_seen", "test")
    rows = [row(PLAIN, split, 0, 0) for split in both] + [row("good", split, 1, -1) for split in both]
    rows += [row("half", "test_seen", 1, 0), row("half", "test", 0, 1)] + [row("bad", split, -1, 0) for split in both]
    said, outcome = wording.of_imbalance({"rows": rows})
    assert "clearly more at both: good; clearly less: bad" in said
    assert outcome == (
        "rare species gain at both kinds of places with 1 of 3 methods (good); accuracy at natural frequencies clearly falls "
        "at one kind of places at least with good, rises with half"
    )


# --- page


def test_the_page_has_a_chapter_and_a_line_per_question(results: dict[str, Any]) -> None:
    text = page(results)
    assert text == page(results)
    assert [line for line in text.splitlines() if line.startswith("## ")][1:9] == [
        "## 1. Events against photographs",
        "## 2. Ensembles against their members",
        "## 3. Coverage against accuracy",
        "## 4. What helps rare species",
        "## 5. Thresholds and calibration at seen and unseen places",
        "## 6. Control: labels dealt out at random",
        "## 7. Control: animals erased",
        "## 8. Unknown species",
    ]
    assert "quick run" in text
    assert "nan" not in text
    assert "None" not in text


def test_the_papers_figures_stand_in_their_own_column_only(results: dict[str, Any]) -> None:
    lines = page(results).splitlines()
    (head,) = [number for number, line in enumerate(lines) if line.startswith("| question |")]
    assert lines[head].endswith(f"| {PAPER} |")
    for line in lines[head + 2 : head + 10]:
        assert line.count("|") == 4
    others = "\n".join(lines[:head] + lines[head + 10 :])
    for figure in ("92.1", "93.6", "97.8", "99.7 %"):
        assert figure not in others


def test_tables_are_whole(results: dict[str, Any]) -> None:
    width = 0
    for line in page(results).splitlines():
        if not line.startswith("|"):
            width = 0
            continue
        width = width or line.count("|")
        assert line.count("|") == width, line


def test_pictures_are_the_same_bytes_again(results: dict[str, Any]) -> None:
    first, second = pictures(results), pictures(results)
    assert first == second
    text = page(results)
    for name, content in first.items():
        assert content.startswith(b"<?xml")
        assert f"(experiments/{name})" in text
        assert str(Path.cwd()).encode() not in content


def test_the_page_in_the_repository_is_that_of_its_results() -> None:
    found = json.loads((DOCS / "experiments" / "results.json").read_text("utf-8"))
    assert found["settings"]["name"] == "standard"
    assert (DOCS / "experiments.md").read_text("utf-8") == page(found)
    for name in pictures(found):
        assert (DOCS / "experiments" / name).exists()

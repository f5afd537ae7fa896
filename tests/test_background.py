"""The background of a deployment as evidence for blank: what it must see, what must not matter, and when it keeps quiet."""

import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import piexif
import pytest
from conftest import DERIVED_TABLES, Store, moment_of
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from ctwatch import background
from ctwatch.background import HEIGHT, LEAST_NEIGHBOURS, NEIGHBOURS, SPELL_S, WIDTH, blank_evidence, miniature
from ctwatch.config import Config
from ctwatch.decode import decode, decode_onto
from ctwatch.demo.scenes import RESERVED_LOCATIONS, SPECIES, burst
from ctwatch.domain import Canvas
from ctwatch.ensemble import Averaging, average_present, with_opinion
from ctwatch.errors import Interrupted

SCENE = np.asarray(
    Image.fromarray(np.random.default_rng(1).integers(30, 220, (HEIGHT, WIDTH), dtype=np.uint8)).filter(
        ImageFilter.GaussianBlur(1.0)
    ),
    np.float64,
)
"""A scenery with contrast."""
DAY, NIGHT = 30, 0
ON = "background = true\n"


class Series:
    """Frames of one deployment, an event an hour."""

    def __init__(self, events: int, frames: int = 1, seed: int = 0, scene: NDArray[np.float64] = SCENE) -> None:
        rng = np.random.default_rng(seed)
        self.events = np.repeat(np.arange(events), frames)
        self.times = self.events * 3600.0 + np.tile(np.arange(frames), events)
        self.colour = np.full(len(self.events), DAY, np.uint8)
        self.grey = scene + rng.normal(0, 1.5, (len(self.events), HEIGHT, WIDTH))

    def animal(self, row: int, top: int = 18, left: int = 20, shade: float = 15.0) -> "Series":
        """Put a dark animal on one frame."""
        self.grey[row, top : top + 6, left : left + 8] = shade
        return self

    @property
    def pixels(self) -> NDArray[np.uint8]:
        return np.clip(np.rint(self.grey), 0, 255).astype(np.uint8)

    def evidence(self, rows: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
        chosen = np.arange(len(self.events)) if rows is None else rows
        return blank_evidence(self.pixels[chosen], self.colour[chosen], self.times[chosen], self.events[chosen])


@pytest.mark.parametrize("count", range(2, NEIGHBOURS + 1))
def test_the_exchanges_sort_whatever_comes(count: int) -> None:
    """A network that sorts every sequence of zeros and ones sorts everything (Knuth 5.3.4)."""
    columns = (np.arange(2**count)[:, None] >> np.arange(count)) & 1
    values = list(columns.T)
    for low, high in background._sorting_steps(count):
        values[low], values[high] = np.minimum(values[low], values[high]), np.maximum(values[low], values[high])
    assert (np.diff(np.stack(values), axis=0) >= 0).all()


def test_an_unchanged_scene_is_blank_and_an_animal_in_it_is_not() -> None:
    """The animal's frame is told apart from all others, whose evidence is for blank."""
    series = Series(24).animal(11)
    evidence = series.evidence()
    assert (np.delete(evidence, 11) > 0.7).all()
    assert evidence[11] < 0.2


@settings(max_examples=20, deadline=None)
@given(st.integers(0, HEIGHT - 6), st.integers(0, WIDTH - 8), st.sampled_from([5.0, 250.0]))
def test_an_animal_counts_wherever_it_is(top: int, left: int, shade: float) -> None:
    """At the edges and in the corners as well, dark or light."""
    assert Series(16).animal(5, top, left, shade).evidence()[5] < 0.3


@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(random) -> None:
    """Bit for bit."""
    series = Series(14, frames=2).animal(9)
    rows = list(range(len(series.events)))
    random.shuffle(rows)
    found = series.evidence(np.array(rows))
    assert np.array_equal(found, series.evidence()[rows], equal_nan=True)


def test_numbers_of_events_are_only_names() -> None:
    """Other numbers, and another origin of time by whole spells, change nothing."""
    series, other = Series(14, frames=2).animal(9), Series(14, frames=2).animal(9)
    other.events = 100 - other.events
    other.times += 1000 * SPELL_S
    assert np.array_equal(series.evidence(), other.evidence(), equal_nan=True)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0.6, 1.15), min_size=20, max_size=20))
def test_exposure_does_not_matter(gains: list[float]) -> None:
    """Each frame brighter or darker as a whole: the blank ones stay blank, the animal stays."""
    series = Series(20).animal(4)
    series.grey *= np.array(gains)[:, None, None]
    evidence = series.evidence()
    assert (np.delete(evidence, 4) > 0.5).all()
    assert evidence[4] < 0.3


def test_a_slow_change_of_light_across_the_frame_does_not_matter() -> None:
    """The shadow of a cloud is wider than an animal."""
    series = Series(20)
    series.grey[7] *= np.linspace(0.5, 1.0, WIDTH)
    assert series.evidence()[7] > 0.5


def test_what_always_moves_is_no_animal() -> None:
    """Leaves in the wind and the clock in the strip flicker in every frame."""
    series, rng = Series(24), np.random.default_rng(4)
    series.grey[:, 6:12, 32:40] += rng.normal(0, 40, (24, 6, 8))
    series.grey[:, -1:] = rng.integers(0, 2, (24, 1, WIDTH)) * 200 + 20
    assert (series.evidence() > 0.5).all()
    assert series.animal(8, top=22, left=8).evidence()[8] < 0.3


@pytest.mark.parametrize("events", [1, 2, LEAST_NEIGHBOURS])
def test_few_events_say_nothing(events: int) -> None:
    """However many frames they have."""
    assert np.isnan(Series(events, frames=6).evidence()).all()


def test_just_enough_events_say_something() -> None:
    """One more than the neighbours that are needed."""
    assert not np.isnan(Series(LEAST_NEIGHBOURS + 1).evidence()).any()


def test_events_of_one_spell_are_no_evidence_for_each_other() -> None:
    """Thirty events within a quarter of an hour are one visit."""
    series = Series(30)
    series.times = series.events * 20.0
    assert np.isnan(series.evidence()).all()


def test_an_animal_that_rests_is_not_its_own_background() -> None:
    """It stays for three events of forty frames in the same place: most frames there show it."""
    series = Series(30, frames=1)
    stay = np.arange(12, 15)
    rows = np.concatenate([np.delete(np.arange(30), stay), np.repeat(stay, 40)])
    series.events, series.colour, series.grey = series.events[rows], series.colour[rows], series.grey[rows]
    inside = np.isin(series.events, stay)
    times = series.events * 3600.0
    times[inside] = 12 * 3600.0 + (series.events[inside] - 12) * 100 + np.tile(np.arange(40), 3)
    series.times = times
    for row in np.flatnonzero(inside):
        series.animal(row)
    evidence = series.evidence()
    assert (evidence[inside] < 0.3).all()
    assert (evidence[~inside] > 0.5).all()


def test_frames_without_a_trusted_time_take_no_part() -> None:
    """They get no evidence, and the others' evidence is as if they were not there."""
    series = Series(20).animal(3)
    series.times[[6, 7]] = np.nan
    evidence = series.evidence()
    assert np.isnan(evidence[[6, 7]]).all()
    rest = np.delete(np.arange(20), [6, 7])
    assert np.array_equal(evidence[rest], series.evidence(rest))


def test_infrared_frames_have_a_background_of_their_own() -> None:
    """Day and night look different; with few frames at night nothing is said of them, and nothing is changed by day."""
    series, nights = Series(20).animal(3), np.array([4, 8, 12])
    alone = np.delete(np.arange(20), nights)
    by_day = series.evidence(alone)
    series.grey[nights] = 255 - series.grey[nights]
    series.colour[nights] = NIGHT
    evidence = series.evidence()
    assert np.isnan(evidence[nights]).all()
    assert np.array_equal(evidence[alone], by_day)


def test_a_scenery_that_does_not_repeat_says_nothing() -> None:
    """A camera that is moved for every event has no background."""
    series = Series(20)
    series.grey = np.stack([np.roll(SCENE, (5 * row, 9 * row), (0, 1)) for row in range(20)])
    assert np.isnan(series.evidence()).all()


def test_a_camera_that_was_moved_once_keeps_its_evidence_on_both_sides() -> None:
    """Only near the move is nothing said, and nothing blank is taken for an animal."""
    series = Series(60)
    series.grey[30:] = np.roll(series.grey[30:], 11, axis=2)
    evidence = series.evidence()
    assert not np.isnan(evidence[:18]).any() and not np.isnan(evidence[-18:]).any()
    assert (evidence[~np.isnan(evidence)] > 0.5).all()


def test_a_frame_that_changed_as_a_whole_is_left_to_the_networks() -> None:
    """Snow on the lens, or an animal that fills the frame: no opinion."""
    series = Series(20)
    series.grey[9] = np.random.default_rng(3).integers(0, 255, (HEIGHT, WIDTH))
    evidence = series.evidence()
    assert np.isnan(evidence[9])
    assert (np.delete(evidence, 9) > 0.5).all()


def test_the_change_within_a_burst_counts() -> None:
    """An animal no darker than what often changes there, seen by its moving between frames a second apart."""
    rng = np.random.default_rng(7)
    series = Series(40, frames=3)
    # The same patch is light or dark for whole events (snow that comes and goes), so a dark patch alone says little.
    patch = np.repeat(rng.integers(0, 2, 40), 3).astype(bool)
    series.grey[patch, 18:24, 20:28] = 15.0
    still = series.evidence()
    row = int(np.flatnonzero(~patch)[4]) // 3 * 3 + 1
    assert series.animal(row).evidence()[row] < still[row] - 0.2


def test_wrong_shapes_are_refused() -> None:
    """One number per frame, miniatures of the one size."""
    series = Series(3)
    with pytest.raises(ValueError, match="pixels"):
        blank_evidence(series.pixels[:, :-1], series.colour, series.times, series.events)
    with pytest.raises(ValueError, match="times"):
        blank_evidence(series.pixels, series.colour, series.times[:-1], series.events)


def test_no_frames_have_no_evidence() -> None:
    """Nothing in, nothing out."""
    assert Series(0).evidence().shape == (0,)


def test_a_dense_drawn_series_is_told_apart() -> None:
    """Wind, light and noise of the drawn scenes; the area under the curve is above 0.8 by day and by night."""
    rng = np.random.default_rng(2)
    for night in (False, True):
        small, visible, events, times = [], [], [], []
        for event in range(60):
            species = None if rng.random() < 0.5 else str(rng.choice(SPECIES))
            frames = burst(
                location=RESERVED_LOCATIONS + 901, species=species, night=night, frames=2, seed=event, size=(72, 96)
            )
            for number, frame in enumerate(frames):
                image = Image.fromarray(frame.pixels).resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)
                small.append(miniature(np.asarray(image)))
                visible.append(frame.visible)
                events.append(event)
                times.append(3600.0 * event + number)
        evidence = blank_evidence(
            np.stack([each.pixels for each in small]),
            np.array([each.colour for each in small], np.uint8),
            np.array(times),
            np.array(events),
        )
        told, animal = ~np.isnan(evidence), np.array(visible)
        assert told.mean() > 0.8
        ahead = evidence[told & ~animal][:, None] - evidence[told & animal][None, :]
        assert ((ahead > 0).mean() + 0.5 * (ahead == 0).mean()) > 0.8


def test_probabilities_fall_with_strength_and_stay_cautious() -> None:
    """Never surer than 0.9 of blank or 0.95 of an animal; in noisier scenery less of a change is an animal."""
    strength = np.linspace(-3, 4, 50)
    p = background.probability(strength, np.full(50, 0.2))
    assert (np.diff(p) <= 0).all() and p.max() == 0.9 and p.min() == 0.05
    assert (background.probability(strength, np.full(50, 0.4)) <= p).all()
    assert np.isnan(background.probability(np.array([np.nan]), np.array([np.nan]))).all()


# -- as a member of the empty filter ----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", list(Averaging))
def test_an_opinion_is_one_member_among_others(how: Averaging) -> None:
    """It pulls the average towards it, is absent where it is NaN, and decides nothing alone."""
    networks = np.array([[[0.3, 0.7], [0.4, 0.6]]] * 3)
    networks[2] = np.nan
    with_it = average_present(with_opinion(networks, 1, np.array([0.05, np.nan, 0.9])), how)[:, 1]
    without = average_present(networks, how)[:, 1]
    assert with_it[0] < without[0]
    assert with_it[1] == without[1]
    assert np.isnan(with_it[2])


@given(st.floats(0.01, 0.99), st.integers(2, 5))
def test_what_an_opinion_leaves_is_shared_by_the_other_labels(p: float, labels: int) -> None:
    """The added member is a probability vector."""
    networks = np.full((1, 2, labels), 1.0 / labels)
    added = with_opinion(networks, 0, np.array([p]))[0, -1]
    assert added.sum() == pytest.approx(1.0)
    assert added[0] == p


# -- in the pipeline --------------------------------------------------------------------------------------------------


def saved(image: Image.Image, number: int, quality: int = 90) -> bytes:
    """Return a JPEG taken at the moment of a number."""
    exif = {"Exif": {piexif.ExifIFD.DateTimeOriginal: f"{moment_of(number):%Y:%m:%d %H:%M:%S}".encode()}}
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality, exif=piexif.dump(exif))
    return buffer.getvalue()


def scenery(number: int) -> Image.Image:
    """One place in colour, the same in every frame but for noise; each tenth frame has something dark in it."""
    rng = np.random.default_rng(number)
    levels = np.repeat(SCENE[:, :, None], 3, axis=2) * np.array([1.0, 0.8, 0.6]) + rng.normal(0, 2, (HEIGHT, WIDTH, 3))
    if number % 10 == 4:
        levels[15:22, 18:27] = 8
    return Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8)).resize((128, 96), Image.Resampling.BILINEAR)


def place(inbox: Path, name: str, numbers: range) -> Path:
    """Write a card of one place: frames in bursts of three."""
    card = inbox / name
    card.mkdir(parents=True)
    for number in numbers:
        (card / f"IMG_{number:04d}.JPG").write_bytes(saved(scenery(number), number))
    return card


@pytest.mark.parametrize("canvas", [Canvas(96, 128), Canvas(40, 56, 0.05, 0.1)])
def test_the_miniature_comes_of_the_same_decoding(canvas: Canvas) -> None:
    """The canvas is what `decode` gives to the bit; the miniature is the whole frame, whatever is cut off the canvas."""
    data = saved(scenery(1), 1)
    (pixels,), small = decode_onto(data, [canvas], with_miniature=True)
    _, whole = decode_onto(data, [Canvas(96, 128)], with_miniature=True)
    _, grey = decode_onto(saved(scenery(1).convert("L"), 1), [canvas], with_miniature=True)
    assert small is not None and whole is not None and grey is not None
    assert np.array_equal(pixels, decode(data, canvas))
    assert small.pixels.shape == (HEIGHT, WIDTH) and small.pixels.dtype == np.uint8
    assert np.abs(small.pixels.astype(int) - whole.pixels).max() <= 4
    assert small.colour >= background.INFRARED_BELOW
    assert grey.colour == 0


def blank_of_frames(store: Store) -> dict[str, float]:
    """Return the probability of blank of each photograph."""
    rows = store.rows(
        "SELECT media_id, list_extract(top_probabilities, list_position(top_labels, 'blank'))"
        " FROM raw.observation WHERE observation_level = 'media'"
    )
    return dict(rows)


@pytest.fixture
def empty_only(tiny_models: Path, tmp_path: Path) -> Path:
    """Return models without species."""
    shutil.copytree(tiny_models / "empty", tmp_path / "models" / "empty")
    (tmp_path / "models" / "species").mkdir()
    return tmp_path / "models"


def test_the_background_moves_frames_apart(config: Callable[..., Config], empty_only: Path, tmp_path: Path) -> None:
    """Networks that know nothing are helped: frames with the animal become less blank, the others more."""
    card = place(tmp_path / "inbox", "L01", range(60))
    without = Store(config(empty_only, "background = false\n[store]\nfolder = 'without'\n"))
    without.process(card)
    store = Store(config(empty_only, ON))
    store.process(card)
    assert without.rows("SELECT count(*) FROM raw.miniature") == [(0,)]
    assert store.rows("SELECT count(*), min(octet_length(pixels)) FROM raw.miniature") == [(60, HEIGHT * WIDTH)]
    before, after = blank_of_frames(without), blank_of_frames(store)
    names = dict(store.rows("SELECT media_id, file_name FROM media"))
    for media_id, name in names.items():
        animal = int(name[4:8]) % 10 == 4
        assert (after[media_id] < before[media_id]) == animal, name


def test_cards_in_any_order_give_the_same_tables(
    config: Callable[..., Config], empty_only: Path, tmp_path: Path
) -> None:
    """The evidence of a deployment is of all its photographs, whenever they came."""
    parts = [place(tmp_path / "inbox", f"L01_CAM1{part}", range(20 * part, 20 * part + 20)) for part in range(3)]
    results = []
    for number, order in enumerate([(0, 1, 2), (2, 0, 1)]):
        text = f"{ON}[store]\nfolder = 'data{number}'\n[deployments]\nfolder_pattern = '(?P<location>L01)_CAM1.'\n"
        store = Store(config(empty_only, text))
        for part in order:
            store.process(parts[part])
        results.append(store.dump("miniature", *DERIVED_TABLES))
        store.pipeline.rederive()
        assert store.dump("miniature", *DERIVED_TABLES) == results[-1]
    assert results[0] == results[1]


def test_a_database_without_miniatures_goes_on_as_before(
    config: Callable[..., Config], empty_only: Path, tmp_path: Path
) -> None:
    """What an earlier ctwatch read has no miniatures; it is derived by the networks alone, and not read again."""
    card = place(tmp_path / "inbox", "L01", range(60))
    store = Store(config(empty_only, ON))
    store.process(card)
    with_evidence = store.dump(*DERIVED_TABLES)
    with store.database.writing() as connection:
        connection.execute("DELETE FROM raw.miniature")
    store.pipeline.rederive()
    assert store.pipeline.catch_up() == 0
    alone = store.dump(*DERIVED_TABLES)
    assert alone != with_evidence
    without = Store(config(empty_only, "background = false\n[store]\nfolder = 'without'\n"))
    without.process(card)
    assert without.dump(*DERIVED_TABLES) == alone


def test_an_interrupted_card_keeps_the_miniatures_of_what_it_predicted(
    config: Callable[..., Config], empty_only: Path, tmp_path: Path
) -> None:
    """They are in one transaction with the predictions: what is not looked at again needs no miniature again."""
    card = place(tmp_path / "inbox", "L01", range(40))
    looks = iter([False] * 25 + [True] * 100)
    store = Store(config(empty_only, ON), stop=lambda: next(looks))
    with pytest.raises(Interrupted):
        store.process(card)
    assert store.rows("SELECT count(*) > 0 FROM raw.miniature") == [(True,)]
    assert store.rows(
        "SELECT count(*) FROM (SELECT DISTINCT media_id FROM raw.prediction) ANTI JOIN raw.miniature USING (media_id)"
    ) == [(0,)]
    again = Store(config(empty_only, ON))
    again.process(card)
    assert again.rows("SELECT count(*) FROM raw.miniature") == [(40,)]
    whole = Store(config(empty_only, f"{ON}[store]\nfolder = 'whole'\n"))
    whole.process(card)
    assert again.dump("miniature", *DERIVED_TABLES) == whole.dump("miniature", *DERIVED_TABLES)

"""Real cards and odd real files, looked through by eye and by their notes: what must come out of each."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from conftest import Store
from shared_data import SHARED, needs_shared

from ctwatch.card import read_bytes, snapshot
from ctwatch.config import Config
from ctwatch.decode import UnusableImage, decode
from ctwatch.domain import Canvas

pytestmark = needs_shared
CARDS, ODD = SHARED / "cards", SHARED / "odd_images"


@pytest.mark.parametrize(
    ("card", "media", "ignored", "events", "time_lapse", "without_time", "duplicates"),
    [
        ("peru_bushnell/SDZG 1", 60, 1, {3: 20}, 0, 0, 0),
        ("camtrapdp_reconyx/example", 10, 4, {10: 1}, 0, 0, 0),
        ("algar_reconyx/ALGAR01", 20, 0, {1: 1, 2: 1}, 17, 0, 0),
        ("algar_reconyx/ALGAR02", 20, 0, {4: 2}, 12, 0, 0),
        ("caltech_no_exif", 100, 1, {1: 100}, 0, 100, 0),
        ("camtrapR_samples", 259, 1, None, 0, 1, 6),
        ("spypoint_beaver/DCIM", 11, 0, {1: 11}, 0, 0, 0),
    ],
)
def test_a_real_card_comes_out_as_it_was_seen_by_eye(
    store: Store,
    card: str,
    media: int,
    ignored: int,
    events: dict[int, int] | None,
    time_lapse: int,
    without_time: int,
    duplicates: int,
) -> None:
    """Files, bursts, noon frames and frames without a time; none of these cards has a broken file."""
    counts = store.process(CARDS / card).counts
    assert counts.failed == 0
    assert (counts.media, counts.duplicates, counts.ignored) == (media, duplicates, ignored)
    assert (counts.time_lapse, counts.without_time) == (time_lapse, without_time)
    if events is not None:
        sizes = store.rows("SELECT media_count, count(*) FROM events GROUP BY 1")
        assert dict(sizes) == events


def test_the_deployments_of_two_stations_keep_apart(store: Store) -> None:
    """Each card folder names its station; a folder that the camera opened by itself splits nothing."""
    for name in ("ALGAR01", "ALGAR02"):
        store.process(CARDS / "algar_reconyx" / name)
    found = dict(store.rows("SELECT location_id, count(*) FROM media GROUP BY 1"))
    assert found == {"ALGAR01": 20, "ALGAR02": 20}
    assert store.rows("SELECT count(DISTINCT camera_serial) FROM media WHERE camera_make = 'RECONYX'") == [(2,)]


@pytest.mark.parametrize(
    ("folder", "photographs", "failures", "without_time"),
    [
        ("exiftool_t_images", 41, {}, 9),
        ("libjpeg", 4, {"unreadable": 1}, 4),
        ("orientation", 18, {}, 18),
        ("piexif", 16, {"empty_file": 1}, 3),
        ("speciesnet_tests", 14, {"truncated": 1}, 3),
    ],
)
def test_odd_real_files_fail_only_where_nothing_is_to_be_seen(
    store: Store, folder: str, photographs: int, failures: dict[str, int], without_time: int
) -> None:
    """12 bits a channel, no bytes, cut short: told. Four inks, grey, turned, hostile headers: photographs."""
    counts = store.process(ODD / folder).counts
    assert counts.media + counts.failed == photographs
    assert Counter(row[0] for row in store.rows("SELECT reason FROM failures")) == failures
    assert counts.without_time == without_time


def test_the_same_scene_in_eight_orientations_comes_out_the_same() -> None:
    """Landscape and portrait, eight ways to store each: every one is upright."""
    canvas = Canvas(48, 48)
    seen = snapshot(ODD / "orientation", ODD)
    for kind in ("Landscape", "Portrait"):
        frames = [
            decode(read_bytes(seen.root, file), canvas).astype(int)
            for file in seen.files
            if file.path.rsplit("/", 1)[-1].startswith(f"{kind}_")
        ]
        assert len(frames) >= 8
        for frame in frames:
            assert np.abs(frame - frames[0]).mean() < 12


def test_every_file_with_models_is_seen_by_them(config: Callable[..., Config], tiny_models: object) -> None:
    """Every photograph that is not a failure has its predictions, whatever its format."""
    store = Store(config(tiny_models))
    for folder in ("exiftool_t_images", "libjpeg", "speciesnet_tests"):
        store.process(ODD / folder)
    whole = store.rows("SELECT count(*) FROM media WHERE failure IS NULL")
    assert store.rows("SELECT count(DISTINCT media_id) FROM raw.prediction") == whole
    assert store.rows("SELECT count(*) FROM raw.prediction WHERE NOT isfinite(list_sum(probabilities))") == [(0,)]


def test_cut_real_photographs_are_never_taken_for_whole() -> None:
    """Each real card's first file, cut at five places."""
    for folder in sorted(path for path in CARDS.iterdir() if path.is_dir()):
        seen = snapshot(folder, CARDS)
        data = read_bytes(seen.root, next(file for file in seen.files if file.ignored is None))
        decode(data, Canvas(32, 32))
        for share in (0.05, 0.3, 0.6, 0.9, 0.999):
            with pytest.raises(UnusableImage):
                decode(data[: int(len(data) * share)], Canvas(32, 32))

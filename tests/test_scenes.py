"""The scene generator: the same arguments give the same bytes, and labels are true."""

import time

import numpy as np
import pytest

from ctwatch.demo.scenes import SPECIES, burst

SIZE = (192, 256)
HERE = 10_001


def shots(
    species: str | None, *, location: int = HERE, night: bool = False, frames: int = 2, seed: int = 3
) -> list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
    return [
        frame.pixels
        for frame in burst(location=location, species=species, night=night, frames=frames, seed=seed, size=SIZE)
    ]


@pytest.mark.parametrize("species", [*SPECIES, None])
@pytest.mark.parametrize("night", [False, True])
def test_same_arguments_same_bytes(species: str | None, night: bool) -> None:
    first, second = shots(species, night=night), shots(species, night=night)
    for one, other in zip(first, second, strict=True):
        assert one.dtype == np.uint8
        assert one.shape == (*SIZE, 3)
        assert np.array_equal(one, other)
    assert not np.array_equal(first[0], shots(species, night=night, seed=4)[0])
    assert not np.array_equal(first[0], shots(species, night=night, location=HERE + 1)[0])


def test_night_is_grey_and_day_is_not() -> None:
    for pixels in shots("demo zebra", location=10_002, night=True):
        photograph = pixels[: int(SIZE[0] * 0.9)]
        assert np.array_equal(photograph[..., 0], photograph[..., 1])
        assert np.array_equal(photograph[..., 0], photograph[..., 2])
    assert np.ptp(shots("demo zebra")[0].astype(int).mean((0, 1))) > 2


@pytest.mark.parametrize("night", [False, True])
def test_the_background_of_a_location_stays(night: bool) -> None:
    """Blank bursts of one place are far more alike than those of two places, whatever light and wind do."""

    def edges(location: int, seed: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        grey = shots(None, location=location, seed=seed, night=night, frames=1)[0][:170].mean(2)
        small = grey[: 170 // 5 * 5].reshape(34, 5, 64, 4).mean((1, 3))
        return np.asarray(np.diff(np.log(small + 8), axis=0).ravel(), np.float64)

    def alike(a: tuple[int, int], b: tuple[int, int]) -> float:
        return float(np.corrcoef(edges(*a), edges(*b))[0, 1])

    same = [alike((place, 1), (place, 2)) for place in range(10_010, 10_015)]
    other = [alike((place, 1), (place + 1, 1)) for place in range(10_010, 10_015)]
    assert np.mean(same) > 0.55
    assert np.mean(same) > np.mean(other) + 0.3


def test_visible_is_true_where_the_animal_is_and_false_where_it_has_gone() -> None:
    gone = 0
    for seed in range(60):
        frames = burst(location=HERE, species="demo antelope", night=False, frames=3, seed=seed, size=(96, 128))
        assert any(frame.visible for frame in frames)
        gone += sum(not frame.visible for frame in frames)
    assert 3 <= gone <= 90
    assert not any(
        frame.visible for frame in burst(location=HERE, species=None, night=False, frames=3, seed=1, size=(96, 128))
    )


@pytest.mark.parametrize("species", SPECIES)
def test_a_visible_animal_changes_the_picture(species: str) -> None:
    """The standing species differs from the blank scene in a patch that is neither a speck nor the whole frame."""
    heights = []
    for seed in range(8):
        (frame,) = burst(location=10_003, species=species, night=False, frames=1, seed=seed, size=SIZE)
        assert frame.visible
        (blank,) = burst(location=10_003, species=None, night=False, frames=1, seed=seed, size=SIZE)
        # Light differs between the two bursts; compare what is left after the overall brightness is taken out.
        difference = np.abs(frame.pixels / frame.pixels.mean() - blank.pixels / blank.pixels.mean()).mean(2)
        changed = (difference > 0.35).sum(1) > 2
        heights.append(changed[: int(SIZE[0] * 0.93)].mean())
    assert np.median(heights) > 0.05


def test_sizes_show_the_same_place() -> None:
    small = burst(location=HERE, species=None, night=False, frames=1, seed=2, size=(96, 128))[0].pixels
    start = time.perf_counter()
    large = burst(location=HERE, species=None, night=False, frames=1, seed=2, size=(1536, 2048))[0].pixels
    assert time.perf_counter() - start < 20
    assert large.shape == (1536, 2048, 3)
    shrunk = large.reshape(96, 16, 128, 16, 3).mean((1, 3))
    assert np.corrcoef(shrunk[:80].ravel(), small[:80].ravel())[0, 1] > 0.8


def test_stamps_are_burnt_in_where_the_make_has_a_strip() -> None:
    changed = 0
    for location in range(10_000, 10_010):
        one, two = (
            burst(location=location, species=None, night=False, frames=1, seed=1, size=SIZE, stamps=[text])[0].pixels
            for text in ("2031-01-01 00:00:00", "2032-12-31 23:59:59")
        )
        assert np.array_equal(one[: int(SIZE[0] * 0.9)], two[: int(SIZE[0] * 0.9)])
        changed += not np.array_equal(one, two)
    assert 1 <= changed <= 10


@pytest.mark.parametrize(
    "wrong",
    [{"species": "lion"}, {"frames": 0}, {"size": (20, 20)}, {"location": -1}, {"seed": -1}, {"stamps": ["one"]}],
)
def test_arguments_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    plain: dict[str, object] = {
        "location": 1, "species": None, "night": False, "frames": 2, "seed": 1, "size": SIZE,
    }  # fmt: skip
    with pytest.raises(ValueError):
        burst(**{**plain, **wrong})  # type: ignore[arg-type]

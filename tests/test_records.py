"""Independent records: against plain loops, and the ways in which camtrapR's differ."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ctwatch.occupancy import Compared, Records, deltas, record_table

quick = settings(deadline=None)
START = datetime(2024, 5, 1)
NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Seen:
    """One detection."""

    place: str
    species: str
    camera: str
    when: datetime | None
    value: float = 1.0


detections = st.lists(
    st.builds(
        Seen,
        st.sampled_from(["A", "B"]),
        st.sampled_from(["fox", "Owl"]),
        st.sampled_from(["c1", "c2"]),
        st.one_of(
            st.none(),
            st.integers(0, 40).map(lambda n: START + timedelta(minutes=5 * n)),
            st.integers(0, 9000).map(lambda n: START + timedelta(seconds=n)),
        ),
        st.sampled_from([1.0, 2.0, 5.0, NAN]),
    ),
    max_size=20,
)


def records(seen: list[Seen], **options: Any) -> Records:
    """The records of detections; cameras are always told."""
    return record_table(
        [item.place for item in seen],
        [item.species for item in seen],
        np.array(["NaT" if item.when is None else item.when for item in seen], dtype="datetime64[us]"),
        camera_id=[item.camera for item in seen],
        **options,
    )


def plainly(
    seen: list[Seen], minutes: int, compared: Compared, *, by_camera: bool
) -> list[tuple[tuple[str, ...], datetime, float, int, float]]:
    """(group, time, seconds since, detections, largest value) of each record, one detection after the other."""
    groups: dict[tuple[str, ...], list[Seen]] = {}
    for item in seen:
        if item.when is not None:
            key = (item.place, item.species, *([item.camera] if by_camera else []))
            groups.setdefault(key, []).append(item)
    found: list[Any] = []
    for key in sorted(groups):
        last_kept = last = None
        for item in sorted(groups[key], key=lambda item: item.when or START):
            if minutes and item.when == last:
                continue
            against = last_kept if compared is Compared.LAST_INDEPENDENT else last
            since = 0.0 if against is None or item.when is None else (item.when - against).total_seconds()
            if against is None or since >= 60 * minutes:
                found.append([key, item.when, since, 0, NAN])
                last_kept = item.when
            found[-1][3] += 1
            found[-1][4] = np.fmax(found[-1][4], item.value)
            last = item.when
    return found


@quick
@given(detections, st.sampled_from([1, 30, 60, 720]), st.sampled_from(Compared), st.booleans())
def test_records_are_an_interval_apart(seen: list[Seen], minutes: int, compared: Compared, by_camera: bool) -> None:
    """Each with the seconds since the one that it was compared with and all that it stands for."""
    values = np.array([item.value for item in seen])
    found = records(
        seen,
        independence_min=minutes,
        compared=compared,
        cameras_independent=by_camera,
        summarise={"count": (values, "max")},
    )
    expected = plainly(seen, minutes, compared, by_camera=by_camera)
    assert found.times.tolist() == [row[1] for row in expected]
    assert found.delta_s.tolist() == [row[2] for row in expected]
    assert found.n_images.tolist() == [row[3] for row in expected]
    assert int(found.n_images.sum()) + sum(found.dropped.values()) == len(seen)
    if "duplicate" not in found.dropped:  # which of one second is kept is the order's to say
        assert found.summaries["count_max"].tolist() == pytest.approx([row[4] for row in expected], nan_ok=True)
    for row, place, species in zip(found.row, found.location_id, found.scientific_name, strict=True):
        assert (seen[row].place, seen[row].species) == (place, species)


@quick
@given(
    detections, st.sampled_from([0, 30]), st.sampled_from(Compared), st.booleans(), st.randoms(use_true_random=False)
)
def test_the_order_of_detections_does_not_matter(
    seen: list[Seen], minutes: int, compared: Compared, by_camera: bool, random: Any
) -> None:
    """But for which of one second stands for it."""
    mixed = list(seen)
    random.shuffle(mixed)
    for compatible in (False, True):
        one, other = (
            records(
                found,
                independence_min=minutes,
                compared=compared,
                cameras_independent=by_camera,
                camtrapr_compatible=compatible,
            )
            for found in (seen, mixed)
        )
        assert one.times.tolist() == other.times.tolist()
        assert one.location_id.tolist() == other.location_id.tolist()
        assert sorted(one.n_images.tolist()) == sorted(other.n_images.tolist())
        assert one.dropped == other.dropped


@quick
@given(detections, st.booleans())
def test_no_interval_keeps_every_detection(seen: list[Seen], once_a_second: bool) -> None:
    """But duplicates, if these are not wanted."""
    found = records(seen, independence_min=0, remove_duplicates=once_a_second)
    assert len(found.row) + sum(found.dropped.values()) == len(seen)
    assert set(found.dropped) <= ({"no time", "duplicate"} if once_a_second else {"no time"})
    assert (found.n_images == 1).all()


def test_an_animal_that_stays_is_one_record_or_one_an_interval() -> None:
    """Five hours with a photograph every 20 minutes: one by the last record, five or six by the last independent one."""
    seen = [Seen("A", "fox", "c1", START + timedelta(minutes=20 * n)) for n in range(16)]
    assert records(seen, independence_min=60, compared=Compared.LAST).n_images.tolist() == [16]
    found = records(seen, independence_min=60, compared=Compared.LAST_INDEPENDENT)
    assert found.n_images.tolist() == [3, 3, 3, 3, 3, 1]
    assert found.delta_s.tolist() == [0, *[3600] * 5]


def long_visits(chains: int, length: int) -> tuple[list[str], NDArray[np.datetime64]]:
    seconds = np.tile(np.arange(length) * 40, chains)
    return [f"L{n:03d}" for n in range(chains) for _ in range(length)], np.datetime64(START, "us") + seconds.astype(
        "timedelta64[s]"
    )


@pytest.mark.parametrize(("chains", "length"), [(1, 50_000), (200, 250)])
def test_many_and_long_visits_give_the_same_records(chains: int, length: int) -> None:
    """Photographs 40 s apart, an interval of a minute: every second one, whether followed singly or all at once."""
    places, times = long_visits(chains, length)
    found = record_table(places, ["fox"] * len(places), times, independence_min=1)
    assert found.row.tolist() == [chain * length + n for chain in range(chains) for n in range(0, length, 2)]


def test_species_are_left_out_whatever_their_capitals() -> None:
    """And counted."""
    seen = [Seen("A", name, "c1", START) for name in ("Blank", "fox", "BLANK")]
    found = records(seen, exclude=["blank"])
    assert found.scientific_name.tolist() == ["fox"]
    assert found.dropped == {"excluded": 2}


def test_what_has_no_species_or_time_is_counted() -> None:
    """It is no record of anything."""
    found = record_table(["A", "A"], [None, "fox"], np.array([START, "NaT"], dtype="datetime64[us]"))
    assert found.dropped == {"no time": 1, "no species": 1}
    assert len(found.row) == 0
    assert records([]).row.tolist() == []


def test_values_of_a_record_can_be_summed_up() -> None:
    """Sum, least, largest, mean, median and different ones; nothing known is NaN, a sum of nothing 0."""
    minutes = [0, 5, 10, 15, 300]
    seen = [Seen("A", "fox", "c1", START + timedelta(minutes=n)) for n in minutes]
    values = np.array([1.0, 4.0, 4.0, NAN, NAN])
    names = np.array(["m", "f", "m", "", ""], dtype=object)
    wanted = {"sum": [9, 0], "min": [1, NAN], "max": [4, NAN], "mean": [3, NAN], "median": [4, NAN]}
    for function, expected in wanted.items():
        found = records(seen, summarise={"count": (values, function)})
        assert found.summaries[f"count_{function}"].tolist() == pytest.approx(expected, nan_ok=True)
    assert records(seen, summarise={"sex": (names, "unique")}).summaries["sex_unique"].tolist() == ["m, f", ""]
    assert records(seen, summarise={"count": (values, "unique")}).summaries["count_unique"].tolist() == ["1, 4", ""]
    with pytest.raises(ValueError, match="numbers"):
        records(seen, summarise={"sex": (names, "max")})


def test_what_makes_no_sense_is_refused() -> None:
    """A negative interval, an unknown function, independent cameras that nobody named."""
    with pytest.raises(ValueError, match="independence_min"):
        records([], independence_min=-1)
    with pytest.raises(ValueError, match="is none of"):
        records([], summarise={"count": (np.empty(0), "system")})
    with pytest.raises(ValueError, match="camera_id"):
        record_table([], [], np.empty(0, dtype="datetime64[us]"), cameras_independent=True)


def test_times_since_are_told_in_all_units() -> None:
    """Each of the seconds; camtrapR's each of the rounded one before."""
    seen = [Seen("A", "fox", "c1", START), Seen("A", "fox", "c1", START + timedelta(seconds=343_623))]
    for compatible, expected in ((False, (343_623, 5727.0, 95.5, 4.0)), (True, (343_623, 5727.0, 95.4, 4.0))):
        told = deltas(records(seen, camtrapr_compatible=compatible))
        assert (told.secs[1], told.mins[1], told.hours[1], told.days[1]) == pytest.approx(expected)


# --- camtrapR's own ways -------------------------------------------------------------------------------------------


def test_independent_cameras_that_take_turns_cut_each_other_off_in_camtrapr() -> None:
    """What the first camera took after the second's first record counts for nobody."""
    seen = [
        Seen("A", "fox", camera, START + timedelta(minutes=n), n)
        for n, camera in enumerate(["c1", "c1", "c2", "c1", "c2"])
    ]
    values = np.array([item.value for item in seen])
    for compatible, images, largest in ((False, [3, 2], [3, 4]), (True, [2, 2], [1, 4])):
        found = records(
            seen, cameras_independent=True, summarise={"count": (values, "max")}, camtrapr_compatible=compatible
        )
        assert found.n_images.tolist() == images
        assert found.summaries["count_max"].tolist() == largest


def test_of_detections_of_one_second_the_later_count_the_earlier_in_camtrapr() -> None:
    """Where all are kept."""
    seen = [Seen("A", "fox", "c1", START)] * 3
    for compatible, images in ((False, [1, 1, 1]), (True, [1, 2, 3])):
        found = records(seen, independence_min=0, remove_duplicates=False, camtrapr_compatible=compatible)
        assert found.n_images.tolist() == images

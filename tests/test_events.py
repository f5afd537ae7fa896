"""Capture events: a partition that is the same for the same frames, whatever the order they come in."""

import re
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pytest
import strategies
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_data import SHARED, needs_shared
from strategies import Row, columns, grouped

from ctwatch.events import EventMode, EventRule, event_ids, file_order, group

GAP = EventRule(gap_s=60)
TRIGGER = EventRule(gap_s=60, mode=EventMode.TRIGGER)
rules = st.builds(
    EventRule,
    gap_s=st.sampled_from([0.0, 0.25, 5.0, 60.0]),
    mode=st.sampled_from(EventMode),
    cap_s=st.sampled_from([None, 0.0, 10.0, 90.0]),
)
quick = settings(deadline=None)


def in_plain_python(rows: list[Row], rule: EventRule) -> list[list[str]]:
    """The definition of an event, one frame after the other."""

    def by_file(row: Row) -> tuple[list[object], str]:
        return [int(part) if part.isdigit() else part.lower() for part in re.split("([0-9]+)", row.path)], row.media_id

    def timed(row: Row) -> bool:
        return row.trusted and row.seconds is not None

    motion = [row for row in rows if not row.time_lapse]
    order = sorted(
        (row for row in motion if timed(row)), key=lambda row: (row.seconds, row.event, row.sequence, by_file(row))
    )
    result: list[list[Row]] = []
    for row in order:
        last = result[-1][-1] if result else None
        if last is None:
            new = True
        else:
            assert row.seconds is not None
            assert last.seconds is not None
            new = far = row.seconds - last.seconds > rule.gap_s
            if rule.mode is EventMode.TRIGGER and row.sequence and last.sequence:
                restart = row.sequence <= last.sequence
                both = row.event >= 0 and last.event >= 0
                new = restart or (row.event != last.event if both else far)
            if not new and rule.cap_s is not None:
                first = result[-1][0].seconds
                assert first is not None
                new = row.seconds - first > rule.cap_s
        if new:
            result.append([])
        result[-1].append(row)
    result += [[row] for row in sorted((row for row in motion if not timed(row)), key=by_file)]
    return [[row.media_id for row in event] for event in result]


@quick
@given(strategies.frames(), rules)
def test_grouping_is_what_the_plain_definition_says(rows: list[Row], rule: EventRule) -> None:
    """Columns of numpy and a loop over frames give the same events in the same order."""
    assert grouped(rows, rule) == in_plain_python(rows, rule)


@quick
@given(strategies.frames(), rules)
def test_events_partition_the_motion_frames(rows: list[Row], rule: EventRule) -> None:
    """Each motion frame is in exactly one event, no time-lapse frame in any."""
    frames = columns(rows)
    grouping = group(frames, rule)
    members = [frames.media_id[row] for row in grouping.order]
    assert sorted(members) == sorted(row.media_id for row in rows if not row.time_lapse)
    assert grouping.sizes().sum() == len(members)
    assert (grouping.sizes() > 0).all()
    assert len(set(event_ids(frames, grouping))) == len(grouping)


@quick
@given(strategies.frames(), rules, st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(rows: list[Row], rule: EventRule, random: object) -> None:
    """A directory listing in another order gives the same events and the same ids."""
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = columns(rows), columns(shuffled)
    assert grouped(rows, rule) == grouped(shuffled, rule)
    assert event_ids(one, group(one, rule)) == event_ids(other, group(other, rule))


@quick
@given(strategies.frames(), st.sampled_from(EventMode), st.floats(0, 120), st.floats(0, 120))
def test_a_wider_gap_only_joins(rows: list[Row], mode: EventMode, one: float, other: float) -> None:
    """Every event of the narrow gap lies whole within an event of the wide gap."""
    narrow, wide = (grouped(rows, EventRule(gap, mode)) for gap in sorted((one, other)))
    event_of = {media_id: number for number, event in enumerate(wide) for media_id in event}
    assert all(len({event_of[media_id] for media_id in event}) == 1 for event in narrow)


def test_exactly_the_gap_joins_and_a_microsecond_more_does_not() -> None:
    """The gap is inclusive, as in MegaDetector and Timelapse."""
    rows = [Row("a", "1", 0), Row("b", "2", 60), Row("c", "3", 120.000001)]
    assert grouped(rows, GAP) == [["a", "b"], ["c"]]


def test_gap_counts_from_the_previous_frame_not_from_the_first() -> None:
    """A long visit stays one event, until the cap."""
    rows = [Row(f"m{n:02d}", str(n), n * 50) for n in range(10)]
    assert len(grouped(rows, GAP)) == 1
    assert [len(event) for event in grouped(rows, EventRule(60, cap_s=120))] == [3, 3, 3, 1]


def test_no_frames_no_events() -> None:
    """An empty deployment is no special case."""
    frames = columns([])
    grouping = group(frames, TRIGGER)
    assert len(grouping) == 0
    assert event_ids(frames, grouping) == []
    assert grouping.event_of_position().tolist() == []


def test_untimed_and_untrusted_frames_stand_alone_in_file_order() -> None:
    """Without a time that can be trusted no two frames are joined, and they come after the timed ones."""
    rows = [
        Row("d", "DCIM/100RECNX/IMG_10.JPG", None),
        Row("c", "DCIM/100RECNX/IMG_9.JPG", 1, trusted=False),
        Row("a", "DCIM/101RECNX/IMG_1.JPG", None),
        Row("b", "DCIM/100RECNX/IMG_11.JPG", 1),
    ]
    assert grouped(rows, GAP) == [["b"], ["c"], ["d"], ["a"]]


def test_time_lapse_neither_joins_nor_parts_an_event() -> None:
    """A noon picture between two frames of a visit leaves the visit whole."""
    rows = [Row("a", "1", 0), Row("t", "2", 1, time_lapse=True), Row("b", "3", 2)]
    assert grouped(rows, GAP) == [["a", "b"]]


def burst(name: str, start: float, event: int, length: int = 10, step: float = 6 / 9) -> list[Row]:
    """A burst whose clock tells whole seconds."""
    return [
        Row(f"{name}{n}", f"RCNX{start:05.0f}{n:02d}", float(int(start + n * step)), sequence=n + 1, event=event)
        for n in range(length)
    ]


def test_trigger_mode_keeps_a_ten_shot_burst_whole() -> None:
    """Ten shots over six seconds, some in the same second, are one event with a gap of no seconds at all."""
    rows = burst("a", 100, 4)
    assert len({row.seconds for row in rows}) < len(rows)
    rule = EventRule(gap_s=0, mode=EventMode.TRIGGER)
    assert grouped(list(reversed(rows)), rule) == [[row.media_id for row in rows]]


def test_trigger_mode_parts_bursts_that_follow_at_once() -> None:
    """A restarted sequence is another trigger though it comes a second later, with or without event numbers."""
    rows = burst("a", 100, 4, 3, 1) + burst("b", 103, 5, 3, 1)
    expected = [["a0", "a1", "a2"], ["b0", "b1", "b2"]]
    assert grouped(rows, TRIGGER) == expected
    assert grouped([replace(row, event=-1) for row in rows], TRIGGER) == expected
    assert len(grouped(rows, GAP)) == 1


def test_trigger_mode_parts_single_shots() -> None:
    """A camera that takes one picture a trigger writes 1 of 1 each time: every one is a trigger of its own."""
    rows = [Row(name, name, 2 * number, sequence=1) for number, name in enumerate("abc")]
    assert grouped(rows, TRIGGER) == [["a"], ["b"], ["c"]]
    same = [replace(row, event=1) for row in rows]
    assert grouped(same, TRIGGER) == [["a"], ["b"], ["c"]]


def test_trigger_mode_does_not_mix_bursts_that_meet_within_a_second() -> None:
    """The last frame of a burst and the first of the next may bear the same second."""
    rows = burst("a", 100, 4, 3, 1) + burst("b", 102, 5, 3, 1)
    assert grouped(rows, TRIGGER) == [["a0", "a1", "a2"], ["b0", "b1", "b2"]]


def test_trigger_mode_falls_back_to_the_gap_without_sequence_numbers() -> None:
    """Frames of a camera that writes no sequence are grouped by time."""
    rows = [Row("a", "1", 0), Row("b", "2", 30, sequence=1, event=1), Row("c", "3", 60), Row("d", "4", 121)]
    assert grouped(rows, TRIGGER) == [["a", "b", "c"], ["d"]]


def test_trigger_mode_sees_a_lost_frame_by_the_gap() -> None:
    """Without event numbers, 1 of 3 and half an hour later 2 of 3 are two triggers."""
    rows = [Row("a", "1", 0, sequence=1), Row("b", "2", 1800, sequence=2)]
    assert grouped(rows, TRIGGER) == [["a"], ["b"]]


@quick
@given(strategies.frames(), strategies.frames(), rules, st.booleans())
def test_ids_survive_a_second_card(rows: list[Row], more: list[Row], rule: EventRule, before: bool) -> None:
    """Frames of a later visit, or of an earlier part of the deployment, leave the ids of other events as they are."""
    shift = -100_000 if before else 100_000
    later = [
        replace(row, media_id=f"n{row.media_id}", seconds=None if row.seconds is None else row.seconds + shift)
        for row in more
    ]

    def ids(all_rows: list[Row]) -> dict[str, list[str]]:
        frames = columns(all_rows)
        return dict(zip(event_ids(frames, group(frames, rule)), grouped(all_rows, rule), strict=True))

    alone, both = ids(rows), ids(rows + later)
    numbered = rule.mode is EventMode.TRIGGER and any(row.sequence for row in rows + later)
    if not numbered:  # a camera's event number may rightly join frames over any time
        assert alone.items() <= both.items()
        assert len(both) == len(alone) + len(ids(later))


def test_an_id_is_named_after_the_first_frame_alone() -> None:
    """Frames added behind an event do not rename it; the same frames have this id on every machine."""
    first, longer = columns([Row("a", "1", 0)]), columns([Row("a", "1", 0), Row("b", "2", 5)])
    ids = event_ids(first, group(first, GAP))
    assert ids == event_ids(longer, group(longer, GAP))
    assert re.fullmatch("[0-9a-f]{24}", ids[0])


def ranked(paths: list[str]) -> list[str]:
    """Paths in file order."""
    order = file_order(paths, [f"{number:04d}" for number in range(len(paths))])
    return [paths[row] for row in np.argsort(order)]


def test_files_are_counted_as_people_count() -> None:
    """Folders and numbers go by value, whatever their length and capitals."""
    expected = [
        "DCIM/100RECNX/IMG_9.JPG",
        "dcim/100recnx/img_10.jpg",
        "DCIM/100RECNX/IMG_0011.JPG",
        "DCIM/101RECNX/IMG_1.JPG",
        "DCIM/1000RECNX/IMG_1.JPG",
    ]
    assert ranked(sorted(expected)) == expected
    assert ranked(list(reversed(expected))) == expected


def test_same_names_go_by_content() -> None:
    """Two files of one name on two cards have one order everywhere."""
    assert file_order(["IMG_1", "IMG_1"], ["b", "a"]).tolist() == [1, 0]


@pytest.mark.parametrize("name", ["²", "IMG_①.JPG", "٣٤", "x" * 5 + "9" * 5000, "\udcff\udc80", "", "1/", "/1", "İ1"])
def test_odd_names_have_a_place(name: str) -> None:
    """Superscripts, foreign digits, endless numbers and undecodable bytes are ordered like any other name."""
    assert sorted(ranked([name, "IMG_2", "7", "a/7"])) == sorted([name, "IMG_2", "7", "a/7"])


@quick
@given(st.lists(strategies.names_from_disk, max_size=12))
def test_file_order_is_a_permutation_and_its_own_fixed_point(paths: list[str]) -> None:
    """Any names get ranks 0..n-1, and names already in order stay in order."""
    order = file_order(paths, [f"{number:04d}" for number in range(len(paths))])
    assert sorted(order) == list(range(len(paths)))
    assert ranked(ranked(paths)) == ranked(paths)


def agreement(path: Path, rule: EventRule, *, numbers: bool) -> tuple[int, int, int]:
    """Camera sequences that are: exactly one event; wholly within one event; all of them."""
    exact = whole = total = 0
    identity = "id" if "cct20" in path.name else "image_id"
    locations: dict[object, list[tuple[str, str, float, int]]] = {}
    for location, media_id, sequence, seconds, frame in duckdb.sql(
        f"SELECT location, {identity}, seq_id, epoch(date_captured::TIMESTAMP) - epoch(TIMESTAMP '2024-05-01'), frame_num"
        f" FROM '{path}' WHERE try_cast(date_captured AS TIMESTAMP) IS NOT NULL"
    ).fetchall():
        locations.setdefault(location, []).append((media_id, sequence, seconds, frame))
    for frames in locations.values():
        rows = [Row(media_id, media_id, seconds, sequence=n if numbers else 0) for media_id, _, seconds, n in frames]
        sequence_of = {media_id: sequence for media_id, sequence, _, _ in frames}
        events = grouped(rows, rule)
        event_of = {media_id: number for number, event in enumerate(events) for media_id in event}
        members: dict[str, set[str]] = {}
        for media_id, sequence in sequence_of.items():
            members.setdefault(sequence, set()).add(media_id)
        for media_ids in members.values():
            numbers_of = {event_of[media_id] for media_id in media_ids}
            whole += len(numbers_of) == 1
            exact += len(numbers_of) == 1 and len(events[numbers_of.pop()]) == len(media_ids)
            total += 1
    return exact, whole, total


@needs_shared
@pytest.mark.parametrize(
    ("table", "rule", "numbers", "least_exact", "most_torn"),
    [
        ("cct20_cis_val", GAP, False, 1110, 0),
        ("cct20_cis_val", EventRule(gap_s=2), False, 1325, 1),
        ("cct20_cis_val", TRIGGER, True, 1391, 2),
        ("cct20_cis_val", EventRule(gap_s=5, mode=EventMode.TRIGGER), True, 1411, 2),
        ("cct_mvp_6000", GAP, False, 3827, 0),
        ("cct_mvp_6000", EventRule(gap_s=5, mode=EventMode.TRIGGER), True, 5559, 1),
    ],
)
def test_grouping_agrees_with_the_cameras_own_sequences(
    table: str, rule: EventRule, numbers: bool, least_exact: int, most_torn: int
) -> None:
    """Measured on Caltech's tables: 60 s tears no sequence and joins what follows closely; sequence numbers part those."""
    exact, whole, total = agreement(SHARED / "tables" / f"{table}.parquet", rule, numbers=numbers)
    assert exact >= least_exact
    assert total - whole <= most_torn


@needs_shared
def test_events_of_a_real_survey_begin_with_the_first_frame_of_a_trigger() -> None:
    """30,069 images of seven deployments: the number that the camera's burst bears starts events, apart from a few."""
    path = SHARED / "tables" / "nkhotakota_sample.parquet"
    begun_by_first = events = images = 0
    for (deployment,) in duckdb.sql(f"SELECT DISTINCT deployment FROM '{path}'").fetchall():
        found = duckdb.execute(
            f"SELECT filename, epoch(ts) - epoch(TIMESTAMP '2024-05-01'), idx FROM '{path}' WHERE deployment = ?",
            [deployment],
        ).fetchall()
        number_of = {name: number for name, _, number in found}
        parts = grouped([Row(name, name, seconds) for name, seconds, _ in found], GAP)
        events += len(parts)
        begun_by_first += sum(number_of[part[0]] == 1 for part in parts)
        images += sum(len(part) for part in parts)
    assert images == 30_069
    assert begun_by_first >= 0.99 * events

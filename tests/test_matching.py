"""Which photograph a label speaks of: by id, by the end of its path, by its time; never by a guess."""

import random
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctwatch.matching import combined, match, united
from ctwatch.survey import Answer, ImportedLabel, MediaColumns, Scope
from tests.surveys import survey

NOON = datetime(2024, 5, 1, 12)
BLANK = (Answer("blank"),)


def label(path: str, line: int = 1, **more: Any) -> ImportedLabel:
    return ImportedLabel(
        path, more.pop("answers", BLANK), more.pop("by_human", True), more.pop("by", "anna"), line, **more
    )


def media(*rows: Any) -> MediaColumns:
    """Photographs of (card, path on it, time, deployment); what is left out is None, the card is the deployment."""
    columns = []
    for card, path, *more in rows:
        taken = more[0] if more else None
        deployment = more[1] if len(more) > 1 else card
        columns.append(
            {"card_name": card, "file_path": path, "timestamp": taken, "recorded": taken, "deployment_id": deployment}
        )
    return survey(media=columns).media


CARDS = media(
    ("A1", "DCIM/100RECNX/IMG_0001.JPG", NOON),
    ("A1", "DCIM/101RECNX/IMG_0001.JPG", NOON + timedelta(hours=1)),
    ("B2", "DCIM/100RECNX/IMG_0001.JPG", NOON + timedelta(hours=2)),
    ("B2", "DCIM/100RECNX/IMG_0002.JPG", NOON + timedelta(hours=3)),
)


def found(one: ImportedLabel, photographs: MediaColumns = CARDS, **more: Any) -> int | str:
    """The row that a label is matched to, else which kind of nothing."""
    matched = match([one], photographs, **more)
    if matched.pairs:
        assert (matched.unmatched, matched.ambiguous, matched.sentences) == (0, 0, ())
        return matched.pairs[0][1]
    assert matched.unmatched + matched.ambiguous == 1
    assert one.file_path in matched.sentences[1]
    return "ambiguous" if matched.ambiguous else "unmatched"


@pytest.mark.parametrize("root", ["", "F:/", "/mnt/disk/2024/", "../", "./", "survey of spring/x/"])
def test_a_path_down_from_the_card_is_enough_below_any_root(root: str) -> None:
    """What lies above the card does not matter."""
    assert found(label(f"{root}A1/DCIM/101RECNX/IMG_0001.JPG")) == 1


def test_case_separators_and_the_way_of_writing_accents_make_no_difference() -> None:
    """Windows writes backslashes and any case, macOS takes accents apart."""
    assert found(label("a1\\dcim\\101recnx\\img_0001.jpg")) == 1
    photographs = media(("Bärental", "É 1.JPG"))
    assert found(label("Ba\u0308rental/E\u0301 1.jpg"), photographs) == 0


def test_our_own_id_counts_before_the_path() -> None:
    """A file that came back to us needs no path."""
    assert found(label("elsewhere/x.jpg", media_id=f"{3:032x}")) == 2
    assert found(label("A1/DCIM/101RECNX/IMG_0001.JPG", media_id=f"{77:032x}")) == 1


def test_a_bare_file_name_counts_only_if_it_is_the_only_one() -> None:
    """File numbers start over on every card."""
    assert found(label("IMG_0002.JPG")) == 3
    assert found(label("IMG_0001.JPG")) == "ambiguous"
    assert found(label("IMG_0009.JPG")) == "unmatched"


@pytest.mark.parametrize("row", [0, 1, 2])
def test_a_bare_file_name_with_its_second_is_enough(row: int) -> None:
    """Recorded or corrected, to the second."""
    taken = NOON + timedelta(hours=row)
    assert found(label("IMG_0001.JPG", taken=taken)) == row
    assert found(label("IMG_0001.JPG", taken=taken + timedelta(seconds=1))) == "ambiguous"
    assert found(label("IMG_0001.JPG", taken=taken + timedelta(seconds=1)), shift_tolerance_s=1) == row


def test_the_camera_s_clock_counts_as_well_as_the_corrected_one() -> None:
    """Other programs know only what the camera wrote."""
    wrong, right = NOON, NOON + timedelta(days=400)
    photographs = survey(
        media=[
            {
                "card_name": card,
                "file_path": "I.JPG",
                "recorded": wrong + gap,
                "timestamp": right + gap,
                "deployment_id": card,
            }
            for card, gap in (("A", timedelta()), ("B", timedelta(minutes=1)))
        ]
    ).media
    assert found(label("I.JPG", taken=wrong), photographs) == 0
    assert found(label("I.JPG", taken=right + timedelta(minutes=1)), photographs) == 1


def test_two_photographs_of_one_name_and_second_stay_ambiguous() -> None:
    """Nothing is chosen where nothing tells them apart."""
    photographs = media(("A", "I.JPG", NOON), ("B", "I.JPG", NOON))
    assert found(label("I.JPG", taken=NOON), photographs) == "ambiguous"
    assert found(label("I.JPG", taken=NOON, deployment="b"), photographs) == 1


@pytest.mark.parametrize("hint", ["B2", "b2", "Hill", "DEP-2"])
def test_deployment_place_card_or_folder_choose_between_files_of_one_name(hint: str) -> None:
    """Whatever the file calls it, in any case."""
    photographs = media(("A1", "I.JPG", None, "dep-1"), ("B2", "I.JPG", None, "dep-2"))
    assert found(label("I.JPG", deployment=hint), photographs, places={"dep-1": "Valley", "dep-2": "Hill"}) == 1


def test_a_deployment_that_nobody_here_knows_says_nothing() -> None:
    """The other program may have names of its own."""
    assert found(label("IMG_0002.JPG", deployment="7ca633fa")) == 3
    assert found(label("IMG_0001.JPG", deployment="7ca633fa")) == "ambiguous"


def test_a_photograph_of_another_deployment_is_not_taken() -> None:
    """The only file of that name is still another's, if the label names a deployment that is here."""
    assert found(label("IMG_0002.JPG", deployment="A1")) == "unmatched"


def test_another_card_s_folders_are_no_match_however_much_of_the_path_agrees() -> None:
    """All cards look alike below their names."""
    path = "C3/DCIM/100RECNX/IMG_0002.JPG"
    assert found(label(path)) == "unmatched"
    assert found(label(path, taken=NOON)) == "unmatched"
    assert found(label(path, taken=NOON + timedelta(hours=3))) == 3
    assert found(label(path, deployment="B2")) == 3


def test_a_time_more_than_a_day_off_rules_out_what_is_only_a_common_name() -> None:
    """IMG_0002.JPG of another year is not ours; a path with the card's name is, whatever the clock did."""
    assert found(label("100RECNX/IMG_0002.JPG", taken=NOON - timedelta(days=365))) == "unmatched"
    assert found(label("100RECNX/IMG_0002.JPG", taken=NOON + timedelta(hours=20))) == 3
    assert found(label("B2/DCIM/100RECNX/IMG_0002.JPG", taken=NOON - timedelta(days=365))) == 3


def test_two_cards_of_one_name_are_told_apart_by_time_or_not_at_all() -> None:
    """A card that was put in twice, with other photographs."""
    photographs = media(("A", "I.JPG", NOON), ("A", "I.JPG", NOON + timedelta(days=30)))
    assert found(label("A/I.JPG"), photographs) == "ambiguous"
    assert found(label("A/I.JPG", taken=NOON + timedelta(days=30)), photographs) == 1


def test_sentences_count_each_kind_and_name_five() -> None:
    """Enough to see what is wrong, not a wall of it."""
    labels = [label(f"none_{number}.jpg", number) for number in range(9)] + [label("IMG_0001.JPG", 99)]
    matched = match(labels, CARDS)
    assert (matched.unmatched, matched.ambiguous) == (9, 1)
    assert matched.sentences[0].startswith("9 labels: name no photograph that is here")
    assert len(matched.sentences) == 1 + 5 + 1 + 1
    assert matched.sentences[-1] == "99: IMG_0001.JPG"


def test_nothing_matches_nothing() -> None:
    """Empty on either side."""
    assert match([], CARDS).pairs == ()
    assert found(label("I.JPG"), media()) == "unmatched"
    with pytest.raises(ValueError, match="0 seconds or more"):
        match([], CARDS, shift_tolerance_s=-1)


cards = st.sampled_from(["A1", "B2", "b2 b", "DCIM"])
folders = st.lists(st.sampled_from(["DCIM", "100", "101", "A1", "x y"]), max_size=3)
names = st.sampled_from(["I1.JPG", "I2.JPG", "i1.jpg", "ß.jpg", "I1.JPG.JPG"])
times = st.none() | st.integers(0, 3).map(lambda hour: NOON + timedelta(hours=hour))
photographs_st = st.lists(
    st.tuples(cards, st.tuples(folders, names).map(lambda parts: "/".join([*parts[0], parts[1]])), times), max_size=12
)
paths = st.tuples(st.lists(cards | st.sampled_from(["100", "DCIM", "r"]), max_size=4), names).map(
    lambda parts: "/".join([*parts[0], parts[1]])
)


@given(photographs_st, st.lists(st.tuples(paths, times, st.none() | cards), max_size=8), st.randoms())
def test_the_order_of_labels_and_photographs_does_not_matter(rows: Any, said: Any, shuffle: random.Random) -> None:
    """Shuffled, the same labels have the same photographs."""
    labels = [label(path, taken=taken, deployment=hint) for path, taken, hint in said]
    expected = dict(match(labels, media(*rows)).pairs)
    order, places = list(range(len(rows))), list(range(len(labels)))
    shuffle.shuffle(order)
    shuffle.shuffle(places)
    got = match([labels[place] for place in places], media(*(rows[row] for row in order)))
    assert {places[number]: order[row] for number, row in got.pairs} == expected


@given(photographs_st, st.sampled_from(["/mnt/new root", "E:", "a/b/c"]))
def test_renaming_what_is_above_the_cards_changes_nothing(rows: Any, root: str) -> None:
    """Whole paths match with or without anything before them."""
    photographs = media(*rows)
    plain = [label(f"{card}/{path}", taken=taken) for card, path, taken in rows]
    moved = [label(f"{root}/{each.file_path}", taken=each.taken) for each in plain]
    assert match(plain, photographs).pairs == match(moved, photographs).pairs


@given(photographs_st, paths, times, st.none() | cards)
def test_what_is_matched_agrees_by_name_and_no_other_fits_as_well(
    rows: Any, path: str, taken: datetime | None, hint: str | None
) -> None:
    """Of two photographs with equal card, path and time neither is ever chosen without an id."""
    pairs = match([label(path, taken=taken, deployment=hint)], media(*rows)).pairs
    for _, row in pairs:
        card, chosen, when = rows[row]
        assert chosen.casefold().rpartition("/")[2] == path.casefold().rpartition("/")[2]
        alike = [
            each
            for each in rows
            if (each[0].casefold(), each[1].casefold(), each[2]) == (card.casefold(), chosen.casefold(), when)
        ]
        assert len(alike) == 1


def test_labels_of_one_author_about_one_photograph_become_one() -> None:
    """Two paths of a file that lay in two places, or a row for each species."""
    labels = [
        label("A1/DCIM/100RECNX/IMG_0001.JPG", 1, answers=(Answer("deer", 2),)),
        label("DCIM/100RECNX/IMG_0002.JPG", 2),
        label("x/A1/DCIM/100RECNX/IMG_0001.JPG", 3, answers=(Answer("fox"), Answer("deer", 3))),
        label("A1/DCIM/100RECNX/IMG_0001.JPG", 4, by="ben"),
        label("A1/DCIM/100RECNX/IMG_0001.JPG", 5, scope=Scope.EVENT, group="e"),
    ]
    got = combined(labels, match(labels, CARDS))
    assert [(row, each.line) for row, each in got] == [(0, 1), (3, 2), (0, 4), (0, 5)]
    assert got[0][1].answers == (Answer("deer", 3), Answer("fox"))


def test_answers_unite_by_the_surest_and_counts_add_up_only_where_rows_do() -> None:
    """Blank is as sure as the least sure says it is."""
    machine = (
        Answer("blank", None, 0.9),
        Answer("fox", None, 0.2),
        Answer("blank", None, 0.3),
        Answer("fox", None, 0.7),
    )
    assert united(machine) == (Answer("blank", None, 0.3), Answer("fox", None, 0.7))
    rows = (Answer("deer", 2), Answer("blank"), Answer("deer", 1), Answer("deer"))
    assert united(rows) == (Answer("deer", 2),)
    assert united(rows, add_counts=True) == (Answer("deer", 3),)
    assert united(BLANK) == BLANK

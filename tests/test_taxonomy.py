"""What labels name: a taxa table, SpeciesNet's strings, the form of scientific names."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctwatch.errors import ConfigError
from ctwatch.survey import Taxon
from ctwatch.taxonomy import COLUMNS, looks_scientific, not_scientific, of_speciesnet, parse, resolve

UUID = "1f689929-883d-4dae-958c-3d57ab5b6c16"
LEOPARD = Taxon(
    "Panthera pardus", "https://www.gbif.org/species/5219436", "species", "Animalia", "Mammalia", "Carnivora", "Felidae", "leopard"
)  # fmt: skip


def test_every_column_fills_a_field_of_its_own() -> None:
    """No field of a taxon without a column, but the label, which names the row."""
    assert {*COLUMNS.values()} == {"label", *(field.name for field in fields(Taxon))}


def test_a_table_is_read_whatever_the_order_of_its_columns() -> None:
    """Capitals, a byte order mark, empty rows, further columns and short rows do no harm."""
    rows = [
        ["\ufeffTaxonID", "label", "SCIENTIFICNAME ", "kingdom", "class", "order", "family", "vernacularName", "taxonRank", "x"],
        [LEOPARD.taxon_id, " a", "Panthera pardus", "Animalia", "Mammalia", "Carnivora", "Felidae", "leopard", "Species", "x"],
        ["", " "],
        ["", "duiker", "Cephalophus"],
    ]  # fmt: skip
    assert parse(rows, "taxa.csv") == {"a": LEOPARD, "duiker": Taxon("Cephalophus")}


HEAD = ["label", "scientificName", "taxonRank"]
BAD = {
    "nothing in it": ([], "no column label or scientificName"),
    "no label": ([["scientificName"], ["Panthera"]], "no column label;"),
    "semicolons": ([["label;scientificName"], ["a;b"]], "separate them by commas"),
    "a slip of the pen": ([["label", "scientificName", "vernacularNames"]], "'vernacularNames': write vernacularName"),
    "a column twice": ([["label", "scientificName", "Label"]], "label is there twice"),
    "no name": ([HEAD, ["zebra", " "]], "taxa.csv line 2: scientificName empty"),
    "nothing but a rank": ([HEAD, ["", "", "genus"]], "label and scientificName empty"),
    "a rank of its own": ([HEAD, ["a", "Panthera", "tribe"]], "taxonRank 'tribe' is none of kingdom,"),
    "a label twice": ([HEAD, ["a", "Panthera"], ["b", "Lynx"], ["a", "Puma"]], "line 4: label 'a' is on line 2"),
    "too many cells": ([HEAD, ["a", "Panthera", "", "x"]], "4 cells for 3 columns"),
    "a line break in a name": ([HEAD, ["a", "Panthera\npardus"]], "scientificName with a line break"),
}


@pytest.mark.parametrize(("rows", "problem"), BAD.values(), ids=BAD.keys())
def test_what_a_table_says_wrongly_is_a_sentence(rows: list[list[str]], problem: str) -> None:
    """File, line, what is wrong and what to do; nothing is taken over in part."""
    with pytest.raises(ConfigError) as caught:
        parse(rows, "taxa.csv")
    assert [sentence for sentence in caught.value.problems if problem in sentence and sentence.startswith("taxa.csv")]


def test_all_problems_are_told_at_once() -> None:
    """One run, one list."""
    with pytest.raises(ConfigError) as caught:
        parse([HEAD, ["a", ""], ["b", "Lynx", "kind"], ["c", "Puma"]], "taxa.csv")
    assert len(caught.value.problems) == 2


@given(
    st.lists(
        st.lists(
            st.sampled_from(["label", "scientificName", "", "Panthera", "\n", "genus", "ä"]) | st.text(), max_size=4
        )
    )
)
def test_any_table_is_read_or_refused_in_sentences(rows: list[list[str]]) -> None:
    """Strangers' files never end in a traceback."""
    try:
        taxa = parse(rows, "t")
    except ConfigError as error:
        assert error.problems
    else:
        assert all(label and taxon.scientific_name for label, taxon in taxa.items())


@pytest.mark.parametrize(
    ("text", "taxon"),
    [
        (
            f"{UUID.upper()};mammalia;carnivora;felidae;panthera;pardus;leopard",
            Taxon("Panthera pardus", UUID, "species", "Animalia", "Mammalia", "Carnivora", "Felidae", "leopard"),
        ),
        (
            f"{UUID};mammalia;carnivora;canidae;canis;lupus familiaris;domestic dog",
            Taxon(
                "Canis lupus familiaris", UUID, "subspecies", "Animalia", "Mammalia", "Carnivora", "Canidae", "domestic dog"
            ),
        ),
        (
            f"{UUID};mammalia;artiodactyla;bovidae;cephalophus;;cephalophus species",
            Taxon(
                "Cephalophus", UUID, "genus", "Animalia", "Mammalia", "Artiodactyla", "Bovidae", "cephalophus species"
            ),
        ),
        (
            f"{UUID};mammalia;carnivora;felidae;;;cat family",
            Taxon("Felidae", UUID, "family", "Animalia", "Mammalia", "Carnivora", "Felidae", "cat family"),
        ),
        (f"{UUID};aves;;;;;bird", Taxon("Aves", UUID, "class", "Animalia", "Aves", "", "", "bird")),
        (f"{UUID};;;;;;blank", Taxon("", UUID, vernacular_name="blank")),
        ("Panthera pardus", None),
        ("a;b;c;d;e;f;g", None),
        (f"{UUID};aves;;;;bird", None),
    ],
)  # fmt: skip
def test_a_class_string_of_speciesnet_is_read(text: str, taxon: Taxon | None) -> None:
    """The lowest rank that is filled gives the name."""
    assert of_speciesnet(text) == taxon


def test_the_table_has_the_first_word_about_a_label() -> None:
    """Then SpeciesNet's strings, then the label as it is."""
    bird = f"{UUID};aves;;;;;bird"
    assert resolve(bird, {bird: LEOPARD}) == LEOPARD
    assert resolve(bird, {}).scientific_name == "Aves"
    assert resolve("zebra", {"Zebra": LEOPARD}) == Taxon("zebra")


@pytest.mark.parametrize(
    "label",
    [
        "Panthera pardus", "Panthera", "Felidae", "Carnivora", "Aves", "Canis lupus familiaris", "Bison bison", "Capra ibex",
        "Vulpes vulpes (Linnaeus, 1758)", "Equus quagga Boddaert, 1785", "Cephalophus sp.",
        "Equus (Hippotigris) zebra", "Equus zebra hartmannae", "Cervus elaphus subsp. hippelaphus", "Lynx lynx",
        "Homo sapiens", "Leptailurus serval", "Puma concolor",
    ],
)  # fmt: skip
def test_scientific_names_look_like_it(label: str) -> None:
    """One to three words, the first with a capital, ranks from class to subspecies."""
    assert looks_scientific(label)


@pytest.mark.parametrize(
    "label",
    [
        "", "zebra", "Zebra", "Plains zebra", "Red fox", "African elephants", "bird sp.", "Weasel spp.", "Unknown unknown",
        "Domestic cattle", "Empty", "panthera pardus", "Panthera_pardus", "Panthera pardus, Lynx lynx", "PANTHERA",
        "=1+1", "Snake", "Small rodent", "P. pardus", "A",
    ],
)  # fmt: skip
def test_everyday_names_do_not(label: str) -> None:
    """Those that a models' folder names are usually made of."""
    assert not looks_scientific(label)


def test_labels_that_are_no_names_are_listed_once() -> None:
    """Sorted, and no empty ones."""
    assert not_scientific(["zebra", "Lynx lynx", "fox", "zebra", ""]) == ["fox", "zebra"]

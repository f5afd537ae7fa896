"""What a label names: rows of a taxa table, SpeciesNet's class strings, and whether a label looks like a scientific name."""

import difflib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from ctwatch.errors import ConfigError
from ctwatch.survey import Taxon

COLUMNS = {
    "label": "label",
    "scientificName": "scientific_name",
    "taxonID": "taxon_id",
    "taxonRank": "taxon_rank",
    "kingdom": "kingdom",
    "class": "class_name",
    "order": "order",
    "family": "family",
    "vernacularName": "vernacular_name",
}
"""Columns of a taxa table (Darwin Core) and the field of `Taxon` that each fills."""
RANKS = ("kingdom", "phylum", "class", "order", "family", "genus", "species", "subspecies")
"""Camtrap DP 1.0.2 taxonRank."""
_REQUIRED = ("label", "scientificName")
_KNOWN = {name.lower(): name for name in COLUMNS}
_SPECIESNET = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}(?:;[^;]*){6}", re.IGNORECASE)
_UNINOMIAL = re.compile(r"[A-Z][a-zë]{2,}(?:-[a-z]+)?")
_BINOMIAL = re.compile(
    r"(?P<genus>[A-Z][a-zë]+(?:-[a-z]+)?)"
    r"(?: \([A-Z][a-zë]+\))?"  # subgenus
    r" (?P<epithet>[a-zë]{2,}(?:-[a-zë]+)?|spp?\.)"
    r"(?: (?:(?:subsp|ssp|var)\. )?[a-zë]{2,}(?:-[a-zë]+)?)?"
    r"(?: \(?[A-Z][^()\d]*, ?\d{4}\)?)?"  # who described it, and when
)
_WORDS = """
    animal antelope armadillo baboon badger bat bear beaver bird boar bobcat buffalo bushbuck bushpig camel cat
    cattle chicken chimpanzee chipmunk civet coati cougar cow coyote crane crocodile deer dog donkey dove duck
    duiker eagle eland elephant elk empty equipment fawn fish fox frog gazelle genet giraffe goat goose grouse hare
    hartebeest hawk hedgehog hen heron hippo hog horse human hyena impala insect jackal jackrabbit jaguar kangaroo
    kestrel koala kudu langur leopard lion lizard llama macaque magpie marten mice mongoose monkey moose mouse mule
    muntjac none nothing ocelot okapi opossum ostrich otter owl ox pangolin panther partridge peccary person
    pheasant pig pigeon polecat porcupine possum quail rabbit raccoon rat raven reindeer reptile rhino robin rodent
    sable sambar seal setup sheep shrew skunk sloth snake sparrow squirrel stag stoat swan tapir thrush tiger
    tortoise turkey turtle unidentified unknown vehicle vulture wallaby walrus warthog waterbuck weasel wildcat
    wildebeest wolf wolverine wombat woodpecker zebra
"""
_EVERYDAY = frozenset(_WORDS.split())
"""English words that end a label as no scientific name does; those that are genera or epithets too are not among them."""
_ZEBRA = ("equus", "zebra")
"""The one binomial that ends in an English word which ends many other labels."""


def parse(rows: Sequence[Sequence[str]], name: str) -> dict[str, Taxon]:
    """Read a taxa table, the cells of a CSV file row by row: columns label, scientificName and any others of `COLUMNS`.

    Columns may come in any order and in any capitals; those of other names are passed over, unless they look like a
    slip of the pen. Raises ConfigError with every problem, each with the file's `name`, row and remedy.
    """
    problems: list[str] = []
    header = _header(rows[0] if rows else (), name, problems)
    taxa: dict[str, Taxon] = {}
    lines: dict[str, int] = {}
    for line, cells in enumerate(rows[1:] if header else (), 2):
        if not any(cell.strip() for cell in cells):
            continue
        found = _row(f"{name} line {line}", header, cells, problems)
        if found is None:
            continue
        label, taxon = found
        if label in lines:
            problems.append(f"{name} line {line}: label {label!r} is on line {lines[label]} already; leave one")
            continue
        lines[label], taxa[label] = line, taxon
    if problems:
        raise ConfigError(problems)
    return taxa


def resolve(label: str, taxa: Mapping[str, Taxon]) -> Taxon:
    """Return what a label names: the taxa table's word, else a SpeciesNet string read, else the label as it is.

    A SpeciesNet string without any rank (blank, animal, vehicle) has an empty scientific name.
    """
    return taxa.get(label) or of_speciesnet(label) or Taxon(label)


def of_speciesnet(text: str) -> Taxon | None:
    """Read `uuid;class;order;family;genus;species;common name` (SpeciesNet's class strings); None if it is none.

    The lowest rank that is filled gives the name: `Panthera pardus`, `Panthera`, `Felidae` ... ; with none filled it is
    empty. The identifier is the taxon's at Wildlife Insights.
    """
    if not _SPECIESNET.fullmatch(text.strip()):
        return None
    uuid, *ranks, common = (part.strip() for part in text.split(";"))
    class_name, order, family, genus = (part.capitalize() for part in ranks[:4])
    epithet = ranks[4].lower()
    named = [
        (f"{genus} {epithet}" if genus and epithet else "", "subspecies" if " " in epithet else "species"),
        (genus, "genus"),
        (family, "family"),
        (order, "order"),
        (class_name, "class"),
    ]
    scientific_name, rank = next(((name, rank) for name, rank in named if name), ("", ""))
    kingdom = "Animalia" if scientific_name else ""
    return Taxon(scientific_name, uuid.lower(), rank, kingdom, class_name, order, family, common)


def looks_scientific(label: str) -> bool:
    """Whether a label has the form of a scientific name: `Panthera pardus`, `Panthera`, `Felidae`, `Aves`.

    Form alone, with a list of English words against "Red fox" and "Zebra" (ICZN articles 5 and 28: one to three words,
    the first with a capital); who wrote the name and when may follow. No checklist is asked.
    """
    binomial = _BINOMIAL.fullmatch(label)
    if binomial:
        genus, epithet = binomial["genus"].lower(), binomial["epithet"]
        return (genus, epithet) == _ZEBRA or not (_everyday(genus) or _everyday(epithet))
    return _UNINOMIAL.fullmatch(label) is not None and not _everyday(label)


def not_scientific(labels: Iterable[str]) -> list[str]:
    """Return the labels that do not look like scientific names, each once, sorted."""
    return sorted({label for label in labels if label and not looks_scientific(label)})


def _everyday(word: str) -> bool:
    lower = word.lower()
    return lower in _EVERYDAY or (lower.endswith("s") and lower[:-1] in _EVERYDAY)


def _header(cells: Sequence[str], name: str, problems: list[str]) -> list[str]:
    """Return the columns' names, empty for those that are passed over; an empty list if there is no going on."""
    cells = [cell.lstrip("\ufeff").strip() for cell in cells]
    header = [_KNOWN.get(cell.lower(), "") for cell in cells]
    missing = [column for column in _REQUIRED if column not in header]
    if missing:
        problem = f"{name} line 1: no column {' or '.join(missing)}; the first line must name the columns"
        if len(cells) == 1 and re.search(r"[;\t]", cells[0]):
            problem += " and separate them by commas"
        problems.append(problem)
        return []
    for cell, column in zip(cells, header, strict=True):
        near = difflib.get_close_matches(cell.lower(), _KNOWN, 1, 0.85) if cell and not column else []
        if near:
            problems.append(f"{name} line 1: column {cell!r}: write {_KNOWN[near[0]]}")
    problems += [
        f"{name} line 1: column {column} is there twice; leave one" for column in COLUMNS if header.count(column) > 1
    ]
    return header


def _row(place: str, header: Sequence[str], cells: Sequence[str], problems: list[str]) -> tuple[str, Taxon] | None:
    if len(cells) > len(header):
        problems.append(f"{place}: {len(cells)} cells for {len(header)} columns; quote cells with commas")
        return None
    texts = [unicodedata.normalize("NFC", cell.strip()) for cell in cells]
    row = {column: text for column, text in zip(header, texts, strict=False) if column}
    empty = [column for column in _REQUIRED if not row.get(column)]
    if empty:
        problems.append(f"{place}: {' and '.join(empty)} empty; fill it in, or take the row out")
        return None
    rank = row.get("taxonRank", "").lower()
    if rank and rank not in RANKS:
        problems.append(f"{place}: taxonRank {row['taxonRank']!r} is none of {', '.join(RANKS)}; choose one")
        return None
    strange = [column for column, text in row.items() if any(unicodedata.category(mark) == "Cc" for mark in text)]
    if strange:
        problems.append(f"{place}: {' and '.join(strange)} with a line break or control character; take it out")
        return None
    label = row.pop("label")
    filled = {COLUMNS[column]: text for column, text in row.items()}
    return label, Taxon(**{**filled, "taxon_rank": rank})

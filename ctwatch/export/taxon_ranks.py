"""A label spread over class, order, family, genus and species, as MegaDetector and Wildlife Insights have it."""

from collections.abc import Mapping
from dataclasses import dataclass

from ctwatch import taxonomy
from ctwatch.survey import Taxon


@dataclass(frozen=True, slots=True)
class Ranks:
    """The ranks of one taxon; empty where they are not known."""

    class_name: str = ""
    order: str = ""
    family: str = ""
    genus: str = ""
    epithet: str = ""

    def in_lower_case(self) -> str:
        """Return `class;order;family;genus;species`, the taxonomy string of MegaDetector and SpeciesNet."""
        return ";".join((self.class_name, self.order, self.family, self.genus, self.epithet)).lower().replace("|", " ")


HUMAN = Ranks("Mammalia", "Primates", "Hominidae", "Homo", "sapiens")


def ranks_of(label: str, taxa: Mapping[str, Taxon]) -> tuple[Taxon, Ranks]:
    """Return what a label names, and its ranks as far as the taxa table and the form of the name tell them.

    A name of two words is genus and species; a name of one word goes by its rank, and by -idae, which only families
    have (ICZN article 29.2).
    """
    taxon = taxonomy.resolve(label, taxa)
    words = taxon.scientific_name.replace(";", " ").split()
    genus = epithet = ""
    family, order, class_name = (part.replace(";", " ") for part in (taxon.family, taxon.order, taxon.class_name))
    if len(words) > 1 and taxonomy.looks_scientific(taxon.scientific_name):
        genus = words[0]
        # Who described it, a subgenus, and what stands for an unknown species are no part of the epithet.
        epithet = " ".join(word for word in words[1:] if word.isalpha() and word.islower())
    elif len(words) == 1:
        rank = taxon.taxon_rank or ("family" if words[0].endswith("idae") else "")
        genus = words[0] if rank == "genus" else ""
        family = words[0] if rank == "family" else family
        order = words[0] if rank == "order" else order
        class_name = words[0] if rank == "class" else class_name
    return taxon, Ranks(class_name, order, family, genus, epithet)

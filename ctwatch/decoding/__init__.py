"""Files read and decoded in processes of their own, so that bytes which kill a decoder kill nothing else."""

from ctwatch.decoding.photograph import DEATHS, ReadFile, ReadingRules, Wanted
from ctwatch.decoding.processes import Decoders, Unanswered
from ctwatch.decoding.verdicts import Verdicts

__all__ = [
    "DEATHS",
    "Decoders",
    "ReadFile",
    "ReadingRules",
    "Unanswered",
    "Verdicts",
    "Wanted",
]

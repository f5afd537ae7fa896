"""Divides labelled photographs into train, validation and test so that no location is in two of them."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from .data import SPLITS, Example


def assign(examples: Sequence[Example], *, validation: float, test: float, seed: int) -> list[str]:
    """Return the split of every example: whole locations, with labels spread as evenly as whole locations allow.

    Locations whose rows name a split stay there. The others are dealt out one by one, those with the rarest labels
    first, each to the split that lacks most of what the location has (after Sechidis et al. 2011, for groups). Every
    label that occurs at a free location occurs in train. The result depends on the seed, not on the order of the rows.

    Args:
        examples: Their `location` tells what must stay together.
        validation: Fraction of the photographs, per label.
        test: The same.
        seed: Breaks ties.
    """
    counts: dict[str, Counter[str]] = {}
    fixed: dict[str, str] = {}
    for example in examples:
        counts.setdefault(example.location, Counter())[example.label] += 1
        if example.split is not None:
            fixed[example.location] = example.split
    rng = np.random.default_rng(seed)
    names = sorted(counts)
    luck = dict(zip(names, rng.permutation(len(names)).tolist(), strict=True))
    free = [name for name in names if name not in fixed]
    total: Counter[str] = Counter()
    for name in free:
        total.update(counts[name])
    share = dict(zip(SPLITS, (1 - validation - test, validation, test), strict=True))
    lacking = {split: {label: share[split] * total[label] for label in total} for split in SPLITS}
    seen: set[str] = set()
    placed = dict(fixed)
    for name in sorted(free, key=lambda each: (min(total[label] for label in counts[each]), luck[each])):
        # Train gets the first location of every label, however few there are.
        split = "train" if any(label not in seen for label in counts[name]) else _neediest(counts[name], lacking, total)
        placed[name] = split
        if split == "train":
            seen.update(counts[name])
        for label, number in counts[name].items():
            lacking[split][label] -= number
    return [placed[example.location] for example in examples]


def _neediest(content: Counter[str], lacking: dict[str, dict[str, float]], total: Counter[str]) -> str:
    """Return the split that lacks most of what a location has; a photograph of a rare label weighs more."""

    def need(split: str) -> float:
        return sum(lacking[split][label] * number / total[label] ** 2 for label, number in content.items())

    return max(SPLITS, key=lambda split: (need(split), -SPLITS.index(split)))

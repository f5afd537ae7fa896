"""The standing experiment: what holds of the papers' claims on generated worlds, with intervals, seeds and controls."""

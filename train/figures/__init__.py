"""Figures of merit: what models are worth, with intervals; pure but for `evaluate`, which runs the networks."""

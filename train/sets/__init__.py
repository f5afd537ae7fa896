"""Sets of labelled photographs: many answers to one, checked, divided without leaks, decoded once."""

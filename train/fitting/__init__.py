"""Training: a recipe and a set in, calibrated model files out."""

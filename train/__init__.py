"""The trainer: labelled photographs and a recipe in, a measured and calibrated model file out."""

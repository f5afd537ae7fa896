"""The demo: generated camera-trap scenes and cards of animals that do not exist."""

"""Exports: one module per dialect, rows in, files out."""

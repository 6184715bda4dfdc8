"""Geometry, values that travel, and errors: standard library and NumPy only."""

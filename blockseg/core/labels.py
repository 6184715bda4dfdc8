"""Meaning of the voxels of annotations: 0 background, 1 neurite, 255 not known."""

__all__ = ["IGNORE"]

IGNORE = 255
"""Does not count."""

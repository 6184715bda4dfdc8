"""Meaning of the voxels of annotations: 0 background, 1 neurite, 255 not known."""

IGNORE = 255
"""Does not count."""

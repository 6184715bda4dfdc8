"""Formats other than TIFF: a table of all, and a file each for those that need no more."""

"""Holes in a volume, voxels without data, found and filled as they are read."""

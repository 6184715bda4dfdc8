"""Annotations: the meaning of their voxels, and causes for doubt."""

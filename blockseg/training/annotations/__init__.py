"""Annotations: what their voxels mean, and what makes them doubtful."""

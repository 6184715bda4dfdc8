"""Comparison of two segmentations of the same volume, side by side."""

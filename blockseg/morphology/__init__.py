"""Centrelines, components and tracings, and how well two segmentations agree."""

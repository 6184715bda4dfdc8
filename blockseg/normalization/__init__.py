"""Normalization of a volume by level and noise of its background."""

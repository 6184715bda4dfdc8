"""Suitability of weights for a volume, judged by a sample of it."""

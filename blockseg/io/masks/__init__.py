"""Masks over a volume, and tissue told from what surrounds it."""

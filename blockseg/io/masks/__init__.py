"""Masks over a volume, and the distinction of tissue from its surroundings."""

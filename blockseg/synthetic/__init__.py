"""Synthetic brains of any size, with truth."""

"""Centrelines of objects as trees: thinned exactly block by block, joined by object."""

"""Version of the graph that is exported, and the precisions that it comes in."""

GRAPH_VERSION = 1
"""Changes with every change of the graph that an equal network gets."""

PRECISIONS = ("float16", "float32")
"""Precisions; normalisation, heads, sigmoid and rounding are always float32."""

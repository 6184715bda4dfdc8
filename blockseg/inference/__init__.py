"""Engines: a network applied to a block, window by window."""

"""Scores of tiles: how much each looks as if it held a neurite."""

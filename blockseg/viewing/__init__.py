"""Viewer of a run in a browser: what is there, served to this machine alone."""

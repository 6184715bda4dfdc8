"""Viewer of a run in a browser, served to this machine alone."""

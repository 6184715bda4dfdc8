"""Report of a run: a single self-contained page."""

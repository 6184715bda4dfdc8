"""Report of a run: one page, which needs nothing but a browser."""

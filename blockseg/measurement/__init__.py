"""``blockseg metrics``, and the measured cubes that every run records."""

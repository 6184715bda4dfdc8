"""``blockseg label``: objects across blocks, a clean mask, and a table of objects."""

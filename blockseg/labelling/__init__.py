"""``blockseg label``: objects whole across blocks, a clean mask, and a table of them."""

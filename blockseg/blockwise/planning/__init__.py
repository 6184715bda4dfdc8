"""Plans of blocks, windows, reads and workers that fit a machine."""

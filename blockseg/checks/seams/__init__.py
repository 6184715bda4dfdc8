"""``blockseg audit-seams``: windows across the faces of blocks inferred once more."""

"""``blockseg regions`` and ``blockseg density``: where in the brain the axons are."""

"""``blockseg regions`` and ``blockseg density``: axons by brain region."""

"""``blockseg run``, ``plan`` and ``predict``."""

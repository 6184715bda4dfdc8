"""Pages of blockseg on this machine alone: a guarded server on loopback."""

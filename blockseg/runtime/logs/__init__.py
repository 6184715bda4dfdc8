"""Structured logs of a run: JSON lines, bounded, a file for the driver and each worker."""

"""Settings of a run that decide how it is executed, and nothing of its result."""

from __future__ import annotations

EXECUTION = frozenset(
    {
        "allow_empty",
        "allow_gaps",  # stands in the source's VolumeSpec
        "attempts",
        "block_timeout",
        "worker_timeout",
        "scheduler",
        "listen",
        "insecure",
        "workers",
        "memory",
        "ledger",
        "verify",
        "exhaustive",
        "metrics",
        "dhpr",
    }
)
"""Settings that leave every byte of the segmentation alone: a resumed run may change
them."""

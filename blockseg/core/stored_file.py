"""A file as it was written, by which damage is found later."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of an output, as it is remembered."""

    path: str
    """Below the output, '/'-separated."""

    size: int
    """In bytes."""

    crc: int
    """CRC-32 of the content."""

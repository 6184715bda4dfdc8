"""Remarks on a source that are no cause for doubt."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Remark"]


@dataclass(frozen=True, slots=True)
class Remark:
    """A plain line for ``info``, for ``plan`` and for the end of a run."""

    text: str
    """Without a full stop."""

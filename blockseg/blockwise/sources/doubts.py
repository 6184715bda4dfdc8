"""Doubts about sources: remarks on what may mislead."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from blockseg.core.errors import SourceWarning

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST = 12


def say(doubts: Sequence[str]) -> None:
    """Warn of each doubt; where there are very many, of the first and of how many more."""
    for doubt in doubts[:_MOST]:
        warnings.warn(doubt, SourceWarning, stacklevel=3)
    if len(doubts) > _MOST:
        more = f"{len(doubts) - _MOST} more volumes or labels are like these"
        warnings.warn(more, SourceWarning, stacklevel=3)

"""Doubts about sources, which become warnings."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from blockseg.core.errors import SourceWarning

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST = 12


def warn_of(doubts: Sequence[str]) -> None:
    """Warn of each doubt; of very many, only of the first and of the number of the rest."""
    for doubt in doubts[:_MOST]:
        warnings.warn(doubt, SourceWarning, stacklevel=3)
    if len(doubts) > _MOST:
        more = f"{len(doubts) - _MOST} more volumes or labels are like these"
        warnings.warn(more, SourceWarning, stacklevel=3)

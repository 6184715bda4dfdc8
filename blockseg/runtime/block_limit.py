"""Time after which a block counts as hung, from the times of the run's own blocks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from blockseg.core.blocks import BlockReport

_TIMES_THE_SLOWEST = 20.0
_AT_LEAST = 300.0
_OF_THE_FIRST = 3600.0


@dataclass(slots=True)
class BlockLimit:
    """Limit for one phase.

    Twenty times the slowest block so far, and five minutes at least: a block that reads a
    corner of the source which is slow to come is not taken for one that hangs. Before a
    first block has ended, an hour.

    Parameters
    ----------
    given
        Seconds that the user allows a block, from the first; 0 for any time.
    """

    given: float | None = None
    _slowest: float = 0.0

    def saw(self, reports: Iterable[BlockReport], seconds: float) -> None:
        """Learn from blocks that ran one after the other in so many seconds."""
        known = list(reports)
        if known:
            spent = [sum(s for _, s in report.seconds) for report in known]
            self._slowest = max(self._slowest, seconds / len(known), *spent)

    @property
    def seconds(self) -> float:
        """Seconds that a block may take."""
        if self.given is not None:
            return self.given or math.inf
        if not self._slowest:
            return _OF_THE_FIRST
        return max(_AT_LEAST, _TIMES_THE_SLOWEST * self._slowest)

    def of(self, blocks: int) -> float:
        """Return the seconds that a task may take: one block hangs, the others do not."""
        others = min(self.seconds, _TIMES_THE_SLOWEST * self._slowest)
        return self.seconds + (blocks - 1) * others

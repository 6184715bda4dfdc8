"""Workers that leave while they run blocks: at the end of their lifetime, or on request."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from blockseg.core.blocks import BlockReport
from blockseg.core.errors import ClusterLostError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_OF_A_BLOCK = 3
_IN_A_ROW = 5
_TIMES_THE_WORKERS = 3
_REMEDY = (
    "if they have a --lifetime it is shorter than a block takes: give them a longer one, "
    "or choose a smaller --block"
)


@dataclass(slots=True)
class Departures:
    """Count of departures, which Dask does not keep.

    A worker that leaves in good order, as one whose ``--lifetime`` is over does, gives its
    tasks back, and Dask starts them elsewhere as if nothing had happened, for ever.
    """

    _blocks: Counter[int] = field(default_factory=Counter)
    _in_a_row: int = 0
    _most_workers: int = 1

    def left(self, workers: int, running: Sequence[int]) -> list[BlockReport]:
        """Take that a worker left while it had tasks.

        Parameters
        ----------
        workers
            Workers that are there now.
        running
            Blocks of the tasks that it ran; none if it was not ready for any.

        Returns
        -------
        list of BlockReport
            Failures of the blocks that were left too often.

        Raises
        ------
        ClusterLostError
            If one worker after the other leaves before it has done a block.
        """
        self._in_a_row += 1
        self._most_workers = max(self._most_workers, workers + 1)
        # A cluster that shrinks loses each of its workers once.
        if self._in_a_row >= max(_IN_A_ROW, _TIMES_THE_WORKERS * self._most_workers):
            message = (
                f"{self._in_a_row} workers left one after the other before they had done "
                f"a block; {_REMEDY}"
            )
            raise ClusterLostError(message)
        self._blocks.update(running)
        return [
            BlockReport(
                block,
                error=f"its worker left {_OF_A_BLOCK} times while it ran; {_REMEDY}",
                retry=False,
            )
            for block in running
            if self._blocks[block] >= _OF_A_BLOCK
        ]

    def done(self, blocks: Iterable[int]) -> None:
        """Take that blocks came back."""
        for block in blocks:
            self._in_a_row = 0
            self._blocks.pop(block, None)

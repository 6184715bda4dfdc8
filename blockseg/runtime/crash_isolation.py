"""Isolation of the block that killed its worker, when several were in flight there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from blockseg.core.blocks import BlockReport

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_DIED = "died while it ran this block alone: out of memory, or a crash in native code"


@dataclass(slots=True)
class CrashIsolation:
    """Blocks that were in flight on a worker when it died.

    Each of them is then run with a worker to itself. If that one dies too, the block
    did it; the innocent ones come through and lose nothing.
    """

    _blocks: set[int] = field(default_factory=set)

    def died(
        self, worker: str, blocks: Sequence[int], how: str = _DIED
    ) -> BlockReport | None:
        """Take the death of a worker while one of its tasks had these blocks.

        Parameters
        ----------
        worker
            Its address.
        blocks
            Of the task.
        how
            What became of the worker, for the message: it "died while …".

        Returns
        -------
        BlockReport or None
            The block's failure, if it was alone and had been in flight at a death before.
        """
        if len(blocks) == 1 and blocks[0] in self._blocks:
            return BlockReport(blocks[0], error=f"worker {worker} {how}")
        self._blocks.update(blocks)
        return None

    def cleared(self, blocks: Iterable[int]) -> None:
        """Take that blocks came back from a worker that lived."""
        self._blocks.difference_update(blocks)

    def __bool__(self) -> bool:
        return bool(self._blocks)

    def covers(self, blocks: Iterable[int]) -> bool:
        """Return whether any of these blocks is in isolation."""
        return not self._blocks.isdisjoint(blocks)

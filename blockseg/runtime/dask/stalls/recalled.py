"""Blocks that were taken back from a worker, until nobody runs them any more."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from blockseg.runtime.dask.settle import plugin_prefix, still_running

if TYPE_CHECKING:
    from collections.abc import Iterable

    from distributed import Client

    from blockseg.core.blocks import BlockReport

_RECALL_SECONDS = 0.5
_ASK_AGAIN_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Recalled:
    since: float
    verdict: BlockReport | None
    worker: str


@dataclass(slots=True)
class RecalledBlocks:
    """Blocks by number, each with its failure, if it is to blame."""

    client: Client
    """Client of the cluster."""

    run_id: str
    """Name of the output, by which the workers know its blocks."""

    _blocks: dict[int, _Recalled] = field(default_factory=dict)
    _ask_from: float = float("-inf")

    def __len__(self) -> int:
        return len(self._blocks)

    def add(
        self, blocks: Iterable[int], worker: str, verdict: BlockReport | None
    ) -> None:
        """Take blocks back from a worker, or from none if that is empty."""
        one = _Recalled(time.monotonic(), verdict, worker)
        self._blocks.update(dict.fromkeys(blocks, one))

    def blame(self, report: BlockReport) -> None:
        """Let a block come back as a failed one."""
        before = self._blocks[report.block_id]
        self._blocks[report.block_id] = replace(before, verdict=report)

    def clear(self) -> None:
        """Forget all."""
        self._blocks.clear()

    def come_back(self) -> tuple[list[int], list[BlockReport]]:
        """Return the blocks that may be handed out again, and those that failed.

        Raises
        ------
        ClusterLostError
            If the scheduler does not answer.
        """
        # A scheduler that allows failures starts a dead worker's tasks elsewhere at
        # once, sooner than we can cancel them: let those end first.
        now = time.monotonic()
        due = now - _RECALL_SECONDS
        ready = [block for block, one in self._blocks.items() if one.since < due]
        if not ready or now < self._ask_from:
            return [], []
        busy, silent = still_running(self.client, plugin_prefix(self.run_id), ready)
        if silent:  # each question takes its time now
            self._ask_from = time.monotonic() + _ASK_AGAIN_SECONDS
        returned, reports = [], []
        for block in ready:
            if block in busy or self._blocks[block].worker in silent:
                continue
            verdict = self._blocks.pop(block).verdict
            if verdict is None:
                returned.append(block)
            else:
                reports.append(verdict)
        return returned, reports

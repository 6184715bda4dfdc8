"""Metrics of a run beside Dask's own, for Prometheus: ``/metrics`` of the dashboard.

Dask serves them where ``prometheus_client`` is installed, and has then imported it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blockseg.runtime.board import Board


class BoardCollector:
    """Reads the board whenever Prometheus asks, and never else."""

    def __init__(self, board: Board) -> None:
        self.board = board

    def describe(self) -> list[Any]:
        """Return nothing: what there is depends on the run."""
        return []

    def collect(self) -> Iterator[Any]:
        """Yield the metrics as they are now."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        board = self.board
        blocks = GaugeMetricFamily(
            "blockseg_blocks", "Blocks by phase and state", labels=["phase", "state"]
        )
        for (phase, state), count in list(board.counts.items()):
            blocks.add_metric([phase, state], count)
        if board.phase:
            blocks.add_metric([board.phase, "left"], board.left)
        yield blocks
        voxels = CounterMetricFamily(
            "blockseg_voxels", "Voxels written", labels=["phase"]
        )
        for phase, count in list(board.voxels.items()):
            voxels.add_metric([phase], count)
        yield voxels
        seconds = CounterMetricFamily(
            "blockseg_seconds",
            "Seconds of all workers by activity",
            labels=["phase", "activity"],
        )
        for (phase, activity), spent in list(board.seconds.items()):
            seconds.add_metric([phase, activity], spent)
        yield seconds


_collectors: list[BoardCollector] = []  # one a process, of the run that began last


def collect_from(board: Board) -> None:
    """Export the metrics of a run to Prometheus, if its client is installed."""
    client = sys.modules.get("prometheus_client")
    if client is None:
        return
    if _collectors:
        _collectors[0].board = board
        return
    _collectors.append(BoardCollector(board))
    client.REGISTRY.register(_collectors[0])

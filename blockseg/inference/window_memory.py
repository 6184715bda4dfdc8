"""Main memory that an engine takes for a window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockseg.inference.backends.table import backend_row, loaded

if TYPE_CHECKING:
    from blockseg.core.geometry import Zyx
    from blockseg.networks.weights_info import WeightsInfo

__all__ = ["window_memory"]


def window_memory(
    core: Zyx,
    backend: str,
    itemsize: int = 4,
    info: WeightsInfo | None = None,
    volume: Zyx | None = None,
) -> int:
    """Return the memory of an engine with this core, in bytes.

    Fitted to the peak memory of whole workers, above the 400 MiB of a process with its
    libraries and above its blocks (``benchmarks/run/bench_memory.py``): for SDASN with cores
    of 32³ to 256³ they took between 0.85 and 1.15 of what comes of it. Another width takes
    as much more or less.

    Parameters
    ----------
    core
        Voxels along (z, y, x).
    backend
        Name of its row in the table of backends.
    itemsize
        Bytes of a number: 4, or 8 for float64.
    info
        Of the weights; SDASN of width 8 if not given.
    volume
        Voxels along (z, y, x): SDASN on OpenVINO needs nothing for what lies beyond,
        where a window is as long as the volume.
    """
    taken: int = loaded(backend_row(backend).memory)(core, itemsize, info, volume)
    return taken

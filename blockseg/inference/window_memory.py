"""Memory that a window takes, and the window to take where that is too much.

Main memory of engines on the CPU is fitted to what was measured. On devices the sizes of
the feature maps that have to be there at the same time are added up, with room for what
libraries take for themselves; a window that is too large all the same is halved when the
device says so.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from blockseg.core.geometry import ceil_to, to_zyx
from blockseg.inference.backends.table import backend_row, loaded
from blockseg.networks.receptive_field import FIELDS

if TYPE_CHECKING:
    from blockseg.core.geometry import Zyx
    from blockseg.networks.weights_info import WeightsInfo

_LARGEST = 320  # voxels: beyond it blocks are large, and margins hardly matter
_SMALLEST = 32  # voxels: below it most of a window would be margin
_USABLE = 0.8  # of what is free: others may come, and allocations leave gaps

_LIBRARIES = 3 * 2**30  # of main memory: a process with CUDA's libraries loaded
_BUFFERS = 4  # windows in pinned memory: read ahead, copied, computed, given


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


def device_bytes(
    core: Zyx, backend: str, precision: str, info: WeightsInfo | None = None
) -> int:
    """Return the device memory of an engine with this core, in bytes.

    Parameters
    ----------
    core
        Voxels along (z, y, x).
    backend
        Name of its row in the table of backends.
    precision
        ``float16``, ``float32`` or ``float64``.
    info
        Of the weights; SDASN of its usual width if not given.
    """
    taken: int = loaded(backend_row(backend).device_memory)(core, precision, info)
    return taken


def host_bytes(core: Zyx, itemsize: int, info: WeightsInfo | None = None) -> int:
    """Return the main memory that an engine on a device takes, in bytes.

    Parameters
    ----------
    core
        Voxels along (z, y, x).
    itemsize
        Bytes of a grey level.
    info
        Of the weights; SDASN if not given.
    """
    reach = FIELDS["sdasn" if info is None else info.architecture].reach
    window = math.prod(n + 2 * reach for n in core) * itemsize
    return _LIBRARIES + _BUFFERS * (window + math.prod(core))


def largest_edge(
    free: int, backend: str, precision: str, info: WeightsInfo | None = None
) -> int:
    """Return the longest edge of cubic windows' cores that fit, in voxels.

    Parameters
    ----------
    free
        Bytes of the device's memory that nobody uses.
    backend, precision, info
        As for :func:`device_bytes`.
    """
    for edge in range(_LARGEST, _SMALLEST, -_SMALLEST):
        if device_bytes((edge,) * 3, backend, precision, info) <= free * _USABLE:
            return edge
    return _SMALLEST


def halved(core: Zyx, alignment: int) -> Zyx | None:
    """Return a core with half the longest edge; None if it is the smallest.

    Parameters
    ----------
    core
        Voxels along (z, y, x).
    alignment
        Of the network: edges are multiples of it.
    """
    longest = max(range(3), key=lambda axis: core[axis])
    length = ceil_to(max(-(-core[longest] // 2), _SMALLEST), alignment)
    if length >= core[longest]:
        return None
    return to_zyx(length if axis == longest else n for axis, n in enumerate(core))

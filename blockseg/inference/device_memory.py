"""Memory that a window takes of a device, and main memory beside it.

Added up from the sizes of the feature maps that have to be there at the same time, with
room for what libraries take for themselves; not measured. A window that is too large
all the same is halved when the device says so.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from blockseg.inference.backends.table import backend_row, loaded
from blockseg.networks.receptive_field import FIELDS

if TYPE_CHECKING:
    from blockseg.core.geometry import Zyx
    from blockseg.networks.weights_info import WeightsInfo

__all__ = ["device_bytes", "host_bytes", "largest_edge"]

_LARGEST = 320  # voxels: beyond it blocks are large, and margins hardly matter
_SMALLEST = 32
_USABLE = 0.8  # of what is free: others may come, and allocations leave gaps

_LIBRARIES = 3 * 2**30  # of main memory: a process with CUDA's libraries loaded
_BUFFERS = 4  # windows in pinned memory: read ahead, copied, computed, given


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
    edges = range(_LARGEST, _SMALLEST, -_SMALLEST)
    for edge in edges:
        if device_bytes((edge,) * 3, backend, precision, info) <= free * _USABLE:
            return edge
    return _SMALLEST

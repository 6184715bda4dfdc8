"""What memory an engine takes for a window."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from blockseg.networks.receptive_field import FIELDS, STRIDE

if TYPE_CHECKING:
    from blockseg.core.geometry import Zyx
    from blockseg.networks.receptive_field import Field
    from blockseg.networks.weights_info import WeightsInfo

__all__ = ["window_memory"]

MEMORY = {
    "torch": (-40 * 2**20, 100),
    "fake": (0, 12),
}
"""For SDASN of width 8: bytes in all, above those of a process with its libraries, and bytes
a float32 voxel of the window."""

OTHERS = {
    ("voxresnet", "openvino"): (700 * 2**20, 480),
    ("voxresnet", "torch"): (100 * 2**20, 480),
    ("unet3d", "openvino"): (700 * 2**20, 480),
    ("unet3d", "torch"): (100 * 2**20, 480),
}
"""The same for the others at width 32. OpenVINO's graph is made from a small window."""


_TORCH_LARGE = (-436 * 10**6, 177)
"""SDASN on torch for windows above some 100³, from which on it keeps copies."""

_SDASN_FIXED = -200 * 2**20
"""Of SDASN on OpenVINO, which does without torch: less than a process with it."""

_SDASN_SPARE = 1.15
"""Memory of SDASN on OpenVINO over that of the maps that are needed at a time."""


def window_memory(
    core: Zyx,
    backend: str,
    itemsize: int = 4,
    info: WeightsInfo | None = None,
    volume: Zyx | None = None,
) -> int:
    """Return the memory of an engine with this core, in bytes.

    Fitted to the peak memory of whole workers, above the 400 MiB of a process with its
    libraries and above its blocks (``benchmarks/bench_memory.py``): for SDASN with cores
    of 32³ to 256³ they took between 0.85 and 1.15 of what comes of it. Another width takes
    as much more or less.

    Parameters
    ----------
    core
        Voxels along (z, y, x).
    backend
        ``openvino``, ``torch`` or ``fake``.
    itemsize
        Bytes of a number: 4, or 8 for float64.
    info
        Of the weights; SDASN of width 8 if not given.
    volume
        Voxels along (z, y, x): SDASN on OpenVINO needs nothing for what lies beyond,
        where a window is as long as the volume.
    """
    architecture = "sdasn" if info is None else info.architecture
    field = FIELDS[architecture]
    width = field.width if info is None else info.width
    if (architecture, backend) == ("sdasn", "openvino"):
        return _SDASN_FIXED + int(_SDASN_SPARE * _maps(core, volume, field, width))
    fixed, per_voxel = OTHERS.get(
        (architecture, backend), MEMORY.get(backend, MEMORY["torch"])
    )
    if info is not None and backend != "fake":
        per_voxel = max(40, per_voxel * info.width // field.width)
    voxels = math.prod(n + 2 * field.reach for n in core) * itemsize // 4
    needs = [fixed + per_voxel * voxels]
    if (architecture, backend) == ("sdasn", "torch"):
        fixed, per_voxel = _TORCH_LARGE
        needs.append(fixed + per_voxel * voxels * width // field.width)
    return max(needs)


def _maps(core: Zyx, volume: Zyx | None, field: Field, width: int) -> int:
    """Return the bytes of SDASN's maps at full resolution that are needed at a time.

    Two of the whole window; or one, and three that are two voxels wider than the core.
    """
    whole, kept = 1, 1
    for axis, n in enumerate(core):
        alone = volume is not None and n >= volume[axis]  # it has two walls
        whole *= n if alone else n + 2 * field.reach
        kept *= n if alone else n + 2 * STRIDE
    return 4 * width * max(2 * whole, whole + 3 * kept)

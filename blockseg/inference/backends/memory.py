"""Memory of a window, a function a backend.

Fitted to the peak memory of whole workers (``benchmarks/run/bench_memory.py``), above that of
a process with its libraries; on devices added up from the maps that are there at a time.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from blockseg.inference.backends.cuda import plan
from blockseg.networks.receptive_field import FIELDS, STRIDE
from blockseg.networks.weights_info import WeightsInfo

if TYPE_CHECKING:
    from blockseg.core.geometry import Zyx
    from blockseg.networks.receptive_field import Field

_OPENVINO_OTHERS = (700 * 2**20, 480)
"""Bytes in all, and bytes a float32 voxel of the window, of the networks other than SDASN
at width 32. OpenVINO's graph is made from a small window."""

_LLVM_PLANES = 75
"""Planes at full resolution of SDASN's width that its maps amount to while a window streams."""

_LLVM_SLABS = 66
"""Planes of a window and of its result that are in memory at a time."""

_LLVM_FIXED = -130 * 2**20
"""LLVM itself, kernels, and the rows of numbers that they work through, 70 MiB, in a process
that does without torch."""

_TORCH_OTHERS = (100 * 2**20, 480)
_TORCH = (-40 * 2**20, 100)
"""The same for SDASN of width 8 on torch."""

_TORCH_LARGE = (-436 * 10**6, 177)
"""SDASN on torch for windows above some 100³, from which on it keeps copies."""

_SDASN_FIXED = -200 * 2**20
"""Memory of SDASN on OpenVINO, which does without torch: less than with it."""

_SDASN_SPARE = 1.15
"""Memory of SDASN on OpenVINO over that of the maps that are needed at a time."""

_MAPS = {"sdasn": 32, "voxresnet": 136, "unet3d": 136}
"""Channels at full resolution that are in a device's memory at once, in the network's usual
width: for SDASN x00, both upsampled maps and what is made of them."""

_WORKSPACE = 2  # what a library takes for itself, as a factor
_FIXED = 2**30  # of a device: context, libraries' code, weights

_USUAL = WeightsInfo("", 1.0)  # SDASN of width 8


def linear(
    core: Zyx, itemsize: int, info: WeightsInfo | None, fixed: int, per_voxel: int
) -> int:
    """Return ``fixed`` bytes and ``per_voxel`` for each float32 voxel of a window."""
    voxels = math.prod(n + 2 * _field(info).reach for n in core) * itemsize // 4
    return fixed + per_voxel * voxels


def openvino_window(
    core: Zyx, itemsize: int, info: WeightsInfo | None, volume: Zyx | None
) -> int:
    """Return the bytes of a window on OpenVINO."""
    field = _field(info)
    if _architecture(info) != "sdasn":
        fixed, per_voxel = _OPENVINO_OTHERS
        return linear(core, itemsize, info, fixed, _scaled(per_voxel, info))
    width = field.width if info is None else info.width
    return _SDASN_FIXED + int(_SDASN_SPARE * _sdasn_maps(core, volume, field, width))


def llvm_window(
    core: Zyx, itemsize: int, info: WeightsInfo | None, volume: Zyx | None
) -> int:
    """Return the bytes of a window on kernels of our own, which hold a few of its planes."""
    del itemsize
    field = _field(info)
    width = field.width if info is None else info.width
    _, *plane = (
        n if volume is not None and n >= volume[axis] else n + 2 * field.reach
        for axis, n in enumerate(core)
    )
    whole, planes = math.prod(plane), min(core[0] + 2 * field.reach, _LLVM_PLANES)
    return _LLVM_FIXED + whole * (4 * width * planes + 4 * _LLVM_SLABS)


def torch_window(
    core: Zyx,
    itemsize: int,
    info: WeightsInfo | None,
    volume: Zyx | None,  # noqa: ARG001
) -> int:
    """Return the bytes of a window on torch."""
    sdasn = _architecture(info) == "sdasn"
    fixed, per_voxel = _TORCH if sdasn else _TORCH_OTHERS
    needs = linear(core, itemsize, info, fixed, _scaled(per_voxel, info))
    if not sdasn:
        return needs
    field = _field(info)
    width = field.width if info is None else info.width
    fixed, per_voxel = _TORCH_LARGE
    voxels = linear(core, itemsize, info, 0, 1)
    return max(needs, fixed + per_voxel * voxels * width // field.width)


def device_maps(core: Zyx, precision: str, info: WeightsInfo | None) -> int:
    """Return the bytes of a device that a library's kernels take for a window."""
    field = _field(info)
    share = 1.0 if info is None else info.width / field.width
    itemsize = {"float16": 2, "float32": 4, "float64": 8}[precision]
    per_voxel = _MAPS[_architecture(info)] * itemsize * _WORKSPACE
    voxels = math.prod(n + 2 * field.reach for n in core)
    return _FIXED + math.ceil(per_voxel * share * voxels)


def fused_maps(core: Zyx, precision: str, info: WeightsInfo | None) -> int:  # noqa: ARG001
    """Return the bytes of a device that our own kernels take for a window."""
    return _FIXED + plan.device_bytes(core, (info or _USUAL).width)


def _architecture(info: WeightsInfo | None) -> str:
    return "sdasn" if info is None else info.architecture


def _field(info: WeightsInfo | None) -> Field:
    return FIELDS[_architecture(info)]


def _scaled(per_voxel: int, info: WeightsInfo | None) -> int:
    if info is None:
        return per_voxel
    return max(40, per_voxel * info.width // _field(info).width)


def _sdasn_maps(core: Zyx, volume: Zyx | None, field: Field, width: int) -> int:
    """Return the bytes of SDASN's maps at full resolution that are needed at a time.

    Two of the whole window; or one, and three that are two voxels wider than the core.
    """
    whole, kept = 1, 1
    for axis, n in enumerate(core):
        alone = (
            volume is not None and n >= volume[axis]
        )  # the volume ends on both sides
        whole *= n if alone else n + 2 * field.reach
        kept *= n if alone else n + 2 * STRIDE
    return 4 * width * max(2 * whole, whole + 3 * kept)

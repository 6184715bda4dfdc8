"""Weights of SDASN as tiles of bfloat16, in the order in which AMX's kernels read them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from blockseg.inference.backends.llvm import amx
from blockseg.inference.backends.llvm.planar_form import TAPS, head_weights, kept
from blockseg.networks.bfloat16 import nearest
from blockseg.networks.receptive_field import KERNEL, STRIDE

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from blockseg.inference.backends.llvm.layers import Layer
    from blockseg.networks.sdasn_arrays import Arrays

CHANNELS = (amx.CHANNELS, 16, 32)
"""Channels in memory on each level, zeros included."""

HEAD_PARTS = 2
"""Tiles that a head's weights are split into: bfloat16, and what its rounding left."""

SUMS = 16
"""Sums in a row of a tile."""

_K = 32
"""Numbers that one instruction multiplies for each sum."""


@dataclass(frozen=True, slots=True)
class Tiles:
    """Weights of a layer, or of one parity of a transposed one."""

    w: npt.NDArray[np.uint16]
    """``(half, term, row of the kernel, 16, 16, 2)``."""

    bias: npt.NDArray[np.float32]
    """``(half, 16, 16)``."""

    step: int
    """Voxels of the source from one row of a tile to the next."""

    @property
    def terms(self) -> int:
        """Tiles of inputs that add to one of sums, for each row of the kernel."""
        return len(self.w[0])

    @property
    def halves(self) -> int:
        """Tiles of sums side by side."""
        return len(self.w)

    @property
    def height(self) -> int:
        """Rows of the kernel."""
        return len(self.w[0, 0])


def layer_tiles(
    layer: Layer, arrays: Arrays
) -> Iterator[tuple[tuple[int, int], Tiles]]:
    """Yield the weights of a layer; of a transposed one by parity along z and y."""
    if layer.kind not in ("conv", "up"):
        return
    weight, bias = arrays[f"{layer.name}.weight"], arrays[f"{layer.name}.bias"]
    channels = CHANNELS[layer.level]
    if layer.kind == "conv":
        # Of several sources the channels lie behind one another.
        parts = np.split(weight, len(layer.sources), axis=1)
        together = max(1, SUMS // channels)
        terms = [
            _matrices(
                {
                    (voxel + kx, voxel): part[:, :, kz, ky, kx].T
                    for voxel in range(together)
                    for kx in range(KERNEL)
                },
                _channels_in(layer),
                channels,
            )
            for part in parts
            for kz in range(KERNEL)
            for ky in range(KERNEL)
        ]
        each = [terms[n : n + KERNEL] for n in range(0, len(terms), KERNEL)]
        yield (0, 0), _laid(each, bias, channels, together)
        return
    for z, y in product(range(STRIDE), repeat=2):
        each = [
            [
                _matrices(
                    {
                        (step, parity): weight[:, :, kz, ky, kx]
                        for parity in range(STRIDE)
                        for step, kx in TAPS[parity]
                    },
                    CHANNELS[layer.level + 1],
                    channels,
                )
                for _, ky in TAPS[y]
            ]
            for _, kz in TAPS[z]
        ]
        yield (z, y), _laid(each, bias, channels, 1)


def _channels_in(layer: Layer) -> int:
    """Return the channels in memory of each source of a convolution."""
    level = layer.level
    if layer.sources[0].endswith("pool"):
        level -= 1
    return CHANNELS[level]


def _matrices(
    parts: dict[tuple[int, int], npt.NDArray[np.float32]],
    channels_in: int,
    channels: int,
) -> npt.NDArray[np.float32]:
    """Return the matrix that multiplies a row of inputs, ``(chunk, 32, sums)``.

    Parameters
    ----------
    parts
        Weights ``(in, out)`` by the voxel that goes in and the one that comes out.
    channels_in, channels
        In memory.
    """
    voxels = 1 + max(voxel for voxel, _ in parts)
    results = 1 + max(result for _, result in parts)
    chunks = -(-voxels * channels_in // _K)
    full = np.zeros((chunks * _K, max(results * channels, SUMS)), np.float32)
    for (voxel, result), weight in parts.items():
        rows, columns = weight.shape
        there = (
            slice(voxel * channels_in, voxel * channels_in + rows),
            slice(result * channels, result * channels + columns),
        )
        full[there] = weight
    return full.reshape(chunks, _K, -1)


def _laid(
    each: list[list[npt.NDArray[np.float32]]],
    bias: npt.NDArray[np.float32],
    channels: int,
    step: int,
) -> Tiles:
    """Lay matrices by plane and row of the kernel into tiles."""
    every = np.array(each)  # plane, row, chunk, 32, sums
    planes, height, chunks, _, sums = every.shape
    every = every.transpose(0, 2, 1, 3, 4).reshape(planes * chunks, height, _K, sums)
    halves = sums // SUMS
    every = every.reshape(planes * chunks, height, _K // 2, 2, halves, SUMS)
    w = _as_bfloat16(every.transpose(4, 0, 1, 2, 5, 3))
    start = np.tile(filled(bias, channels), sums // channels)
    rows = np.repeat(start.reshape(halves, 1, SUMS), amx.ROWS, axis=1)
    return Tiles(_kept_shorts(w), kept(rows), step)


def head_tiles(
    arrays: Arrays,
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.float32]]:
    """Return tiles of the heads' weights on x00, up01 and x02, and what sums begin with."""
    weights, shift = head_weights(arrays)
    tiles = []
    for part in weights.reshape(3, -1):
        rough = nearest(part)
        for one in (rough, part - rough):
            full = np.zeros((_K, amx.HEAD_VOXELS), np.float32)
            for voxel in range(amx.HEAD_VOXELS):
                first = voxel * amx.CHANNELS
                full[first : first + len(one), voxel] = one
            pairs = full.reshape(_K // 2, 2, amx.HEAD_VOXELS)
            tiles.append(pairs.transpose(0, 2, 1))
    start = np.full((amx.ROWS, amx.HEAD_VOXELS), shift, np.float32)
    return _kept_shorts(_as_bfloat16(np.array(tiles))), kept(start)


def filled(array: npt.NDArray[np.float32], *shape: int) -> npt.NDArray[np.float32]:
    """Return an array with zeros behind, on its first axes, up to a shape."""
    full = np.zeros((*shape, *array.shape[len(shape) :]), np.float32)
    full[tuple(slice(n) for n in array.shape)] = array
    return full


def _as_bfloat16(array: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """Return the bits of the nearest bfloat16 of each number."""
    return (nearest(array).view(np.uint32) >> 16).astype(np.uint16)


def _kept_shorts(array: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    whole = kept(np.ascontiguousarray(array).view(np.float32))
    return whole.view(np.uint16).reshape(array.shape)

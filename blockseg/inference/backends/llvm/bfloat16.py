"""SDASN in bfloat16 on AMX: planes of voxels, weights as tiles.

The first convolution, all sums, biases, activations and the heads' weights are float32; maps
between layers and the other weights are rounded to bfloat16.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.errors import BackendError
from blockseg.inference.backends.llvm import amx, planar
from blockseg.inference.backends.llvm.amx_permission import ask_for_tiles
from blockseg.inference.backends.llvm.compiler import Kernels
from blockseg.inference.backends.llvm.float32 import (
    TAPS,
    copy_call,
    head_weights,
    kept,
    planar_shape,
    scattered,
)
from blockseg.inference.backends.llvm.layers import LAYERS
from blockseg.inference.backends.llvm.program import Call, Plane, Shape
from blockseg.inference.backends.llvm.vectors import AVX512
from blockseg.networks.receptive_field import KERNEL, STRIDE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from blockseg.inference.backends.llvm.layers import Layer, Span
    from blockseg.networks.sdasn_arrays import Arrays

LARGEST_WIDTH = 8
"""Of networks that the tiles are made for."""

_CHANNELS = (8, 16, 32)
"""Channels in memory on each level, zeros included."""

_BEFORE = 64
"""Bytes before a row: room for one voxel, and the next at the start of a cache line."""

_BEHIND = 17 * amx.ROW
"""Bytes behind a row: tiles reach so far beyond its end."""

_K = 32
"""Numbers that one instruction multiplies for each sum."""

_N = 16
"""Sums in a row of a tile."""

_HEAD_STEP = 2 * amx.HEAD_VOXELS * amx.BF16
"""Bytes of a row of the heads' tiles of weights."""


@dataclass(frozen=True, slots=True)
class _Tiles:
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


class TiledBfloat16:
    """Form of maps in bfloat16, planes ``(y, x, c)``.

    Parameters
    ----------
    arrays
        Folded parameters; see :func:`~blockseg.networks.sdasn_arrays.folded_arrays`.

    Raises
    ------
    BackendError
        If the CPU has no AMX, the system does not lend it, or the network is too wide.
    """

    def __init__(self, arrays: Arrays) -> None:
        width = len(arrays["x00.0.bias"])
        if width > LARGEST_WIDTH:
            message = (
                f"the bfloat16 kernels are for networks of width {LARGEST_WIDTH} or less, "
                f"not {width}; compute in float32"
            )
            raise BackendError(message)
        ask_for_tiles()
        self.kernels = _kernels()
        self._eight = _configuration([amx.ROW] * 8)
        self._three = _configuration(
            [amx.HEAD_VOXELS * planar.F32, amx.ROW, _HEAD_STEP]
        )
        weight, bias = arrays["x00.0.weight"], arrays["x00.0.bias"]
        self._first = (
            kept(_filled(weight, CHANNELS, 1).transpose(1, 2, 3, 4, 0)),
            kept(_filled(bias, CHANNELS)),
        )
        self._heads = _head_tiles(arrays)
        self._tiles = {
            (layer.name, parities): tiles
            for layer in LAYERS
            if layer.name != "x00.0"
            for parities, tiles in _tiles(layer, arrays)
        }

    def shape(self, layer: Layer, y: Span, x: Span) -> Shape:
        """Return how planes of a map lie in memory; those of the input are float32."""
        if layer.kind == "input":
            return planar_shape(y, x, 1, AVX512.lanes)
        # A pooled map has the channels of the level above.
        column = _CHANNELS[layer.level - (layer.kind == "pool")] * amx.BF16
        row = scattered(_BEFORE + (x[1] - x[0]) * column + _BEHIND)
        rows = 1 + y[1] - y[0] + amx.IMAGE_ROWS + 1
        return Shape(y, x, row * rows, row + _BEFORE, row, column, amx.BF16)

    def calls(
        self, layer: Layer, z: int, to: Plane, sources: Sequence[Sequence[Plane]]
    ) -> Sequence[Call]:
        """Return what computes a plane; see :class:`~.program.Form`."""
        if layer.kind == "input":
            return [copy_call(to, sources)]
        if layer.name == "x00.0":
            return [self._first_call(to, sources)]
        if layer.kind == "conv":
            return self._convolution(layer, to, sources)
        if layer.kind == "up":
            return self._transposed(layer, z, to, sources)
        if layer.kind == "pool":
            return [_pool_call(to, sources)]
        return [self._head_call(to, sources)]

    def _first_call(self, to: Plane, sources: Sequence[Sequence[Plane]]) -> Call:
        (planes,), shape = sources, to.shape
        corner = planes[0].shape.at(shape.y[0] - 1, shape.x[0] - 1)
        numbers = (
            *(to.address + shape.first, shape.row, shape.ny, shape.nx, 1, 0, 0),
            *(array.ctypes.data for array in self._first),
        )
        addresses = [plane.address + corner for plane in planes]
        return Call("first", numbers, ((5, addresses), (6, [planes[0].shape.row])))

    def _convolution(
        self, layer: Layer, to: Plane, sources: Sequence[Sequence[Plane]]
    ) -> list[Call]:
        shape, tiles = to.shape, self._tiles[layer.name, (0, 0)]
        chunks = tiles.terms // (KERNEL * len(sources))
        addresses, rows = [], []
        for plane in (plane for planes in sources for plane in planes):
            corner = plane.address + plane.shape.at(shape.y[0] - 1, shape.x[0] - 1)
            addresses += [corner + n * amx.ROW for n in range(chunks)]
            rows += [plane.shape.row] * chunks
        column = sources[0][0].shape.column
        voxels = tiles.step  # a tile's row of sums has as many
        return [
            Call(
                "conv3",
                (
                    to.address + shape.first + half * _N * amx.BF16,
                    *(shape.row, voxels * shape.column, shape.ny),
                    shape.nx * shape.column // (tiles.halves * amx.BF16),
                    *(tiles.terms, 0, 0, tiles.step * column),
                    *self._addresses(tiles, half),
                ),
                ((6, addresses), (7, rows)),
            )
            for half in range(tiles.halves)
        ]

    def _transposed(
        self, layer: Layer, z: int, to: Plane, sources: Sequence[Sequence[Plane]]
    ) -> list[Call]:
        (planes,), shape = sources, to.shape
        source = planes[0].shape
        y, x = shape.y[0] // STRIDE, shape.x[0] // STRIDE
        made = []
        for parity in range(STRIDE):
            tiles = self._tiles[layer.name, (z % STRIDE, parity)]
            chunks = tiles.terms // len(planes)
            addresses = [
                plane.address + source.at(y, x) + n * amx.ROW
                for plane in planes
                for n in range(chunks)
            ]
            made += [
                Call(
                    f"conv{tiles.height}",
                    (
                        to.address
                        + shape.first
                        + parity * shape.row
                        + half * _N * amx.BF16,
                        *(STRIDE * shape.row, STRIDE * shape.column),
                        shape.ny // STRIDE,
                        shape.nx * shape.column // (tiles.halves * amx.BF16),
                        *(tiles.terms, 0, 0, source.column),
                        *self._addresses(tiles, half),
                    ),
                    ((6, addresses), (7, [source.row] * len(addresses))),
                )
                for half in range(tiles.halves)
            ]
        return made

    def _addresses(self, tiles: _Tiles, half: int) -> tuple[int, int, int]:
        return (
            tiles.w[half].ctypes.data,
            tiles.bias[half].ctypes.data,
            self._eight.ctypes.data,
        )

    def _head_call(self, to: Plane, sources: Sequence[Sequence[Plane]]) -> Call:
        shape, (weights, bias) = to.shape, self._heads
        planes = [plane for (plane,) in sources for _ in range(_HEAD_PARTS)]
        addresses = [
            plane.address + plane.shape.at(shape.y[0], shape.x[0]) for plane in planes
        ]
        rows = [plane.shape.row for plane in planes]
        numbers = (
            *(to.address, shape.row, shape.ny, shape.nx, len(planes), 0, 0),
            *(weights.ctypes.data, bias.ctypes.data, self._three.ctypes.data),
        )
        return Call("heads", numbers, ((5, addresses), (6, rows)))


def _pool_call(to: Plane, sources: Sequence[Sequence[Plane]]) -> Call:
    ((low, high),), shape = sources, to.shape
    corner = low.shape.at(STRIDE * shape.y[0], STRIDE * shape.x[0])
    channels = low.shape.column // amx.BF16
    numbers = (
        *(to.address + shape.first, 0, shape.row, shape.ny, shape.nx * channels),
        *(0, low.address + corner, high.address + corner, 0, low.shape.row),
    )
    return Call(f"pool{channels}", numbers)


CHANNELS = amx.CHANNELS

_HEAD_PARTS = 2
"""Tiles that a head's weights are split into: bfloat16, and what its rounding left."""


def _tiles(layer: Layer, arrays: Arrays) -> Iterator[tuple[tuple[int, int], _Tiles]]:
    """Yield the weights of a layer; of a transposed one by parity along z and y."""
    if layer.kind not in ("conv", "up"):
        return
    weight, bias = arrays[f"{layer.name}.weight"], arrays[f"{layer.name}.bias"]
    channels = _CHANNELS[layer.level]
    if layer.kind == "conv":
        # Of several sources the channels lie behind one another.
        parts = np.split(weight, len(layer.sources), axis=1)
        together = max(1, _N // channels)
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
                    _CHANNELS[layer.level + 1],
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
    return _CHANNELS[level]


def _matrices(
    parts: dict[tuple[int, int], npt.NDArray[np.float32]],
    channels_in: int,
    channels: int,
) -> npt.NDArray[np.float32]:
    """Return what multiplies a row of inputs, ``(chunk, 32, sums)``.

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
    full = np.zeros((chunks * _K, max(results * channels, _N)), np.float32)
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
) -> _Tiles:
    """Lay matrices by plane and row of the kernel into tiles."""
    every = np.array(each)  # plane, row, chunk, 32, sums
    planes, height, chunks, _, sums = every.shape
    every = every.transpose(0, 2, 1, 3, 4).reshape(planes * chunks, height, _K, sums)
    halves = sums // _N
    every = every.reshape(planes * chunks, height, _K // 2, 2, halves, _N)
    w = _as_bfloat16(every.transpose(4, 0, 1, 2, 5, 3))
    start = np.tile(_filled(bias, channels), sums // channels)
    rows = np.repeat(start.reshape(halves, 1, _N), amx.ROWS, axis=1)
    return _Tiles(_kept_shorts(w), kept(rows), step)


def _head_tiles(
    arrays: Arrays,
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.float32]]:
    """Return tiles of the heads' weights on x00, up01 and x02, and what sums begin with."""
    weights, shift = head_weights(arrays)
    tiles = []
    for part in weights.reshape(3, -1):
        rough = _from_bfloat16(_as_bfloat16(part))
        for one in (rough, part - rough):
            full = np.zeros((_K, amx.HEAD_VOXELS), np.float32)
            for voxel in range(amx.HEAD_VOXELS):
                first = voxel * CHANNELS
                full[first : first + len(one), voxel] = one
            pairs = full.reshape(_K // 2, 2, amx.HEAD_VOXELS)
            tiles.append(pairs.transpose(0, 2, 1))
    start = np.full((amx.ROWS, amx.HEAD_VOXELS), shift, np.float32)
    return _kept_shorts(_as_bfloat16(np.array(tiles))), kept(start)


def _filled(array: npt.NDArray[np.float32], *shape: int) -> npt.NDArray[np.float32]:
    """Return an array with zeros behind, on its first axes, up to a shape."""
    full = np.zeros((*shape, *array.shape[len(shape) :]), np.float32)
    full[tuple(slice(n) for n in array.shape)] = array
    return full


def _as_bfloat16(array: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """Round float32 to the nearest bfloat16, half to even; its bits."""
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def _from_bfloat16(bits: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
    return (bits.astype(np.uint32) << 16).view(np.float32)


def _kept_shorts(array: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    whole = kept(np.ascontiguousarray(array).view(np.float32))
    return whole.view(np.uint16).reshape(array.shape)


def _configuration(columns: Sequence[int]) -> npt.NDArray[np.uint8]:
    """Return the configuration of tiles of 16 rows of so many bytes."""
    content = np.zeros(64, np.uint8)
    content[0] = 1  # the only palette there is
    content[16 : 16 + 2 * len(columns)].view(np.uint16)[:] = columns
    content[48 : 48 + len(columns)] = amx.ROWS
    whole = kept(content.view(np.float32))
    return whole.view(np.uint8)


@cache
def _kernels() -> Kernels:
    texts = {f"conv{n}": amx.convolution(f"conv{n}", n) for n in (1, 2, 3)}
    texts["first"] = amx.first("first", 3)
    texts |= {f"pool{n}": amx.pooling(f"pool{n}", n) for n in _CHANNELS[:2]}
    texts["heads"] = amx.heads("heads")
    texts["copy"] = planar.copying("copy", AVX512.lanes)
    return Kernels(texts)

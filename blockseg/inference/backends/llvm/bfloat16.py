"""SDASN in bfloat16 on AMX: planes of voxels, weights as tiles.

The first convolution, all sums, biases, activations and the heads' weights are float32; maps
between layers and the other weights are rounded to bfloat16.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.errors import BackendError
from blockseg.inference.backends.llvm import amx, planar
from blockseg.inference.backends.llvm.amx_permission import ask_for_tiles
from blockseg.inference.backends.llvm.compiler import Kernels
from blockseg.inference.backends.llvm.layers import LAYERS
from blockseg.inference.backends.llvm.planar_form import (
    FIRST,
    copy_call,
    kept,
    planar_shape,
    scattered,
)
from blockseg.inference.backends.llvm.program import Call, Plane, Shape
from blockseg.inference.backends.llvm.tiles import (
    CHANNELS,
    HEAD_PARTS,
    SUMS,
    Tiles,
    filled,
    head_tiles,
    layer_tiles,
)
from blockseg.inference.backends.llvm.vectors import AVX512
from blockseg.networks.bfloat16 import rounded_arrays
from blockseg.networks.receptive_field import KERNEL, STRIDE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from blockseg.inference.backends.llvm.layers import Layer, Span
    from blockseg.networks.sdasn_arrays import Arrays

LARGEST_WIDTH = 8
"""Largest width of networks that the tiles are made for."""

_BEFORE = 64
"""Bytes before a row: room for one voxel, and the next at the start of a cache line."""

_BEHIND = 17 * amx.ROW
"""Bytes behind a row: tiles reach so far beyond its end."""

_HEAD_STEP = 2 * amx.HEAD_VOXELS * amx.BF16
"""Bytes of a row of the heads' tiles of weights."""


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
        arrays = rounded_arrays(arrays, exact=(FIRST,))
        self.kernels = _kernels()
        self._eight = _configuration([amx.ROW] * 8)
        self._three = _configuration(
            [amx.HEAD_VOXELS * planar.F32, amx.ROW, _HEAD_STEP]
        )
        weight, bias = arrays[f"{FIRST}.weight"], arrays[f"{FIRST}.bias"]
        self._first = (
            kept(filled(weight, amx.CHANNELS, 1).transpose(1, 2, 3, 4, 0)),
            kept(filled(bias, amx.CHANNELS)),
        )
        self._heads = head_tiles(arrays)
        self._tiles = {
            (layer.name, parities): tiles
            for layer in LAYERS
            if layer.name != FIRST
            for parities, tiles in layer_tiles(layer, arrays)
        }

    def shape(self, layer: Layer, y: Span, x: Span) -> Shape:
        """Return the memory layout of the planes of a map; those of the input are float32."""
        if layer.kind == "input":
            return planar_shape(y, x, 1, AVX512.lanes)
        # A pooled map has the channels of the level above.
        column = CHANNELS[layer.level - (layer.kind == "pool")] * amx.BF16
        row = scattered(_BEFORE + (x[1] - x[0]) * column + _BEHIND)
        rows = 1 + y[1] - y[0] + amx.IMAGE_ROWS + 1
        return Shape(y, x, row * rows, row + _BEFORE, row, column, amx.BF16)

    def calls(
        self, layer: Layer, z: int, to: Plane, sources: Sequence[Sequence[Plane]]
    ) -> Sequence[Call]:
        """Return the kernel that computes a plane; see :class:`~.program.Form`."""
        if layer.kind == "input":
            return [copy_call(to, sources)]
        if layer.name == FIRST:
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
                    to.address + shape.first + half * SUMS * amx.BF16,
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
                        + half * SUMS * amx.BF16,
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

    def _addresses(self, tiles: Tiles, half: int) -> tuple[int, int, int]:
        return (
            tiles.w[half].ctypes.data,
            tiles.bias[half].ctypes.data,
            self._eight.ctypes.data,
        )

    def _head_call(self, to: Plane, sources: Sequence[Sequence[Plane]]) -> Call:
        shape, (weights, bias) = to.shape, self._heads
        planes = [plane for (plane,) in sources for _ in range(HEAD_PARTS)]
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
    texts |= {f"pool{n}": amx.pooling(f"pool{n}", n) for n in CHANNELS[:2]}
    texts["heads"] = amx.heads("heads")
    texts["copy"] = planar.copying("copy", AVX512.lanes)
    return Kernels(texts)

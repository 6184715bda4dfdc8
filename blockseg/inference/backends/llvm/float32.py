"""SDASN in float32: planes of channels, weights in the order in which kernels read them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from blockseg.inference.backends.llvm import planar
from blockseg.inference.backends.llvm.compiler import Kernels
from blockseg.inference.backends.llvm.program import ALIGNED, Call, Plane, Shape
from blockseg.inference.backends.llvm.vectors import (
    convolution_blocking,
    host_vectors,
    transposed_blocking,
)
from blockseg.networks.receptive_field import STRIDE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from blockseg.inference.backends.llvm.layers import Layer, Span
    from blockseg.inference.backends.llvm.vectors import Blocking, Vectors
    from blockseg.networks.sdasn_arrays import Arrays

F32 = planar.F32

TAPS = (((0, 1),), ((0, 2), (1, 0)))
"""Terms of an even and of an odd voxel of a transposed convolution along an axis: how many
voxels further on its input is, and which of the three weights it has."""

_BEHIND = 3
"""Vectors behind a row: some kernels read that far beyond its end."""


@dataclass(frozen=True, slots=True)
class _Weights:
    blocking: Blocking
    parts: dict[tuple[int, int], npt.NDArray[np.float32]]
    """Weights by parity along z and y of a transposed convolution; of others one."""
    bias: npt.NDArray[np.float32]


class PlanarFloat32:
    """Form of maps in float32, planes ``(c, y, x)``.

    Parameters
    ----------
    arrays
        Folded parameters; see :func:`~blockseg.networks.sdasn_arrays.folded_arrays`.
    vectors
        Registers to compute with; this CPU's if not given.
    """

    def __init__(self, arrays: Arrays, vectors: Vectors | None = None) -> None:
        self._vectors = vectors or host_vectors()
        self._channels = {"input": 1}
        """Channels of a map in memory, those that only fill registers included."""
        self._real = {"input": 1}
        """Channels that the network has."""
        self._weights: dict[str, _Weights] = {}
        names = [key.removesuffix(".weight") for key in arrays if "weight" in key]
        for name in names:
            if not name.startswith("head"):
                self._weights[name] = self._ordered(name, arrays)
                blocking = self._weights[name].blocking
                self._channels[name] = blocking.channels * blocking.blocks
                self._real[name] = len(arrays[f"{name}.bias"])
        for pooled, source in (("x10.pool", "x00.1"), ("x20.pool", "x10.2")):
            self._channels[pooled] = self._real[pooled] = self._real[source]
        self._heads, self._shift = head_weights(arrays)
        self.kernels = _kernels(
            self._vectors,
            tuple(
                sorted(
                    {_conv(w.blocking) for n, w in self._weights.items() if not _up(n)}
                )
            ),
            tuple(
                sorted(
                    {w.blocking.channels for n, w in self._weights.items() if _up(n)}
                )
            ),
        )

    def shape(self, layer: Layer, y: Span, x: Span) -> Shape:
        """Return the memory layout of the planes of a map."""
        channels = self._channels.get(layer.name, 1)
        return planar_shape(y, x, channels, self._vectors.lanes)

    def calls(
        self, layer: Layer, z: int, to: Plane, sources: Sequence[Sequence[Plane]]
    ) -> Sequence[Call]:
        """Return the kernel that computes a plane; see :class:`~.program.Form`."""
        if layer.kind == "input":
            return [copy_call(to, sources)]
        make = {
            "conv": self._convolution,
            "pool": self._pool,
            "up": self._transposed,
            "head": self._head,
        }[layer.kind]
        return make(layer, z, to, sources)

    def _convolution(
        self, layer: Layer, _z: int, to: Plane, sources: Sequence[Sequence[Plane]]
    ) -> list[Call]:
        weights, shape = self._weights[layer.name], to.shape
        addresses, rows = [], []
        for name, planes in zip(layer.sources, sources, strict=True):
            for c in range(self._used(name)):
                for plane in planes:
                    corner = plane.shape.at(shape.y[0] - 1, shape.x[0] - 1)
                    addresses.append(plane.address + corner + c * plane.shape.channel)
                rows.append(planes[0].shape.row)
        numbers = (
            to.address + shape.first,
            shape.channel,
            shape.row,
            shape.ny,
            shape.nx,
            weights.blocking.blocks,
            len(rows),
            0,
            0,
            weights.parts[0, 0].ctypes.data,
            weights.bias.ctypes.data,
        )
        kernel = "conv{}x{}".format(*_conv(weights.blocking))
        return [Call(kernel, numbers, ((7, addresses), (8, rows)))]

    def _transposed(
        self, layer: Layer, z: int, to: Plane, sources: Sequence[Sequence[Plane]]
    ) -> list[Call]:
        weights, shape = self._weights[layer.name], to.shape
        (planes,), (name,) = sources, layer.sources
        source = planes[0].shape
        y, x = shape.y[0] // STRIDE, shape.x[0] // STRIDE
        made = []
        for parity in range(STRIDE):
            addresses = [
                plane.address + source.at(y + step, x) + c * source.channel
                for c in range(self._used(name))
                for plane, (step, _) in product(planes, TAPS[parity])
            ]
            numbers = (
                to.address + shape.first + parity * shape.row,
                shape.channel,
                STRIDE * shape.row,
                shape.ny // STRIDE,
                shape.nx // STRIDE,
                weights.blocking.blocks,
                len(addresses),
                0,
                0,
                weights.parts[z % STRIDE, parity].ctypes.data,
                weights.bias.ctypes.data,
            )
            tables = ((7, addresses), (8, [source.row] * len(addresses)))
            kernel = f"up{weights.blocking.channels}"
            made.append(Call(kernel, numbers, tables))
        return made

    def _pool(
        self, layer: Layer, _z: int, to: Plane, sources: Sequence[Sequence[Plane]]
    ) -> list[Call]:
        ((low, high),) = sources
        shape, source = to.shape, low.shape
        corner = source.at(STRIDE * shape.y[0], STRIDE * shape.x[0])
        numbers = (
            to.address + shape.first,
            shape.channel,
            shape.row,
            shape.ny,
            shape.nx,
            self._channels[layer.name],
            low.address + corner,
            high.address + corner,
            source.channel,
            source.row,
        )
        return [Call("pool", numbers)]

    def _head(
        self, layer: Layer, _z: int, to: Plane, sources: Sequence[Sequence[Plane]]
    ) -> list[Call]:
        shape = to.shape
        addresses, rows = [], []
        for name, (plane,) in zip(layer.sources, sources, strict=True):
            for c in range(self._used(name)):
                corner = plane.shape.at(shape.y[0], shape.x[0])
                addresses.append(plane.address + corner + c * plane.shape.channel)
                rows.append(plane.shape.row)
        numbers = (
            to.address,
            shape.row,
            shape.ny,
            shape.nx,
            len(rows),
            0,
            0,
            self._heads.ctypes.data,
            self._shift.ctypes.data,
        )
        return [Call("heads", numbers, ((5, addresses), (6, rows)))]

    def _used(self, name: str) -> int:
        """Return the channels of a map that others are computed from."""
        return self._real[name]

    def _ordered(self, name: str, arrays: Arrays) -> _Weights:
        """Bring weights into the order in which kernels read them."""
        weight, bias = arrays[f"{name}.weight"], arrays[f"{name}.bias"]
        if _up(name):
            blocking = transposed_blocking(len(bias), self._vectors)
            weight = _padded(weight.swapaxes(0, 1), blocking)
            parts = {
                (z, y): kept(
                    np.stack(
                        [
                            weight[:, :, :, kz, ky]
                            for (_, kz), (_, ky) in product(TAPS[z], TAPS[y])
                        ],
                        axis=3,
                    ).transpose(0, 2, 3, 4, 1)
                )
                for z, y in product(range(STRIDE), repeat=2)
            }
        else:
            blocking = convolution_blocking(len(bias), self._vectors)
            weight = _padded(weight, blocking)
            parts = {(0, 0): kept(weight.transpose(0, 2, 3, 4, 5, 1))}
        filled = np.zeros(blocking.channels * blocking.blocks, np.float32)
        filled[: len(bias)] = bias
        return _Weights(blocking, parts, kept(filled))


def planar_shape(y: Span, x: Span, channels: int, lanes: int) -> Shape:
    """Return a plane ``(y, c, x)`` of float32 with a margin of zeros around each row."""
    channel = scattered(F32 * lanes * (1 + -(-(x[1] - x[0]) // lanes) + _BEHIND))
    row = scattered(channel * channels)
    return Shape(
        y=y,
        x=x,
        bytes=row * (y[1] - y[0] + 2),
        first=row + F32 * lanes,
        row=row,
        column=F32,
        channel=channel,
    )


def copy_call(to: Plane, sources: Sequence[Sequence[Plane]]) -> Call:
    """Return the kernel that copies a plane of the window."""
    ((plane,),), shape = sources, to.shape
    numbers = (
        *(to.address + shape.first, shape.row, shape.ny, shape.nx),
        plane.address + plane.shape.at(shape.y[0], shape.x[0]),
        plane.shape.row,
    )
    return Call("copy", numbers)


def head_weights(
    arrays: Arrays,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return the heads as one weight for each channel of x00, up01 and x02, and a shift.

    One head is on x00, one on x01, which is x00 and up01, one on x02; their sum counts.
    """
    own, both = (arrays[f"head{n}.weight"].ravel() for n in ("00", "01"))
    width = len(own)
    every = (own + both[:width], both[width:], arrays["head02.weight"].ravel())
    shift = sum(arrays[f"head{n}.bias"] for n in ("00", "01", "02"))
    return kept(np.concatenate(every)), kept(np.asarray(shift))


def scattered(size: int) -> int:
    """Return a distance of an odd number of cache lines, no less than ``size`` bytes.

    A cache looks for a line in a few places, by the low bits of its address: rows that lie
    a power of two apart would all compete for the same ones.
    """
    lines = -(-size // ALIGNED)
    return ALIGNED * (lines | 1)


def kept(array: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return a copy, C-contiguous and aligned, for kernels to read by its address."""
    room = np.zeros(array.size + ALIGNED // F32, np.float32)
    skipped = -room.ctypes.data % ALIGNED // F32
    copy = room[skipped : skipped + array.size].reshape(array.shape)
    copy[...] = array
    return copy


def _padded(
    weight: npt.NDArray[np.float32], blocking: Blocking
) -> npt.NDArray[np.float32]:
    """Return weights ``(block, channel, in, z, y, x)``, zero for channels too many."""
    full = (blocking.blocks * blocking.channels, *weight.shape[1:])
    filled = np.zeros(full, np.float32)
    filled[: len(weight)] = weight
    return filled.reshape(blocking.blocks, blocking.channels, *weight.shape[1:])


def _up(name: str) -> bool:
    return name.startswith("up")


def _conv(blocking: Blocking) -> tuple[int, int]:
    return blocking.channels, blocking.vectors


@cache
def _kernels(
    vectors: Vectors,
    convolutions: tuple[tuple[int, int], ...],
    transposed: tuple[int, ...],
) -> Kernels:
    """Return the kernels that a network needs; a process compiles them once."""
    lanes = vectors.lanes
    texts = {}
    for channels, wide in convolutions:
        name = f"conv{channels}x{wide}"
        texts[name] = planar.convolution(name, channels, wide, lanes)
    for channels in transposed:
        name = f"up{channels}"
        texts[name] = planar.transposed(name, channels, lanes)
    texts["pool"] = planar.pooling("pool", lanes)
    texts["heads"] = planar.heads("heads", lanes)
    texts["copy"] = planar.copying("copy", lanes)
    return Kernels(texts, vectors.cpu, vectors.features)

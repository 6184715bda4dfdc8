"""SDASN in planes of channels: weights in the order in which kernels read them.

In float32, or in bfloat16 with two channels in a word. In bfloat16 the first convolution, all
sums, biases, activations and the heads' weights are float32; maps between layers and the
other weights are rounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.geometry import ceil_to
from blockseg.inference.backends.llvm import planar
from blockseg.inference.backends.llvm.compiler import Kernels
from blockseg.inference.backends.llvm.layers import BY_NAME, LAYERS
from blockseg.inference.backends.llvm.program import ALIGNED, Call, Plane, Shape
from blockseg.inference.backends.llvm.vectors import (
    convolution_blocking,
    host_vectors,
    transposed_blocking,
)
from blockseg.inference.backends.llvm.words import SINGLE
from blockseg.networks.bfloat16 import rounded_arrays
from blockseg.networks.receptive_field import STRIDE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from blockseg.inference.backends.llvm.layers import Layer, Span
    from blockseg.inference.backends.llvm.vectors import Blocking, Vectors
    from blockseg.inference.backends.llvm.words import Word
    from blockseg.networks.sdasn_arrays import Arrays

F32 = planar.F32

FIRST = "x00.0"
"""First convolution. Its input and weights are float32, whatever the word."""

TAPS = (((0, 1),), ((0, 2), (1, 0)))
"""Terms of an even and of an odd voxel of a transposed convolution along an axis: how many
voxels further on its input is, and which of the three weights it has."""

_BEHIND = 3
"""Vectors behind a row: some kernels read that far beyond its end."""


@dataclass(frozen=True, slots=True)
class _Weights:
    blocking: Blocking
    parts: dict[tuple[int, int], npt.NDArray[np.float32]]
    """Weights, as words, by parity along z and y of a transposed convolution; of others
    one."""
    bias: npt.NDArray[np.float32]


class PlanarForm:
    """Form of maps as planes of words ``(c, y, x)``.

    Parameters
    ----------
    arrays
        Folded parameters; see :func:`~blockseg.networks.sdasn_arrays.folded_arrays`.
    vectors
        Registers to compute with; this CPU's if not given.
    word
        Content of a word of all maps but the input, which is float32.
    """

    def __init__(
        self, arrays: Arrays, vectors: Vectors | None = None, word: Word = SINGLE
    ) -> None:
        if word.channels > 1:
            arrays = rounded_arrays(arrays, exact=(FIRST,))
        self._vectors = vectors or host_vectors()
        self._word = word
        self._words = {"input": 1}
        """Words of a voxel of a map in memory, those that only fill registers included."""
        self._real = {"input": 1}
        """Channels that the network has."""
        self._weights: dict[str, _Weights] = {}
        for layer in LAYERS:
            name = layer.name
            if layer.kind == "pool":
                (source,) = layer.sources
                self._real[name] = self._real[source]
                self._words[name] = self._used(source)
            elif layer.kind in ("conv", "up"):
                self._weights[name] = self._ordered(layer, arrays)
                blocking = self._weights[name].blocking
                self._words[name] = blocking.channels * blocking.blocks // word.channels
                self._real[name] = len(arrays[f"{name}.bias"])
        self._heads, self._shift = head_weights(arrays, word.channels)
        self.kernels = _kernels(
            self._vectors,
            word,
            tuple(
                sorted(
                    {
                        (BY_NAME[name].kind, *_size(made.blocking))
                        for name, made in self._weights.items()
                        if name != FIRST
                    }
                )
            ),
            _size(self._weights[FIRST].blocking),
        )

    def shape(self, layer: Layer, y: Span, x: Span) -> Shape:
        """Return the memory layout of the planes of a map."""
        words = self._words.get(layer.name, 1)
        return planar_shape(y, x, words, self._vectors.lanes)

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
        kernel = "conv{}x{}".format(*_size(weights.blocking))
        if layer.name == FIRST:
            kernel = "first"
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
            self._words[layer.name],
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
        """Return the words of a map that others are computed from."""
        return -(-self._real[name] // self._word.channels)

    def _ordered(self, layer: Layer, arrays: Arrays) -> _Weights:
        """Bring weights into the order in which kernels read them."""
        weight, bias = arrays[f"{layer.name}.weight"], arrays[f"{layer.name}.bias"]
        together = self._word.channels
        if layer.kind == "up":
            blocking = transposed_blocking(len(bias), self._vectors, together)
            weight = _padded(self._stored(weight, layer).swapaxes(0, 1), blocking)
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
            blocking = convolution_blocking(len(bias), self._vectors, together)
            by_input = weight.swapaxes(0, 1)
            if layer.name != FIRST:
                by_input = self._stored(by_input, layer)
            weight = _padded(by_input.swapaxes(0, 1), blocking)
            parts = {(0, 0): kept(weight.transpose(0, 2, 3, 4, 5, 1))}
        filled = np.zeros(blocking.channels * blocking.blocks, np.float32)
        filled[: len(bias)] = bias
        return _Weights(blocking, parts, kept(filled))

    def _stored(
        self, weight: npt.NDArray[np.float32], layer: Layer
    ) -> npt.NDArray[np.float32]:
        """Return weights ``(in, ...)`` as words, each source's channels for themselves."""
        ends = np.cumsum([self._real[name] for name in layer.sources])[:-1]
        return np.concatenate(
            [self._word.stored(part) for part in np.split(weight, ends)]
        )


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
    arrays: Arrays, together: int = 1
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return the heads as one weight for each channel of x00, up01 and x02, and a shift.

    One head is on x00, one on x01, which is x00 and up01, one on x02; their sum counts.
    Of each map come weights for words of ``together`` channels, zero for those too many.
    """
    own, both = (arrays[f"head{n}.weight"].ravel() for n in ("00", "01"))
    width = len(own)
    every = np.zeros((3, ceil_to(width, together)), np.float32)
    every[:, :width] = (
        own + both[:width],
        both[width:],
        arrays["head02.weight"].ravel(),
    )
    shift = sum(arrays[f"head{n}.bias"] for n in ("00", "01", "02"))
    return kept(every.ravel()), kept(np.asarray(shift))


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


def _size(blocking: Blocking) -> tuple[int, int]:
    return blocking.channels, blocking.vectors


@cache
def _kernels(
    vectors: Vectors,
    word: Word,
    sizes: tuple[tuple[str, int, int], ...],
    first: tuple[int, int],
) -> Kernels:
    """Return the kernels that a network needs; a process compiles them once.

    Parameters
    ----------
    vectors
        Registers to compute with.
    word
        Content of the words of maps.
    sizes
        Kind of layer, channels and vectors at a time.
    first
        The same of the first convolution.
    """
    lanes = vectors.lanes
    texts = {"first": planar.convolution("first", *first, lanes, writes=word)}
    for kind, channels, wide in sizes:
        if kind == "up":
            name = f"up{channels}"
            texts[name] = planar.transposed(name, channels, lanes, word)
        else:
            name = f"conv{channels}x{wide}"
            texts[name] = planar.convolution(
                name, channels, wide, lanes, reads=word, writes=word
            )
    texts["pool"] = planar.pooling("pool", lanes, word)
    texts["heads"] = planar.heads("heads", lanes, word)
    texts["copy"] = planar.copying("copy", lanes)
    return Kernels(texts, vectors.cpu, vectors.features)

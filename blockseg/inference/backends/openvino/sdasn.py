"""SDASN as an OpenVINO graph for one shape of window, written without torch.

To trace the network and to convert the trace takes some seconds and torch in every
process; this takes hundredths, so that each kind of edge of a volume can have a graph of
its own. It says the same as :mod:`blockseg.networks.sdasn`, to be read beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.networks.receptive_field import KERNEL, SLOPE, STRIDE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from blockseg.core.geometry import Zyx
    from blockseg.inference.boundary_padding import BoundaryPadding
    from blockseg.networks.sdasn_arrays import Arrays

_LEVELS = 3


def sdasn_graph(
    openvino: Any,
    arrays: Arrays,
    shape: Zyx,
    reach: int,
    padding: BoundaryPadding | None,
) -> Any:
    """Return a graph that computes the probability of a window's core.

    Parameters
    ----------
    openvino
        The module.
    arrays
        Folded parameters; see :func:`~blockseg.networks.sdasn_arrays.folded_arrays`.
    shape
        Voxels along (z, y, x) of what goes in: what of the window lies inside the volume, or
        all of it.
    reach
        Voxels around the core, on sides without a boundary.
    padding
        Where the volume ends. None for graphs that take three more inputs, ``(1, n)``
        along z, y, x: 1 inside the volume, 0 beyond.
    """
    return _Builder(openvino.opset13, arrays, padding, shape).model(
        openvino, shape, reach
    )


@dataclass(frozen=True, slots=True)
class _Map:
    """A feature map, and where it lies."""

    node: Any

    start: tuple[int, ...]
    """Place of its first voxel, in voxels of its level from the input's first."""

    stop: tuple[int, ...]

    level: int


class _Builder:
    """Puts one operation behind the other."""

    def __init__(
        self, opset: Any, arrays: Arrays, padding: BoundaryPadding | None, shape: Zyx
    ) -> None:
        self._ops = opset
        self._arrays = arrays
        self._low = padding.low if padding else (False,) * 3
        self._high = padding.high if padding else (False,) * 3
        self._shape = shape
        self._masks: list[Any] = []
        self._inputs: list[Any] = []
        if padding is None:
            self._inputs = [opset.parameter([1, n], np.float32) for n in shape]
            self._masks = [self._mask(level) for level in range(_LEVELS)]

    def model(self, openvino: Any, shape: Zyx, reach: int) -> Any:
        tile = self._ops.parameter([1, 1, *shape], np.float32)
        x00 = self._node(_Map(tile, (0,) * 3, tuple(shape), 0), "x00")
        x10 = self._node(self._pooled(x00), "x10")
        x20 = self._node(self._pooled(x10), "x20")
        up11 = self._up(x20, "up11")
        x11 = self._node(self._joined(x10, up11), "x11")
        up01 = self._up(self._cut(x10, x11.start, x11.stop), "up01")
        up02 = self._up(x11, "up02")
        x00 = self._cut(x00, up02.start, up02.stop)
        x02 = self._conv("x02.1", self._conv("x02.0", x00, up01, up02))
        start = [0 if boundary else reach for boundary in self._low]
        stop = [
            n - (0 if boundary else reach)
            for n, boundary in zip(shape, self._high, strict=True)
        ]
        heads = [self._cut(x, start, stop) for x in self._heads(x00, up01, x02)]
        logits = self._ops.add(self._ops.add(*(x.node for x in heads)), self._shift())
        return openvino.Model([self._ops.sigmoid(logits)], [tile, *self._inputs])

    def _heads(self, x00: _Map, up01: _Map, x02: _Map) -> Iterator[_Map]:
        """Yield what adds up to the logits, but for a constant.

        One head is on x00, one on x01, which is x00 and up01. Their sum comes of each
        of the two by itself: nothing is joined for it, and one channel cropped, not 16.
        """
        own, both = self._arrays["head00.weight"], self._arrays["head01.weight"]
        channels = own.shape[1]
        early = self._ops.add(
            self._dot(x00, own + both[:, :channels], "head00"),
            self._dot(up01, both[:, channels:], "head01"),
        )
        yield _Map(early, x00.start, x00.stop, 0)
        late = self._dot(x02, self._arrays["head02.weight"], "head02")
        yield _Map(late, x02.start, x02.stop, 0)

    def _shift(self) -> Any:
        names = ("head00.bias", "head01.bias", "head02.bias")
        total = sum(self._arrays[name] for name in names)
        return self._ops.constant(np.reshape(total, (1, 1, 1, 1, 1)))

    def _dot(self, x: _Map, weights: npt.NDArray[Any], name: str) -> Any:
        none = [0] * 3
        constant = self._ops.constant(np.ascontiguousarray(weights))
        node = self._ops.convolution(x.node, constant, [1] * 3, none, none, [1] * 3)
        node.set_friendly_name(name)
        return node

    def _node(self, x: _Map, name: str) -> _Map:
        place = 0
        while f"{name}.{place}.weight" in self._arrays:
            x = self._conv(f"{name}.{place}", x)
            place += 1
        return x

    def _conv(self, name: str, *maps: _Map) -> _Map:
        """Write the convolution of maps of as many channels, joined, without joining them.

        Each adds to the sum in place. At full resolution the joined map would be the
        largest of all, two fifths of the memory.
        """
        half = KERNEL // 2
        pads = (
            [half * boundary for boundary in self._low],
            [half * boundary for boundary in self._high],
        )
        weights = np.split(self._arrays[f"{name}.weight"], len(maps), axis=1)
        total: Any = None
        for place, (x, part) in enumerate(zip(maps, weights, strict=True)):
            constant = self._ops.constant(np.ascontiguousarray(part))
            node = self._ops.convolution(x.node, constant, [1] * 3, *pads, [1] * 3)
            node.set_friendly_name(f"{name}.conv/{place}")  # a profile tells layers
            total = node if total is None else self._ops.add(total, node)
        x = maps[0]
        start = tuple(a + half - p for a, p in zip(x.start, pads[0], strict=True))
        stop = tuple(b - half + p for b, p in zip(x.stop, pads[1], strict=True))
        return self._activated(total, name, start, stop, x.level)

    def _up(self, x: _Map, name: str) -> _Map:
        """Write a transposed convolution that computes only what is kept of it.

        A map of n voxels gives 2n; where there is no boundary the outermost two lack some
        of their inputs. Those at the start come of the first voxel, which adds to no
        others.
        """
        without = [
            a + 1 - boundary for a, boundary in zip(x.start, self._low, strict=True)
        ]
        fewer = self._cut(x, without, x.stop)
        after = [0 if boundary else STRIDE for boundary in self._high]
        node = self._ops.convolution_backprop_data(
            fewer.node,
            self._ops.constant(self._arrays[f"{name}.weight"]),
            [STRIDE] * 3,
            pads_begin=[KERNEL // 2] * 3,
            pads_end=after,
            dilations=[1] * 3,
        )
        node.set_friendly_name(f"{name}.conv")
        start = tuple(
            STRIDE * (a + 1 - boundary)
            for a, boundary in zip(x.start, self._low, strict=True)
        )
        stop = tuple(STRIDE * b - p for b, p in zip(x.stop, after, strict=True))
        return self._activated(node, name, start, stop, x.level - 1)

    def _activated(
        self,
        node: Any,
        name: str,
        start: tuple[int, ...],
        stop: tuple[int, ...],
        level: int,
    ) -> _Map:
        bias = self._arrays[f"{name}.bias"].reshape(1, -1, 1, 1, 1)
        node = self._ops.add(node, self._ops.constant(bias))
        slope = self._ops.constant(np.array([SLOPE], np.float32))
        node = self._ops.prelu(node, slope)
        if self._masks:
            lengths = (n >> level for n in self._shape)
            whole = _Map(self._masks[level], (0,) * 3, tuple(lengths), level)
            node = self._ops.multiply(node, self._cut(whole, start, stop).node)
        return _Map(node, start, stop, level)

    def _pooled(self, x: _Map) -> _Map:
        pooled = self._ops.max_pool(
            x.node, [STRIDE] * 3, [1] * 3, [0] * 3, [0] * 3, [STRIDE] * 3
        )
        start = tuple(a // STRIDE for a in x.start)
        stop = tuple(b // STRIDE for b in x.stop)
        return _Map(pooled.output(0), start, stop, x.level + 1)

    def _joined(self, skip: _Map, up: _Map) -> _Map:
        kept = self._cut(skip, up.start, up.stop)
        node = self._ops.concat([kept.node, up.node], 1)
        return _Map(node, up.start, up.stop, up.level)

    def _cut(self, x: _Map, start: Sequence[int], stop: Sequence[int]) -> _Map:
        axes = [
            axis
            for axis in range(3)
            if (x.start[axis], x.stop[axis]) != (start[axis], stop[axis])
        ]
        if not axes:
            return x
        first = [start[axis] - x.start[axis] for axis in axes]
        last = [stop[axis] - x.start[axis] for axis in axes]
        node = self._ops.slice(
            x.node,
            *(self._ops.constant(np.array(n, np.int64)) for n in (first, last)),
            self._ops.constant(np.ones(len(axes), np.int64)),
            self._ops.constant(np.array(axes, np.int64) + 2),
        )
        return _Map(node, tuple(start), tuple(stop), x.level)

    def _mask(self, level: int) -> Any:
        """Return ``(1, 1, z, y, x)`` of a level, the product of three axes."""
        step = STRIDE**level
        product: Any = None
        for axis, vector in enumerate(self._inputs):
            numbers = ([0], [self._shape[axis]], [step], [1])
            every = self._ops.slice(
                vector, *(self._ops.constant(np.array(n, np.int64)) for n in numbers)
            )
            shape = [1, 1, 1, 1, 1]
            shape[axis + 2] = self._shape[axis] // step
            along = self._ops.reshape(
                every, self._ops.constant(np.array(shape, np.int64)), False
            )
            product = along if product is None else self._ops.multiply(product, along)
        return product

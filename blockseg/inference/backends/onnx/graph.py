"""A network as an ONNX model: raw voxels in, bytes out.

TensorRT has no 16-bit integers. A voxel comes as its two bytes, the lower one first, as it
lies in memory: 2 bytes a voxel go to the device and 1 comes back. The normalisation of
a run is an input, so that one engine serves every brain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.errors import ConfigError
from blockseg.inference.backends.onnx.layers import logits_of
from blockseg.inference.backends.onnx.maps import Map
from blockseg.inference.backends.onnx.versions import GRAPH_VERSION, PRECISIONS
from blockseg.inference.backends.onnx.writer import GraphWriter
from blockseg.inference.backends.protocol import check_core, window_shape
from blockseg.networks.folding import folded
from blockseg.networks.receptive_field import FIELDS

if TYPE_CHECKING:
    from blockseg.core.geometry import Zyx
    from blockseg.networks.base import Network

_SCALAR = np.array([1], np.int64)


def export_graph(network: Network, core: Zyx, precision: str, *, edge: bool) -> bytes:
    """Return the cropped form of a network as a serialised ONNX model.

    Inputs, with ``b`` the batch, dynamic, and ``z, y, x`` the window's shape:

    ``voxels``
        uint8 ``(b, z, y, x, 2)``: grey levels, little-endian uint16 seen as bytes.
    ``affine``
        float32 ``(4,)``: offset, scale, least and greatest normalised value.
    ``bounds``
        With ``edge`` only: int32 ``(b, 12)``. The first voxel known (z, y, x), the first
        after the last one (z, y, x), and the same of what lies inside the volume, whose
        ends count up to a multiple of the network's alignment.

    The output ``probability`` is uint8 ``(b, z, y, x)`` of the core: 255 p, rounded half
    to even.

    Parameters
    ----------
    network
        Left as it is.
    core
        Voxels along (z, y, x) to compute.
    precision
        ``float16`` or ``float32``.
    edge
        For windows that reach beyond the volume, or of which not all is known.

    Raises
    ------
    ConfigError
        If the core is no multiple of the network's alignment, or the precision
        another one.
    BackendError
        If the network cannot be exported.
    MissingExtraError
        If ``onnx`` is not installed.
    """
    field = FIELDS[network.architecture]
    check_core(core, field.alignment)
    if precision not in PRECISIONS:
        message = f"TensorRT computes in {' or '.join(PRECISIONS)}, not in {precision}"
        raise ConfigError(message)
    window = window_shape(core, field.reach)
    writer = GraphWriter()
    graph = _Graph(writer, window, half=precision == "float16")
    tile = graph.normalised()
    inside: tuple[Map, ...] = ()
    if edge:
        tile, inside = graph.at_edge(tile)
    logits = logits_of(folded(network).float(), writer, graph.typed(tile), inside)
    writer.output("probability", graph.rounded(logits.name), np.uint8, ("batch", *core))
    name = f"{network.architecture}{network.width}-{'edge' if edge else 'interior'}"
    return writer.model(name, {"graph_version": str(GRAPH_VERSION)})


class _Graph:
    """Graph with what stands before and behind the network."""

    def __init__(self, writer: GraphWriter, window: Zyx, *, half: bool) -> None:
        self._writer = writer
        self._window = window
        self._half = half

    def normalised(self) -> str:
        """Write ``(I - offset) / scale``, clipped; return ``(b, 1, z, y, x)``."""
        write = self._writer
        shape = ("batch", *self._window, 2)
        pairs = write.cast(write.input("voxels", np.uint8, shape), np.float32)
        # At most 65535, which float32 holds: the sum is exact.
        weighed = write.node("Mul", pairs, write.constant(np.array([1, 256], "f4")))
        last = write.constant(np.array([-1], np.int64))
        grey = write.node("ReduceSum", weighed, last, keepdims=0)
        write.input("affine", np.float32, (4,))
        offset, scale, low, high = (
            self._between("affine", 0, i, i + 1) for i in range(4)
        )
        scaled = write.node("Div", write.node("Sub", grey, offset), scale)
        clipped = write.node("Min", write.node("Max", scaled, low), high)
        return write.node("Unsqueeze", clipped, write.constant(_SCALAR))

    def at_edge(self, tile: str) -> tuple[str, tuple[Map, ...]]:
        """Write what makes a tile 0 where nothing is known; return it and its masks."""
        write = self._writer
        ends = write.cast(write.input("bounds", np.int32, ("batch", 12)), np.float32)
        for axis in range(3):
            new = [1, *(2 + a for a in range(3) if a != axis)]
            known = write.node(
                "Unsqueeze",
                self._ones(ends, axis, axis),
                write.constant(np.array(new, np.int64)),
            )
            tile = write.node("Mul", tile, known)
        inside = tuple(
            self._map(self._ones(ends, axis, 6 + axis), (1, n))
            for axis, n in enumerate(self._window)
        )
        return tile, inside

    def typed(self, tile: str) -> Map:
        """Return the tile as the network takes it."""
        return self._map(tile, (1, 1, *self._window))

    def rounded(self, logits: str) -> str:
        """Write sigmoid and rounding; return ``(b, z, y, x)``."""
        write = self._writer
        probability = write.node("Sigmoid", logits)
        scaled = write.node("Mul", probability, write.constant(np.array(255, "f4")))
        # ONNX rounds half to even, as NumPy's rint does.
        whole = write.node("Round", scaled)
        return write.node("Squeeze", whole, write.constant(_SCALAR))

    def _ones(self, ends: str, axis: int, column: int) -> str:
        """Write ``(batch, n)``: 1 from one bound of an axis to its other, 0 elsewhere."""
        write = self._writer
        places = write.constant(np.arange(self._window[axis], dtype=np.float32))
        start, stop = (self._between(ends, 1, c, c + 1) for c in (column, column + 3))
        before = write.node("Less", places, start)
        ones = write.node(
            "And", write.node("Not", before), write.node("Less", places, stop)
        )
        return write.cast(ones, np.float32)

    def _between(self, value: str, axis: int, start: int, stop: int) -> str:
        ends = (np.array([n], np.int64) for n in (start, stop, axis))
        return self._writer.node("Slice", value, *map(self._writer.constant, ends))

    def _map(self, value: str, shape: tuple[int, ...]) -> Map:
        if self._half:
            value = self._writer.cast(value, np.float16)
        return Map(value, shape, self._half)

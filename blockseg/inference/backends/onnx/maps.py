"""Values of an ONNX graph, and parts of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blockseg.inference.backends.onnx.writer import GraphWriter


@dataclass(frozen=True, slots=True)
class Map:
    """A value of the graph, or a part of it that no node cuts out yet.

    Crops follow one another and are followed by casts: kept open, they become one node,
    and nothing is cast that is cut off.
    """

    name: str
    """Name of the whole value."""

    whole: tuple[int, ...]
    """Its shape; the batch, which comes first, counts as 1."""

    half: bool
    """Whether it is float16; else it is float32."""

    part: tuple[slice, ...] = ()
    """Part of it along each axis, with start, stop and step; all if empty."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of what is meant."""
        if not self.part:
            return self.whole
        return tuple(len(range(s.start, s.stop, s.step)) for s in self.part)

    def cut(self, part: Sequence[slice]) -> Map:
        """Return a part of this part."""
        before = self.part or tuple(slice(0, n, 1) for n in self.whole)
        ranges = (
            range(a.start, a.stop, a.step)[b] for a, b in zip(before, part, strict=True)
        )
        kept = tuple(slice(r.start, r.stop, r.step) for r in ranges)
        return Map(self.name, self.whole, self.half, kept)


class Cutter:
    """Writes the nodes that parts of values and other types of them take, once each."""

    def __init__(self, writer: GraphWriter) -> None:
        self._writer = writer
        self._parts: dict[tuple[str, tuple[str, ...]], str] = {}
        self._casts: dict[tuple[str, bool], str] = {}

    def __call__(self, x: Map, half: bool | None = None) -> str:
        """Return the name of what is meant, in the type wanted, its own if None."""
        name = x.name if x.shape == x.whole else self._part(x)
        if half is None or half == x.half:
            return name
        if (name, half) not in self._casts:
            dtype = np.float16 if half else np.float32
            self._casts[name, half] = self._writer.cast(name, dtype)
        return self._casts[name, half]

    def _part(self, x: Map) -> str:
        key = (x.name, tuple(str(s) for s in x.part))
        if key not in self._parts:
            axes = [a for a, n in enumerate(x.whole) if x.shape[a] != n]
            numbers = (
                [x.part[a].start for a in axes],
                [x.part[a].stop for a in axes],
                axes,
                [x.part[a].step for a in axes],
            )
            inputs = (self._writer.constant(np.array(n, np.int64)) for n in numbers)
            self._parts[key] = self._writer.node("Slice", x.name, *inputs)
        return self._parts[key]

"""Boxes of voxels.

All coordinates are voxels of one resolution level, in ``(z, y, x)`` order,
and all ranges are half-open.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, TypeAlias

from blockseg.core.errors import GeometryError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Zyx: TypeAlias = tuple[int, int, int]


def to_zyx(values: Iterable[int]) -> Zyx:
    """Return three integers as a tuple of Python ints."""
    z, y, x = values
    return (int(z), int(y), int(x))


def floor_to(value: int, step: int) -> int:
    """Return the largest multiple of ``step`` that is at most ``value``."""
    return value // step * step


def ceil_to(value: int, step: int) -> int:
    """Return the smallest multiple of ``step`` that is at least ``value``."""
    return -(-value // step) * step


@dataclass(frozen=True, slots=True)
class Roi:
    """An axis-aligned box of voxels; empty boxes are allowed."""

    start: Zyx
    """First voxel, inclusive."""

    stop: Zyx
    """Last voxel, exclusive."""

    def __post_init__(self) -> None:
        (a, b, c), (d, e, f) = self.start, self.stop
        if a > d or b > e or c > f:
            message = f"ROI {self} stops before it starts"
            raise GeometryError(message)

    @classmethod
    def whole(cls, shape: Iterable[int]) -> Roi:
        """Return the box that covers a volume of ``shape`` voxels."""
        return cls((0, 0, 0), to_zyx(shape))

    @property
    def shape(self) -> Zyx:
        """Edge lengths in voxels."""
        (a, b, c), (d, e, f) = self.start, self.stop
        return (d - a, e - b, f - c)

    @property
    def size(self) -> int:
        """Number of voxels."""
        return math.prod(self.shape)

    def slices(self, origin: Zyx = (0, 0, 0)) -> tuple[slice, slice, slice]:
        """Index this box in an array whose first voxel is ``origin``."""
        z, y, x = (
            slice(a - o, b - o)
            for a, b, o in zip(self.start, self.stop, origin, strict=True)
        )
        return (z, y, x)

    def shifted(self, offset: Iterable[int]) -> Roi:
        """Return this box moved by ``offset`` voxels."""
        by = to_zyx(offset)
        return Roi(
            to_zyx(a + o for a, o in zip(self.start, by, strict=True)),
            to_zyx(b + o for b, o in zip(self.stop, by, strict=True)),
        )

    def grown(self, by: Zyx) -> Roi:
        """Return this box with ``by`` voxels added on both sides of each axis."""
        return Roi(
            to_zyx(a - h for a, h in zip(self.start, by, strict=True)),
            to_zyx(b + h for b, h in zip(self.stop, by, strict=True)),
        )

    def aligned(self, step: int) -> Roi:
        """Return the smallest box around this one with corners at multiples of ``step``."""
        return Roi(
            to_zyx(floor_to(a, step) for a in self.start),
            to_zyx(ceil_to(b, step) for b in self.stop),
        )

    def intersection(self, other: Roi) -> Roi:
        """Return the common box; an empty one at its lower corner if there is none."""
        start = to_zyx(max(a, b) for a, b in zip(self.start, other.start, strict=True))
        stop = to_zyx(
            max(s, min(a, b))
            for s, a, b in zip(start, self.stop, other.stop, strict=True)
        )
        return Roi(start, stop)

    def contains(self, other: Roi) -> bool:
        """Say whether ``other`` lies wholly inside this box."""
        return all(
            a <= c and d <= b
            for a, b, c, d in zip(
                self.start, self.stop, other.start, other.stop, strict=True
            )
        )

    def __str__(self) -> str:
        return ",".join(f"{a}:{b}" for a, b in zip(self.start, self.stop, strict=True))


def tiles(roi: Roi, shape: Zyx) -> Iterator[Zyx]:
    """Yield the places, in C order, of the tiles of ``shape`` voxels that a box touches."""
    triples = zip(roi.start, roi.stop, shape, strict=True)
    z, y, x = (range(a // n, -(-b // n)) for a, b, n in triples)
    return product(z, y, x)


def pieces(roi: Roi, edge: int) -> Iterator[Roi]:
    """Yield a box cut at multiples of ``edge`` voxels, in C order."""
    axes = [
        range(floor_to(a, edge), b, edge)
        for a, b in zip(roi.start, roi.stop, strict=True)
    ]
    for start in product(*axes):
        yield Roi.whole((edge,) * 3).shifted(start).intersection(roi)

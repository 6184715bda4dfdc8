"""Boxes of voxels.

All coordinates are voxels of one resolution level, in ``(z, y, x)`` order,
and all ranges are half-open.
"""

from __future__ import annotations

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
        z, y, x = self.shape
        return z * y * x

    def slices(self, origin: Zyx = (0, 0, 0)) -> tuple[slice, slice, slice]:
        """Index this box in an array whose first voxel is ``origin``."""
        (a, b, c), (d, e, f), (z, y, x) = self.start, self.stop, origin
        return (slice(a - z, d - z), slice(b - y, e - y), slice(c - x, f - x))

    def shifted(self, offset: Iterable[int]) -> Roi:
        """Return this box moved by ``offset`` voxels."""
        z, y, x = to_zyx(offset)
        (a, b, c), (d, e, f) = self.start, self.stop
        return Roi((a + z, b + y, c + x), (d + z, e + y, f + x))

    def grown(self, by: Zyx) -> Roi:
        """Return this box with ``by`` voxels added on both sides of each axis."""
        (a, b, c), (d, e, f), (z, y, x) = self.start, self.stop, by
        return Roi((a - z, b - y, c - x), (d + z, e + y, f + x))

    def aligned(self, step: int) -> Roi:
        """Return the smallest box around this one with corners at multiples of ``step``."""
        (a, b, c), (d, e, f) = self.start, self.stop
        return Roi(
            (floor_to(a, step), floor_to(b, step), floor_to(c, step)),
            (ceil_to(d, step), ceil_to(e, step), ceil_to(f, step)),
        )

    def intersection(self, other: Roi) -> Roi:
        """Return the common box; an empty one at its lower corner if there is none."""
        (a, b, c), (d, e, f) = self.start, self.stop
        (g, h, i), (j, k, m) = other.start, other.stop
        z, y, x = max(a, g), max(b, h), max(c, i)
        return Roi((z, y, x), (max(z, min(d, j)), max(y, min(e, k)), max(x, min(f, m))))

    def contains(self, other: Roi) -> bool:
        """Return whether ``other`` lies wholly inside this box."""
        (a, b, c), (d, e, f) = self.start, self.stop
        (g, h, i), (j, k, m) = other.start, other.stop
        return a <= g and b <= h and c <= i and j <= d and k <= e and m <= f

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

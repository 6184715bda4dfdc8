"""Orientations of an annotation, transposed or mirrored against its image."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations, product
from typing import TYPE_CHECKING, Any

from blockseg.core.geometry import Roi, Zyx, to_zyx

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SWAP = 2  # axes that change places; three go round


@dataclass(frozen=True, slots=True)
class Orientation:
    """A permutation of axes, some of them reversed."""

    order: Zyx
    """Axis of the image that each axis of the annotation holds."""

    mirrored: tuple[bool, bool, bool]
    """Axes of the annotation that are reversed."""

    def turned(self, image: NDArray[Any]) -> NDArray[Any]:
        """Return an image in the orientation of the annotation."""
        every = slice(None), slice(None, None, -1)
        return image.transpose(self.order)[tuple(every[m] for m in self.mirrored)]

    def shape(self, image: Zyx) -> Zyx:
        """Return the shape of an annotation of an image of some shape."""
        return to_zyx(image[axis] for axis in self.order)

    def source(self, roi: Roi, shape: Zyx) -> Roi:
        """Return the region of the image that corresponds to one of the annotation.

        Parameters
        ----------
        roi
            In the annotation.
        shape
            Of the annotation.
        """
        start, stop = [0, 0, 0], [0, 0, 0]
        for axis, (a, b) in enumerate(zip(roi.start, roi.stop, strict=True)):
            if self.mirrored[axis]:
                a, b = shape[axis] - b, shape[axis] - a
            start[self.order[axis]], stop[self.order[axis]] = a, b
        return Roi(to_zyx(start), to_zyx(stop))

    def __str__(self) -> str:
        moved = [axis for axis in range(3) if self.order[axis] != axis]
        said = []
        if len(moved) == _SWAP:
            said.append(f"with {' and '.join('zyx'[a] for a in moved)} swapped")
        elif moved:
            order = ", ".join("zyx"[axis] for axis in self.order)
            said.append(f"with its axes taken for {order}")
        if any(self.mirrored):
            along = " and ".join(
                name for name, is_ in zip("zyx", self.mirrored, strict=True) if is_
            )
            said.append(f"mirrored along {along}")
        return " and ".join(said)


TURNED: tuple[Orientation, ...] = tuple(
    Orientation((order[0], order[1], order[2]), (mirrored[0], mirrored[1], mirrored[2]))
    for order in permutations(range(3))
    for mirrored in product((False, True), repeat=3)
)[1:]
"""The 47 orientations other than the correct one."""

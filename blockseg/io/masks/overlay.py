"""Overlay of a mask, or of regions, of any resolution on a volume."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from blockseg.core.errors import VolumeError
from blockseg.core.text import times

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from blockseg.core.geometry import Roi, Zyx
    from blockseg.core.space import Space
    from blockseg.io.protocol import Volume

_STRAIGHT = (0, 1, 2)


@dataclass(frozen=True, slots=True)
class _Side:
    """One axis of a volume or a mask."""

    length: int
    size: float
    place: float

    @property
    def extent(self) -> float:
        return self.length * self.size


@dataclass(frozen=True, slots=True)
class Overlay:
    """Map from the voxels of a volume to those of a mask, axis by axis.

    Where both spaces have a unit, extents decide. Along an axis on which both are of one
    length, within a voxel of the coarser, they begin at one corner,
    ``floor((i + 1/2) s_v / s_m)`` with voxel sizes s of the volume and the mask, and the
    last mask voxel covers what is left: most pyramids are written without the
    translations of half a voxel that their coarse levels have, and must mean the same
    with and without. Where neither has a translation they begin at one corner too, and
    half a voxel of the volume, as coarse levels have, counts for none. Else
    the centres of voxels decide, ``floor((t_v + i s_v - t_m) / s_m + 1/2)`` with
    translations t. What lies beyond the mask is outside. Without a unit, the ratio of
    the shapes decides: ``floor((i + 1/2) n_m / n_v)``.

    """

    physical: bool
    """Whether both state a unit."""

    placed: tuple[bool, bool]
    """Whether the volume and the mask lie elsewhere than at the origin."""

    sides: tuple[tuple[_Side, _Side], ...]
    """Sides of the volume and the mask along (z, y, x)."""

    @classmethod
    def of(cls, mask: Volume, shape: Zyx, space: Space) -> Self:
        """Lay a mask of any resolution over a volume.

        Parameters
        ----------
        mask
            Or regions.
        shape, space
            Of the volume.
        """
        theirs = mask.space
        return cls(
            space.unit is not None and theirs.unit is not None,
            (_placed(space), any(theirs.translation)),
            tuple(
                (
                    _Side(shape[k], space.voxel_size[k], space.translation[k]),
                    _Side(mask.shape[k], theirs.voxel_size[k], theirs.translation[k]),
                )
                for k in range(3)
            ),
        )

    def index(self, axis: int, voxel: NDArray[Any]) -> NDArray[np.int64]:
        """Return the mask's index at places of the volume along an axis; -1 outside.

        Parameters
        ----------
        axis
            0, 1, 2 for z, y, x.
        voxel
            Places in the volume's voxels; whole numbers are centres.
        """
        ours, theirs = self.sides[axis]
        if not self.physical:
            exact = (2 * voxel + 1) * theirs.length // (2 * ours.length)
        elif self.shared(axis) or not any(self.placed):
            exact = np.floor((voxel + 0.5) * (ours.size / theirs.size))
            if self.shared(axis):
                exact = np.minimum(exact, theirs.length - 1)
        else:
            centre = ours.place + voxel * ours.size
            exact = np.floor((centre - theirs.place) / theirs.size + 0.5)
        inside = (exact >= 0) & (exact < theirs.length)
        return np.where(inside, exact, -1).astype(np.int64)

    def shared(self, axis: int) -> bool:
        """Say whether the mask covers an axis of the volume from end to end."""
        ours, theirs = self.sides[axis]
        close = _agree(ours.extent, theirs.extent, ours.size, theirs.size)
        return close and (not self.placed[1] or self._near(axis))

    def moved(self) -> bool:
        """Say whether a mask without a place is laid over a volume that has one."""
        if self.placed[1] or not self.physical:
            return False
        return any(self.shared(k) and not self._near(k) for k in range(3))

    def unheeded(self) -> bool:
        """Say whether a mask's place does not count, for want of a unit."""
        if self.physical or not self.placed[1]:
            return False
        return not all(self._near(k) for k in range(3))

    def swallowed(self) -> bool:
        """Say whether a single voxel of a mask of many covers the whole volume."""
        if self.placed[0] or all(mask.length == 1 for _, mask in self.sides):
            return False  # a part that says where it lies may be as small
        ends = (
            self.index(axis, np.array([0, ours.length - 1]))
            for axis, (ours, _) in enumerate(self.sides)
        )
        return all(first == last >= 0 for first, last in ends)

    def beyond(self, roi: Roi) -> float:
        """Return the share of a region of the volume that the mask does not reach."""
        within = 1.0
        for axis, (start, stop) in enumerate(zip(roi.start, roi.stop, strict=True)):
            within *= float((self.index(axis, np.arange(start, stop)) >= 0).mean())
        return 1 - within

    def turned(self) -> tuple[int, ...] | None:
        """Return the order in which the mask's axes would fit, where theirs does not."""
        if self._fits(_STRAIGHT):
            return None
        orders = list(permutations(reversed(_STRAIGHT)))[:-1]
        return next((order for order in orders if self._fits(order)), None)

    def _near(self, axis: int) -> bool:
        ours, theirs = self.sides[axis]
        return _agree(ours.place, theirs.place, ours.size, theirs.size)

    def _fits(self, order: tuple[int, ...]) -> bool:
        pairs = [(self.sides[k][0], self.sides[n][1]) for k, n in enumerate(order)]
        if self.physical:
            # The voxels may be turned with or without the sizes that are stated.
            lengths = [m.length for _, m in pairs]
            sizes = [m.size for _, m in self.sides], [m.size for _, m in pairs]
            return any(
                all(
                    _agree(v.extent, n * s, v.size, s)
                    for (v, _), n, s in zip(pairs, lengths, each, strict=True)
                )
                for each in sizes
            )
        ratio = float(np.prod([v.length / m.length for v, m in pairs]) ** (1 / 3))
        return all(_agree(v.length, m.length * ratio, 1.0, ratio) for v, m in pairs)


def overlay_doubts(
    name: str, mask: Volume, overlay: Overlay, roi: Roi
) -> Iterator[str]:
    """Yield a line for each thing that may mislead about a mask.

    Parameters
    ----------
    name
        How to call the mask: option and path.
    mask, overlay
        It, and how it lies over the volume.
    roi
        Region of the volume that is asked for.

    Raises
    ------
    VolumeError
        If it cannot be a mask of the volume.
    """
    order = overlay.turned()
    if order is not None:
        given = times(mask.shape)
        shape = "×".join(str(ours.length) for ours, _ in overlay.sides)
        letters = "".join("zyx"[order.index(k)] for k in range(3))
        message = (
            f"{name} has {given} voxels, which fit the volume's {shape} only if its axes "
            f"are {letters} and not zyx; write it with axes z, y and x"
        )
        raise VolumeError(message)
    if mask.space.problem:
        yield (
            f"{name}: {mask.space.problem}; it is stretched over the whole volume, which "
            "is right if both cover the same; correct its metadata"
        )
    if overlay.moved():
        yield (
            f"{name} states no translation, the volume one: it is laid over the whole "
            "volume, whose extent it has; write its translation"
        )
    if overlay.unheeded():
        yield (
            f"{name} states a translation, which counts only if it and the volume state a "
            "unit: it is stretched over the whole volume; write its unit, and give the "
            "volume's --voxel-size"
        )
    if overlay.swallowed():
        yield (
            f"a single voxel of {name} covers the whole volume: {_reach(overlay)}; correct "
            "its voxel size"
        )
    beyond = overlay.beyond(roi)
    if beyond == 1:
        message = (
            f"{name} lies wholly outside of the region: {_reach(overlay)}; correct its "
            "voxel size or translation"
        )
        raise VolumeError(message)
    if beyond:
        yield (
            f"{beyond_words(beyond)} of the region lies outside of {name} and counts as "
            f"0 there: {_reach(overlay)}; correct its voxel size or translation if it "
            "should reach further"
        )


def beyond_words(share: float) -> str:
    """Return a share in per cent, as people read it."""
    return f"{100 * share:.3g} %"


def _reach(overlay: Overlay) -> str:
    """Return the ends of the mask and of the volume."""
    placed = any(overlay.placed)  # without translations, corners coincide
    ours, theirs = (
        ",".join(
            f"{a:.4g}:{a + side.extent:.4g}" for a, side in zip(low, sides, strict=True)
        )
        for sides in zip(*overlay.sides, strict=True)
        for low in [[s.place - s.size / 2 if placed else 0.0 for s in sides]]
    )
    return f"it reaches over {theirs} µm (z,y,x), the volume over {ours}"


def _placed(space: Space) -> bool:
    """Say whether a volume lies elsewhere than a coarse level of one at the origin."""
    pairs = zip(space.translation, space.voxel_size, strict=True)
    return not all(0 <= place < size / 2 for place, size in pairs)


def _agree(a: float, b: float, size: float, other: float) -> bool:
    """Say whether two lengths differ by less than the longer of two voxels."""
    return abs(a - b) < max(size, other) * (1 - 1e-6)

"""Split of data for validation: whole volumes, or the end of one, behind a guard."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.geometry import Roi, Zyx

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from blockseg.training.data.scan import Scan

_KEPT = 0.75
"""Share of the annotation before the held-out planes that the guard must leave."""

_MOST_HELD_OUT = 0.5
"""Share of the annotation that may be held out without looking for a cheaper cut."""


@dataclass(frozen=True, slots=True)
class Cut:
    """One volume, divided along an axis."""

    axis: int
    """0, 1 or 2 for z, y or x."""

    stop: int
    """Training reads the planes before this one."""

    start: int
    """Validation counts the planes from this one on."""

    @property
    def guard(self) -> int:
        """Planes that neither trains on nor is scored by."""
        return self.start - self.stop

    def training(self, shape: Zyx) -> Roi:
        """Return the region that training reads."""
        return self._planes(shape, 0, self.stop)

    def validation(self, shape: Zyx) -> Roi:
        """Return the region that validation counts."""
        return self._planes(shape, self.start, shape[self.axis])

    def _planes(self, shape: Zyx, first: int, last: int) -> Roi:
        start, stop = [0, 0, 0], list(shape)
        start[self.axis], stop[self.axis] = first, last
        return Roi((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))


def cut_volume(scan: Scan, share: float, guard: int) -> Cut | None:
    """Divide one annotated volume into training and validation.

    Where only some slices are annotated, across them, and the last ones are held
    out; else along the longest axis. Held out are as few planes at the end as hold
    ``share`` of the annotation and a neurite; an axis on which that is more than half
    of the annotation is taken only if all are like that. The guard before the planes
    shrinks where it would cost training more than a quarter of its annotation, and
    where annotated slices lie close, training may read half of the gap between them.

    Parameters
    ----------
    scan
        Of the volume.
    share
        Of the annotated voxels, to hold out; above 0, below 1.
    guard
        Planes to leave out between the two: how far the network reaches.

    Returns
    -------
    None if there is no way to have neurites on both sides.
    """
    best, best_cost = None, math.inf
    for axis in sorted(range(3), key=lambda a: (not _sparse(scan, a), -scan.shape[a])):
        labelled = scan.labelled[axis]
        cut = _cut(axis, labelled, scan.foreground[axis], share, guard)
        if cut is None:
            continue
        cost = labelled[cut.start :].sum() / labelled.sum()
        if cost <= max(_MOST_HELD_OUT, share):
            return cut
        if cost < best_cost:
            best, best_cost = cut, cost
    return best


def held_out(foreground: Sequence[int], share: float, seed: int, most: int) -> set[int]:
    """Choose the volumes of a set that are held out.

    At least one with neurites, and at least one with neurites remains.

    Parameters
    ----------
    foreground
        Neurite voxels of each volume.
    share
        Of the volumes, to hold out.
    seed
        Draws them.
    most
        Volumes that are held out at most.

    Returns
    -------
    Their numbers; none if fewer than two volumes hold neurites.
    """
    drawn = np.random.default_rng(seed).permutation(len(foreground)).tolist()
    holding = [number for number in drawn if foreground[number]]
    if len(holding) < 2:
        return set()
    kept, first = holding[-1], holding[0]
    others = [number for number in drawn if number not in (kept, first)]
    count = min(max(1, round(share * len(foreground))), most)
    return {first, *others[: count - 1]}


def _sparse(scan: Scan, axis: int) -> bool:
    planes = int(np.count_nonzero(scan.labelled[axis]))
    return 1 < planes < 0.5 * scan.shape[axis]


def _cut(
    axis: int,
    labelled: NDArray[np.int64],
    foreground: NDArray[np.int64],
    share: float,
    guard: int,
) -> Cut | None:
    after = labelled[::-1].cumsum()[::-1]
    positive_after = foreground[::-1].cumsum()[::-1]
    ends = np.flatnonzero((after >= share * labelled.sum()) & (positive_after > 0))
    if not len(ends):
        return None
    start = int(ends[-1])
    # Counted up to and including each plane before the held-out ones.
    before, positive = labelled[:start].cumsum(), foreground[:start].cumsum()
    enough = np.flatnonzero((positive > 0) & (before >= _KEPT * before[-1:].sum()))
    if not len(enough):
        return None
    least = int(enough[0]) + 1
    following = np.flatnonzero(labelled[least : start + 1])
    gap = int(following[0]) if len(following) else start - least
    return Cut(axis, max(start - guard, least + gap // 2), start)

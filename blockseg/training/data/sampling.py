"""Sampling of patches from an annotated volume."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.geometry import Roi, Zyx, to_zyx
from blockseg.core.labels import IGNORE

if TYPE_CHECKING:
    from blockseg.training.data.scan import AnnotationIndex, Codes

_TRIES = 8
"""Places that are looked at before the best of them is taken."""


class Sampler:
    """Draws cubes around annotated voxels.

    The voxel that a cube is drawn around lies anywhere in it, so that an annotated
    slice is met at every depth of a patch. Where eight places do not give what is
    asked for, the best of them is taken.

    Parameters
    ----------
    index
        Of the annotation, inside ``domain``; not empty.
    domain
        Region that may be read. Cubes lie inside it, except along axes on which it is
        shorter than they are: there they begin where it begins.
    patch
        Edge of a cube, in voxels.
    min_foreground
        Neurite voxels that a cube shall hold, unless it shall hold none.
    """

    def __init__(
        self,
        index: AnnotationIndex,
        domain: Roi,
        *,
        patch: int,
        min_foreground: int = 1,
    ) -> None:
        self._index = index
        self._domain = domain
        self._patch = patch
        self._least = min_foreground
        self._labelled = index.labelled.cumsum()
        self._foreground = index.foreground.cumsum()

    @property
    def has_neurites(self) -> bool:
        """Whether there is any neurite voxel."""
        return bool(self._foreground[-1])

    def draw(
        self, codes: Codes, rng: np.random.Generator, *, empty: bool = False
    ) -> Roi:
        """Return a cube.

        Parameters
        ----------
        codes
            Reads the annotation; asked for regions inside the domain only.
        rng
            Draws it.
        empty
            Whether it is drawn around any annotated voxel and shall hold no neurite;
            else around a neurite voxel, if there is one.
        """
        empty = empty or not self.has_neurites
        best, best_score = None, -1
        for _ in range(_TRIES):
            roi = self._around(self._voxel(codes, rng, positive=not empty), rng)
            target = codes(roi.intersection(self._domain))
            positive = int(np.count_nonzero(target == 1))
            score = target.size - positive if empty else positive
            if best is None or score > best_score:
                best, best_score = roi, score
            if (positive == 0) if empty else (positive >= self._least):
                break
        return best or self._around(self._domain.start, rng)

    def _voxel(self, codes: Codes, rng: np.random.Generator, *, positive: bool) -> Zyx:
        totals = self._foreground if positive else self._labelled
        number = int(np.searchsorted(totals, rng.uniform() * totals[-1], side="right"))
        tile = self._index.roi(min(number, len(totals) - 1)).intersection(self._domain)
        target = codes(tile)
        voxels = np.argwhere(target == 1 if positive else target != IGNORE)
        if not len(voxels):  # the annotation changed on disk since it was indexed
            return tile.start
        chosen = voxels[int(rng.integers(len(voxels)))]
        return to_zyx(a + b for a, b in zip(tile.start, chosen, strict=True))

    def _around(self, voxel: Zyx, rng: np.random.Generator) -> Roi:
        corner = voxel - rng.integers(0, self._patch, 3)
        start = to_zyx(
            max(a, min(int(c), b - self._patch))
            for c, a, b in zip(
                corner, self._domain.start, self._domain.stop, strict=True
            )
        )
        return Roi(start, to_zyx(a + self._patch for a in start))

"""A volume whose holes are filled as it is read, and known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.cubes import box_around
from blockseg.core.errors import VolumeError
from blockseg.core.geometry import Roi, pieces
from blockseg.io.holes.decision import HoleJudge
from blockseg.io.holes.flat import SQUARE, flat_voxels
from blockseg.io.holes.mirror import REACH, mirrored
from blockseg.io.holes.repeats import repeated_voxels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx
    from blockseg.core.holes import HoleRule
    from blockseg.io.protocol import Volume

AROUND_HOLES = 128
"""Voxels around a region that may say what of it is a hole, and how it is filled."""

_PIECE = 128  # voxels along what is filled at a time


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A region of a volume, its holes filled."""

    voxels: NDArray[Any]
    """Grey levels (z, y, x)."""

    missing: NDArray[np.bool_] | None
    """Mask of voxels that are no data and were filled in; None if there are none."""

    nonfinite: NDArray[np.bool_] | None = None
    """Mask of voxels that are NaN or infinite in the source; None if there are none."""

    @property
    def nonfinite_voxels(self) -> int:
        """Number of them."""
        return 0 if self.nonfinite is None else int(np.count_nonzero(self.nonfinite))

    def measured(self) -> Seen:
        """Return the region as it is measured: NaN stays NaN and is no hole."""
        if self.missing is None or self.nonfinite is None:
            return self
        voxels = np.where(self.nonfinite, self.voxels.dtype.type(np.nan), self.voxels)
        rest = self.missing & ~self.nonfinite
        return Seen(voxels, rest if rest.any() else None)

    def within(self, at: tuple[slice, slice, slice]) -> Seen:
        """Return a part."""
        missing, nonfinite = (
            None if mask is None or not mask[at].any() else mask[at]
            for mask in (self.missing, self.nonfinite)
        )
        return Seen(self.voxels[at], missing, nonfinite)


class MendedVolume:
    """Reads like the volume itself, but for its holes.

    What is read of a voxel depends on the volume alone, not on the region that is asked
    for.

    Parameters
    ----------
    volume
        What is on disk.
    rule
        By which its holes are told; None to leave it as it is.
    """

    def __init__(self, volume: Volume, rule: HoleRule | None) -> None:
        self._volume = volume
        self._rule = rule
        self._judge = None if rule is None else HoleJudge(volume, rule)
        self.shape, self.dtype = volume.shape, volume.dtype
        self.chunk_shape, self.space = volume.chunk_shape, volume.space

    def read(self, roi: Roi) -> NDArray[Any]:
        """Return a region with its holes filled; see :meth:`Volume.read`."""
        return self.look(roi).voxels

    def look(self, roi: Roi) -> Seen:
        """Return a region with its holes filled, and which they are."""
        if not roi.size:
            return Seen(self._volume.read(roi), None)
        raw, missing = self._told(roi)
        if missing is None:
            return Seen(raw, None)
        nonfinite = None
        if raw.dtype.kind == "f":
            found = missing & ~np.isfinite(raw)
            nonfinite = found if found.any() else None
        return Seen(self._filled(roi, raw, missing), missing, nonfinite)

    def glance(self, roi: Roi) -> Seen:
        """Return the same but for holes of which little lies in the region.

        Reads nothing around it where there are none: a hole that comes fewer than 8
        voxels in, or a repeated plane that is its first, may be overlooked.
        """
        raw = self._volume.read(roi)
        if self._rule is None or not _suspect(raw, self._rule, roi.start):
            return Seen(raw, None)
        return self.look(roi)

    def _told(self, roi: Roi) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Return a region as it is, and its holes."""
        rule, judge = self._rule, self._judge
        if rule is None or judge is None:
            return self._volume.read(roi), None
        wide = roi.aligned(SQUARE).grown((SQUARE,) * 3)
        wide = wide.intersection(Roi.whole(self.shape))
        try:
            raw = self._volume.read(wide)
        except VolumeError:
            # Damage beside a region is no damage of it, unless a hole has to be told.
            raw = self._volume.read(roi)
            if _suspect(raw, rule, roi.start):
                raise
            return raw, None
        at = roi.slices(wide.start)
        missing = None
        flat = flat_voxels(raw, rule)
        if flat is not None and flat[at].any():
            box = box_around(flat[at], roi.start)
            part = box.slices(roi.start)
            missing = np.zeros(roi.shape, bool)
            missing[part] = judge.holes(flat[at][part], box)
        repeated = repeated_voxels(raw, wide.start) if rule.repeats else None
        if repeated is not None:
            missing = repeated[at] if missing is None else missing | repeated[at]
        return raw[at], missing if missing is not None and missing.any() else None

    def _filled(
        self, roi: Roi, raw: NDArray[Any], missing: NDArray[np.bool_]
    ) -> NDArray[Any]:
        """Fill piece by piece: around each a good deal more has to be looked at."""
        filled = np.array(raw)
        for piece in pieces(roi, _PIECE):
            at = piece.slices(roi.start)
            if not missing[at].any():
                continue
            around = piece.grown((REACH,) * 3).intersection(Roi.whole(self.shape))
            voxels, lost = self._told(around)
            if lost is not None:
                filled[at] = mirrored(voxels, lost, piece.slices(around.start))
        return filled


def looked_at(volume: Volume, roi: Roi) -> Seen:
    """Return a region of any volume; holes are known of a mended one alone."""
    if isinstance(volume, MendedVolume):
        return volume.look(roi)
    return Seen(volume.read(roi), None)


def _suspect(raw: NDArray[Any], rule: HoleRule, start: Zyx) -> bool:
    if flat_voxels(raw, rule) is not None:
        return True
    return rule.repeats and repeated_voxels(raw, start) is not None

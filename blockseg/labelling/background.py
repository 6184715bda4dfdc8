"""Contrast and SNR of foreground voxels, by the background that the run found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.measurement.grey_scale import measured_cubes
from blockseg.normalization.interpolation import planes, sampled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.blockwise.derived.finished import FinishedRun
    from blockseg.core.geometry import Roi
    from blockseg.core.space import Vector
    from blockseg.core.specs import AffineField


@dataclass(frozen=True, slots=True)
class Background:
    """Background of a run: its level and noise SD, which may vary over the volume."""

    level: float
    """Level of the whole volume, in grey levels."""

    sd: float
    """Noise SD of the whole volume, in grey levels; above 0."""

    field: AffineField | None = None
    """Level and SD over the volume; None where those of the whole hold everywhere."""

    gain: float = 1.0
    """Value that the field makes of one SD."""

    @classmethod
    def of(cls, run: FinishedRun) -> Background | None:
        """Return the background of a run; None where it estimated none."""
        decisions, gain = run.decisions, run.record.gain
        found, measured = decisions.background, measured_cubes(run.record)
        if measured is not None:
            level, sd = measured.scale.level, measured.scale.sd
        elif found.estimate is not None:
            level, sd = found.estimate.level, found.estimate.sd
        elif found.kind == "given":
            level, sd = decisions.whole.offset, decisions.whole.scale * gain
        else:
            return None
        return cls(level, sd, decisions.field, gain)

    def contrast(
        self, voxels: NDArray[Any], roi: Roi, places: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return contrast and SNR of some voxels of a block.

        Contrast is the grey level above the background's, in SDs of the whole volume; SNR
        the same in SDs of the place.

        Parameters
        ----------
        voxels
            Grey levels of a block.
        roi
            The block, in the source's coordinates.
        places
            Rising C-order numbers of voxels in the block.
        """
        level = voxels.reshape(-1)[places].astype(np.float64)
        if self.field is None:
            bright = (level - self.level) / self.sd
            return bright, bright
        contrast, snr = np.empty_like(level), np.empty_like(level)
        area = roi.shape[1] * roi.shape[2]
        bounds = np.searchsorted(places, area * np.arange(roi.shape[0] + 1))
        fields = planes(self.field, roi.start, roi.shape, np.dtype(np.float64))
        for z, (base, scale) in enumerate(fields):
            part = slice(bounds[z], bounds[z + 1])
            if part.start < part.stop:
                place = places[part] - z * area
                above = level[part] - base.ravel()[place]
                contrast[part] = above / self.sd
                snr[part] = above / (scale.ravel()[place] * self.gain)
        return contrast, snr

    def noise(self, place: Vector) -> float:
        """Return the noise SD at a place of the source, in grey levels.

        Parameters
        ----------
        place
            In voxels, (z, y, x); fractions are allowed.
        """
        if self.field is None:
            return self.sd
        z, y, x = place
        return float(sampled(self.field, [z], [y], [x])[1].item()) * self.gain

    def least_noise(self, start: Vector, stop: Vector) -> float:
        """Return the least noise SD in a box of the source, in grey levels.

        Parameters
        ----------
        start, stop
            Opposite corners, in voxels.
        """
        if self.field is None:
            return self.sd
        field = self.field
        places = []
        for axis, (low, high) in enumerate(zip(start, stop, strict=True)):
            nodes = field.start[axis] + field.step[axis] * np.arange(field.nodes[axis])
            inner = nodes[(nodes > low) & (nodes < high)]
            places.append(np.array([low, *inner, high]))
        # Trilinear: nowhere less than at the nodes and where the box cuts between them.
        z, y, x = places
        return float(sampled(field, z, y, x)[1].min()) * self.gain

"""Sample of a volume, and what stands out of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.errors import VolumeError
from blockseg.core.geometry import Roi
from blockseg.core.specs import AUTO
from blockseg.io.chunk_memory import open_for_samples
from blockseg.io.sample import sample_planes
from blockseg.normalization.affine import normalize
from blockseg.normalization.background import estimate_background, saturation
from blockseg.normalization.background_field import affine_of_volume, estimate_field
from blockseg.normalization.structures import half_depth, measure_structures

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.space import Space
    from blockseg.core.specs import VolumeSpec
    from blockseg.io.protocol import Volume
    from blockseg.io.sample import PlaneSample
    from blockseg.normalization.background import Background
    from blockseg.normalization.structures import Structures

DENDRITES = 3.0
"""Half-width of the widest quarter from which on neurites are dendrites."""

_BOXES, _DEEP = 6, 12  # places that are looked at along z, and planes on either side


@dataclass(frozen=True, slots=True)
class Sampled:
    """Findings in a sample of a volume."""

    structures: Structures
    """Structures that stand out of the background."""

    half_depth: float | None
    """Planes from the middle of bright structures to where they have half their height
    along z; None where that was not looked at, as neurites are thin."""

    saturated: float
    """Share of what stands out that is at the camera's limit."""


def elongation(space: Space) -> float | None:
    """Return the length of a voxel along z over that of y and x; None if it is unknown."""
    if space.unit is None:
        return None
    z, y, x = space.voxel_size
    return z / max(y, x)


def sample_of(spec: VolumeSpec) -> Sampled | None:
    """Measure a sample of a volume; None where it cannot be read, or nothing varies.

    Parameters
    ----------
    spec
        The volume.
    """
    try:
        volume = open_for_samples(spec)
    except VolumeError:
        return None  # what cannot be read is told where it is needed
    return sample_of_volume(volume)


def sample_of_volume(volume: Volume) -> Sampled | None:
    """Measure a sample of an open volume; None where nothing varies in it.

    Parameters
    ----------
    volume
        The volume, on the grid on which a network is to see it.
    """
    sample = sample_planes(volume)
    background = estimate_background(sample.patches, volume.dtype)
    if not background.voxels:
        return None
    found = measure_structures(
        sample.patches, background, _heights(sample, volume, background)
    )
    full = saturation(sample.patches, volume.dtype)
    at_limit = sum(int(np.count_nonzero(patch >= full)) for patch in sample.patches)
    bright = found.share * sum(patch.size for patch in sample.patches)
    depth = None
    if (found.half_width_high or 0) >= DENDRITES:
        depth = half_depth(_boxes(sample, volume, background.level))
    return Sampled(found, depth, min(at_limit / max(bright, 1), 1.0))


def _boxes(
    sample: PlaneSample, volume: Volume, level: float
) -> list[NDArray[np.float32]]:
    """Return the surroundings of the patches with the brightest spots, 2 a plane at most."""
    spots = [float(np.quantile(patch, 0.98)) for patch in sample.patches]
    boxes: list[NDArray[np.float32]] = []
    seen: list[int] = []
    for number in np.argsort(spots)[::-1].tolist():
        roi = sample.rois[number]
        z = roi.start[0]
        if z < _DEEP or z + _DEEP >= volume.shape[0] or seen.count(z) == 2:
            continue
        seen.append(z)
        box = Roi((z - _DEEP, *roi.start[1:]), (z + _DEEP + 1, *roi.stop[1:]))
        try:
            boxes.append(volume.read(box).astype(np.float32) - np.float32(level))
        except VolumeError:
            continue  # told where it is needed
        if len(boxes) == _BOXES:
            break
    return boxes


def _heights(
    sample: PlaneSample, volume: Volume, background: Background
) -> list[NDArray[np.float32]]:
    """Return the patches of a sample in noise SDs above the background near by."""
    field = estimate_field(sample.patches, sample.rois, volume.shape, volume.dtype)
    by = affine_of_volume(AUTO, background, field, gain=1.0)
    heights = []
    for patch, roi in zip(sample.patches, sample.rois, strict=True):
        height = np.empty(roi.shape, np.float32)
        normalize(patch.reshape(roi.shape), by, height, roi.start)
        heights.append(height[0])
    return heights

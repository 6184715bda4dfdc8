"""``blockseg info``: what a volume is, what stands out in it, and on which grid to read it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.choices import SourceChoices
from blockseg.core.errors import VolumeError
from blockseg.core.geometry import Roi
from blockseg.core.specs import AUTO
from blockseg.io.chunk_memory import open_for_samples
from blockseg.io.describe import describe
from blockseg.io.sample import sample_planes
from blockseg.networks.shipped import DEFAULT
from blockseg.normalization.affine import normalize
from blockseg.normalization.background import estimate_background
from blockseg.normalization.background_field import affine_of_volume, estimate_field
from blockseg.normalization.structures import half_depth, measure_structures

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx
    from blockseg.core.space import Space
    from blockseg.core.specs import VolumeSpec
    from blockseg.io.describe import SourceInfo
    from blockseg.io.protocol import Volume
    from blockseg.io.sample import PlaneSample
    from blockseg.normalization.background import Background
    from blockseg.normalization.structures import Structures

_THICK = 3.5  # half-width, in voxels, beyond which the shipped weights saw little
_WANTED = 3.0  # half-width that is aimed at; powers of two leave more than half of it
_MOST = 0.25  # share of a sample that neurites take at most
_DENDRITES = (
    3.0  # half-width of the widest quarter from which on neurites are dendrites
)
_BOXES, _DEEP = 6, 12  # places that are looked at along z, and planes on either side
_LEAST_DEEP = 1.5  # planes that averaging along z must leave of a structure
_STAINED = 25.0  # noise SDs that the brightest tenth of well stained neurons exceeds


@dataclass(frozen=True, slots=True)
class Inspection:
    """Description of a source, and of what stands out in it."""

    source: SourceInfo
    """Description of the source."""

    structures: Structures | None
    """Findings in a sample; None where there is none, or nothing varies in it."""

    half_depth: float | None
    """Planes from the middle of bright structures to where they have half their height along
    z; None where that was not looked at, as neurites are thin."""

    downsample: Zyx | None
    """Factors with which neurites have the width that the shipped weights know; None where
    that is not known."""

    weights: str | None = None
    """Name of the shipped weights that suit what was found; None where that is not known."""

    given: Zyx = (1, 1, 1)
    """Factors with which the sample was read."""

    def lines(self) -> list[str]:
        """Return it for people to read."""
        return [*self.source.lines(), *self._of_structures()]

    def to_plain(self) -> dict[str, Any]:
        """Return it as JSON values."""
        found = None if self.structures is None else asdict(self.structures)
        factors = None if self.downsample is None else list(self.downsample)
        found = None if found is None else found | {"half_depth": self.half_depth}
        advice = {"weights": self.weights, "downsample": factors}
        return asdict(self.source) | {"structures": found} | advice

    def _of_structures(self) -> list[str]:
        found = self.structures
        if found is None:
            return []
        if not found.share:
            return ["  nothing stands out of the background in the sample"]
        if found.half_width is None:
            return [f"  too little stands out to tell a width, {_height(found)}"]
        what = f"  bright structures: half-width {found.half_width:.2g} voxels, {_height(found)}"
        if self.downsample is None:
            share = f"{100 * found.share:.0f} % of the sample, more than neurites do"
            return [f"{what}; they take {share}: nothing is recommended"]
        words = []
        if self.weights not in (None, DEFAULT.name):
            words.append(f"--weights {self.weights}")
        if self.downsample != self.given:
            words.append(f"--downsample {','.join(map(str, self.downsample))}")
        if not words:
            return [f"{what}; this resolution suits the shipped weights"]
        return [what, f"  recommended: {' '.join(words)}"]


def inspect(
    uri: str | os.PathLike[str], choices: SourceChoices | None = None
) -> Inspection:
    """Describe what lies at a path, and measure what stands out in a sample of it.

    Parameters
    ----------
    uri
        As for :func:`~blockseg.io.find.find`.
    choices
        What the user says of it.

    Raises
    ------
    VolumeError
        If there is nothing, or nothing of a known format.
    """
    choices = choices or SourceChoices()
    source = describe(uri, choices)
    given = choices.downsample
    if source.taken is None:
        return Inspection(source, None, None, None, given=given)
    found, depth = _structures(source.taken.spec)
    if found is None or found.half_width is None or found.share > _MOST:
        return Inspection(source, found, depth, None, given=given)
    weights = advised_weights(found)
    wide = found.half_width
    if weights != DEFAULT.name and found.half_width_high is not None:
        wide = found.half_width_high  # what thin ends have is not what dendrites have
    more = advised_factors(wide, source.taken.space, depth)
    z, y, x = (a * b for a, b in zip(given, more, strict=True))
    return Inspection(source, found, depth, (z, y, x), weights, given)


def advised_weights(found: Structures) -> str:
    """Return the name of the shipped weights for what stands out of a sample.

    Dendrites are wide and bright. Axons may be as bright, and cells as wide.
    """
    wide = (found.half_width_high or 0) >= _DENDRITES
    stained = found.contrast_high is None or found.contrast_high >= _STAINED
    return "dendrites" if wide and stained else DEFAULT.name


def advised_factors(
    half_width: float, space: Space, half_depth: float | None = None
) -> Zyx:
    """Return powers of two that bring thick structures to 1.5 to 3 voxels; 1 for others.

    Along z less where voxels are longer there already, so that they become cubes.

    Parameters
    ----------
    half_width
        In voxels of y and x.
    space
        Voxel size; where no unit is known, all axes have the same factor.
    half_depth
        Planes from the middle of a structure to its outside; averaging leaves at least 1.5
        of them. None where that is not known.
    """
    if half_width <= _THICK:
        return (1, 1, 1)
    factor = 2 ** math.ceil(math.log2(half_width / _WANTED))
    along = factor
    if space.unit is not None:
        z, y, x = space.voxel_size
        cubes = math.log2(factor * max(y, x) / z)
        along = min(factor, 2 ** max(0, round(cubes)))
    if half_depth is not None:
        most = math.floor(math.log2(max(half_depth / _LEAST_DEEP, 1)))
        along = min(along, 2**most)
    return (along, factor, factor)


def _structures(spec: VolumeSpec) -> tuple[Structures | None, float | None]:
    """Return what stands out of a sample, and its depth if it is thick."""
    try:
        volume = open_for_samples(spec)
        sample = sample_planes(volume)
    except VolumeError:
        return None, None  # what cannot be read is told where it is needed
    background = estimate_background(sample.patches, volume.dtype)
    if not background.voxels:
        return None, None
    found = measure_structures(
        sample.patches, background, _heights(sample, volume, background)
    )
    if (found.half_width_high or 0) < _DENDRITES:
        return found, None
    return found, half_depth(_boxes(sample, volume, background.level))


def _boxes(
    sample: PlaneSample, volume: Volume, level: float
) -> list[NDArray[np.float32]]:
    """Return what lies around the patches that have the brightest spots, 2 a plane at most."""
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


def _height(found: Structures) -> str:
    """Return how bright they are, as a part of a line."""
    if found.contrast is None:
        return "on a background of exactly 0, which has no noise"
    return (
        f"{found.contrast:.2g} noise SDs above the background (the brightest "
        f"tenth {found.contrast_high:.2g} and more)"
    )

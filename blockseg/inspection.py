"""``blockseg info``: what a volume is, what stands out in it, and on which grid to read it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.choices import SourceChoices
from blockseg.core.errors import VolumeError
from blockseg.core.specs import AUTO
from blockseg.io.chunk_memory import open_for_samples
from blockseg.io.describe import describe
from blockseg.io.sample import sample_planes
from blockseg.networks.shipped import DEFAULT
from blockseg.normalization.affine import normalize
from blockseg.normalization.background import estimate_background
from blockseg.normalization.background_field import affine_of_volume, estimate_field
from blockseg.normalization.structures import measure_structures

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
_STAINED = 25.0  # noise SDs that the brightest tenth of well stained neurons exceeds


@dataclass(frozen=True, slots=True)
class Inspection:
    """Description of a source, and of what stands out in it."""

    source: SourceInfo
    """Description of the source."""

    structures: Structures | None
    """Findings in a sample; None where there is none, or nothing varies in it."""

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
        return Inspection(source, None, None, given=given)
    found = _structures(source.taken.spec)
    if found is None or found.half_width is None or found.share > _MOST:
        return Inspection(source, found, None, given=given)
    more = advised_factors(found.half_width, source.taken.space)
    z, y, x = (a * b for a, b in zip(given, more, strict=True))
    return Inspection(source, found, (z, y, x), advised_weights(found), given)


def advised_weights(found: Structures) -> str:
    """Return the name of the shipped weights for what stands out of a sample.

    Dendrites are wide and bright. Axons may be as bright, and cells as wide.
    """
    wide = (found.half_width_high or 0) >= _DENDRITES
    stained = found.contrast_high is None or found.contrast_high >= _STAINED
    return "dendrites" if wide and stained else DEFAULT.name


def advised_factors(half_width: float, space: Space) -> Zyx:
    """Return powers of two that bring thick structures to 1.5 to 3 voxels; 1 for others.

    Along z less where voxels are longer there already, so that they become cubes.

    Parameters
    ----------
    half_width
        In voxels of y and x.
    space
        Voxel size; where no unit is known, all axes have the same factor.
    """
    if half_width <= _THICK:
        return (1, 1, 1)
    factor = 2 ** math.ceil(math.log2(half_width / _WANTED))
    along = factor
    if space.unit is not None:
        z, y, x = space.voxel_size
        cubes = math.log2(factor * max(y, x) / z)
        along = min(factor, 2 ** max(0, round(cubes)))
    return (along, factor, factor)


def _structures(spec: VolumeSpec) -> Structures | None:
    try:
        volume = open_for_samples(spec)
        sample = sample_planes(volume)
    except VolumeError:
        return None  # what cannot be read is told where it is needed
    background = estimate_background(sample.patches, volume.dtype)
    if not background.voxels:
        return None
    return measure_structures(
        sample.patches, background, _heights(sample, volume, background)
    )


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

"""Weights and factors for what stands out of a volume."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from blockseg.networks.shipped import DEFAULT
from blockseg.suitability.sampled import DENDRITES

if TYPE_CHECKING:
    from blockseg.core.geometry import Zyx
    from blockseg.core.space import Space
    from blockseg.normalization.structures import Structures
    from blockseg.suitability.sampled import Sampled

THICK = 3.5
"""Half-width, in voxels, beyond which the default weights saw little."""

MOST = 0.25
"""Share of a sample that neurites take at most."""

_WANTED = 3.0  # half-width that is aimed at; powers of two leave more than half of it
_LEAST_DEEP = 1.5  # planes that averaging along z must leave of a structure
_MOSTLY_WIDE = 2.2  # median half-width; that of axons is 1 to 2
_STAINED = 25.0  # noise SDs that the brightest tenth of well stained neurons exceeds


def advised_weights(found: Structures) -> str:
    """Return the name of the shipped weights for what stands out of a sample.

    Dendrites are wide and bright. Axons may be as bright, and cells as wide; and where most
    of it is thin, what is wide are the few dendrites and somata that axons come from.
    """
    wide = (found.half_width_high or 0) >= DENDRITES
    wide &= (found.half_width or 0) >= _MOSTLY_WIDE
    stained = found.contrast_high is None or found.contrast_high >= _STAINED
    return "dendrites" if wide and stained else DEFAULT.name


def advised(found: Sampled, space: Space) -> tuple[str, Zyx] | None:
    """Return the shipped weights that suit a volume, and factors to read it with.

    Parameters
    ----------
    found
        Findings in a sample of it.
    space
        Its voxel size.

    Returns
    -------
    tuple of str and Zyx, or None
        None where too little stands out, more than neurites do, or nothing that is long.
    """
    seen = found.structures
    if seen.half_width is None or seen.neurite_width is None or seen.share > MOST:
        return None
    weights = advised_weights(seen)
    wide = seen.half_width
    if weights != DEFAULT.name and seen.half_width_high is not None:
        wide = seen.half_width_high  # what thin ends have is not what dendrites have
    return weights, advised_factors(wide, space, found.half_depth)


def option_words(weights: str | None, downsample: Zyx | None) -> str:
    """Return options as a user types them; None leaves one of them out."""
    words = []
    if weights is not None:
        words.append(f"--weights {weights}")
    if downsample is not None:
        words.append(f"--downsample {','.join(map(str, downsample))}")
    return " ".join(words)


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
    if half_width <= THICK:
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

"""Grey scale on which a run's cubes are counted, found once, kept in ``run.json``."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from blockseg.blockwise.sources.holes import told_holes
from blockseg.blockwise.sources.readable import readable_sample
from blockseg.dhpr.grey_scale import GreyScale
from blockseg.normalization.background import estimate_background, saturation

if TYPE_CHECKING:
    from blockseg.blockwise.sources.inputs import Inputs

__all__ = ["grey_scale", "plain_scale", "scale_from"]


def grey_scale(inputs: Inputs, found: dict[str, Any]) -> GreyScale:
    """Return a scale around the run's own background level b and noise SD s.

    Parameters
    ----------
    inputs
        What is read.
    found
        How the run's normalisation was found; where it has no b and s of its own
        (``published``) they are estimated as for ``robust``.

    Raises
    ------
    VolumeError
        If too much of the sample cannot be read.
    """
    volume = inputs.source.volume
    dtype = volume.dtype
    asked = inputs.settings.normalization
    if asked.kind == "given":
        return GreyScale(asked.level, asked.sd, dtype.name, saturation((), dtype))
    if asked.kind == "published":
        sample = told_holes(volume, readable_sample(volume)).patches
        limit = saturation(sample, dtype)
        background = estimate_background(sample, dtype, limit)
        return GreyScale(background.level, background.sd, dtype.name, limit)
    return scale_from(
        {
            "level": found["level"],
            "sd": found["sd"],
            "dtype": dtype.name,
            "saturation": found["saturation"],
        }
    )


def plain_scale(scale: GreyScale) -> dict[str, Any]:
    """Return a scale as JSON values."""
    limit = scale.saturation if math.isfinite(scale.saturation) else None
    return {**asdict(scale), "saturation": limit}


def scale_from(kept: dict[str, Any]) -> GreyScale:
    """Return a scale as it was before it was written as JSON values."""
    limit = kept["saturation"]
    return GreyScale(
        level=kept["level"],
        sd=kept["sd"],
        dtype=kept["dtype"],
        saturation=math.inf if limit is None else limit,
    )

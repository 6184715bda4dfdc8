"""Grey scale on which a run's cubes are counted, found once, kept in ``run.json``."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from blockseg.blockwise.sources.holes import holes_in_sample
from blockseg.blockwise.sources.readable import readable_sample
from blockseg.dhpr.grey_scale import GreyScale
from blockseg.normalization.background import estimate_background, saturation

if TYPE_CHECKING:
    from blockseg.blockwise.record.record import RunRecord
    from blockseg.blockwise.sources.inputs import Inputs
    from blockseg.normalization.finding import BackgroundFinding


@dataclass(frozen=True, slots=True)
class MeasuredCubes:
    """Way in which the cubes of a run are counted."""

    scale: GreyScale
    """Meaning of their codes."""

    predicted: bool
    """Whether foreground comes from a network."""

    unreadable: int = 0
    """Samples that could not be read when the scale was found, where no decisions of the
    run tell of them."""

    def to_plain(self) -> dict[str, Any]:
        """Return it as JSON values, as a fact of the run."""
        limit = self.scale.saturation
        kept = {"saturation": limit if math.isfinite(limit) else None}
        unreadable = {"unreadable": self.unreadable} if self.unreadable else {}
        scale = asdict(self.scale) | kept
        return {"cells": {"scale": scale, "predicted": self.predicted, **unreadable}}


def grey_scale(inputs: Inputs, found: BackgroundFinding) -> GreyScale:
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
    background, limit = found.estimate, found.saturation
    if background is None:
        sample = holes_in_sample(volume, readable_sample(volume)).patches
        limit = saturation(sample, dtype)
        background = estimate_background(sample, dtype, limit)
    return GreyScale(background.level, background.sd, dtype.name, limit)


def measured_cubes(record: RunRecord) -> MeasuredCubes | None:
    """Return how the cubes of a run are counted; None where it was begun without."""
    kept = record.facts.get("cells")
    if kept is None:
        return None
    scale, limit = kept["scale"], kept["scale"]["saturation"]
    return MeasuredCubes(
        GreyScale(
            level=scale["level"],
            sd=scale["sd"],
            dtype=scale["dtype"],
            saturation=math.inf if limit is None else limit,
        ),
        bool(kept["predicted"]),
        kept.get("unreadable", 0),
    )

"""Normalization of a run's volume, estimated once and kept in ``run.json``."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from blockseg.blockwise.sources.holes import holes_in_sample
from blockseg.blockwise.sources.readable import readable_sample
from blockseg.core.errors import SourceWarning
from blockseg.io.plausibility.values import doubtful_type
from blockseg.io.sample import sample_planes
from blockseg.normalization.affine import affine
from blockseg.normalization.background import estimate_background, saturation
from blockseg.normalization.background_field import field_of, field_squares
from blockseg.normalization.finding import BackgroundFinding, FieldSummary
from blockseg.runtime.memory import give_back_memory

if TYPE_CHECKING:
    from blockseg.blockwise.sources.inputs import Inputs
    from blockseg.core.holes import HoleRule
    from blockseg.core.specs import Affine, AffineField
    from blockseg.io.sample import PlaneSample

_SAME_LEVELS = (
    "the volume is too small for a background field, or too few samples of it show "
    "tissue: one level and one noise SD serve for all of it"
)


@dataclass(frozen=True, slots=True)
class Normalized:
    """A normalisation, and how it was found."""

    whole: Affine
    """Normalisation of the volume as a whole."""

    found: BackgroundFinding
    """Origin of it."""

    field: AffineField | None = None
    """Normalisation that varies over the volume; None if it does not."""

    note: str = ""
    """Note for the user; empty if nothing."""

    holes: HoleRule | None = None
    """Rule that recognises holes; None if there can be none."""


def normalization(inputs: Inputs) -> Normalized:
    """Estimate the normalisation that the user asked for, from a sample of the volume.

    Raises
    ------
    VolumeError
        If too much of the sample cannot be read.
    """
    asked = inputs.settings.normalization
    info = inputs.info
    volume = inputs.source.volume
    sample = readable_sample(volume) if asked.measured else sample_planes(volume)
    seen = holes_in_sample(volume, sample)
    if not asked.measured:
        given = affine(asked, None, info.gain, info.clip)
        return Normalized(given, BackgroundFinding(asked.kind), holes=seen.rule)
    _doubt_type(inputs, sample)
    limit = saturation(seen.patches, volume.dtype)
    background = seen.background or estimate_background(
        seen.patches, volume.dtype, limit
    )
    found = BackgroundFinding(asked.kind, background, limit, sample.unreadable)
    whole = affine(asked, background, info.gain, info.clip)
    note = background.doubt
    squares = None
    if asked.varies:
        squares = field_squares(seen.patches, sample.rois, volume.shape, volume.dtype)
    rule, rois = seen.rule, sample.rois
    # Gone before SciPy is loaded: of a large brain it is 75 MB.
    del sample, seen
    give_back_memory()
    field = None if squares is None else field_of(squares, rois, volume.shape)
    if field is None:
        if asked.kind == "field":
            note = "; ".join(filter(None, (_SAME_LEVELS, note)))
        return Normalized(whole, found, note=note, holes=rule)
    found = replace(found, field=FieldSummary.of(field))
    varying = field.affine(info.gain, info.clip)
    return Normalized(whole, found, varying, note, rule)


def _doubt_type(inputs: Inputs, sample: PlaneSample) -> None:
    """Warn of a doubtful type of the voxels, unless the checks of the source did."""
    spec, said = inputs.source.spec, inputs.source.doubts
    means = max(spec.downsample) > 1
    found = "" if spec.stored_as or means else doubtful_type(sample.patches)
    if found and not any(found in doubt for doubt in said):
        warnings.warn(f"{spec.uri} {found}", SourceWarning, stacklevel=3)

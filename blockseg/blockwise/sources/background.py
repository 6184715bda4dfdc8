"""Normalization of a run's volume: found out once, kept in ``run.json``."""

from __future__ import annotations

import math
import warnings
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.blockwise.sources.holes import told_holes
from blockseg.blockwise.sources.readable import readable_sample
from blockseg.core.errors import SourceWarning
from blockseg.core.geometry import to_zyx
from blockseg.core.specs import AffineField
from blockseg.io.plausibility.values import doubtful_type
from blockseg.io.sample import sample_planes
from blockseg.normalization.affine import affine
from blockseg.normalization.background import estimate_background, saturation
from blockseg.normalization.background_field import estimate_field

if TYPE_CHECKING:
    from blockseg.blockwise.sources.inputs import Inputs
    from blockseg.core.specs import Affine
    from blockseg.io.sample import PlaneSample

__all__ = ["Normalized", "field_from", "normalization"]

_SAME_LEVELS = (
    "the volume is too small for a background field, or too few samples of it show "
    "tissue: one level and one noise SD serve for all of it"
)


@dataclass(frozen=True, slots=True)
class Normalized:
    """A normalisation, and how it was found."""

    affine: Affine
    """Affine map of the volume as a whole."""

    found: dict[str, Any]
    """b, s, counts, unreadable samples; plain values."""

    field: dict[str, Any] | None = None
    """Where it varies over the volume: offset and scale at the nodes of a grid, a text
    of numbers for each row of nodes along x."""

    note: str = ""
    """Note for the user; empty if nothing."""

    holes: dict[str, Any] | None = None
    """Rule that tells holes; None where nothing can be one."""


def normalization(inputs: Inputs) -> Normalized:
    """Estimate what the user asked for from a sample of the whole volume.

    Raises
    ------
    VolumeError
        If too much of the sample cannot be read.
    """
    asked = inputs.settings.normalization
    info = inputs.info
    found: dict[str, Any] = {"kind": asked.kind}
    volume = inputs.source.volume
    sample = readable_sample(volume) if asked.measured else sample_planes(volume)
    told = told_holes(volume, sample)
    holes = None if told.rule is None else told.rule.plain()
    if not asked.measured:
        given = affine(asked, None, info.gain, info.clip)
        return Normalized(given, found, holes=holes)
    _doubt_type(inputs, sample)
    limit = saturation(told.patches, volume.dtype)
    background = estimate_background(told.patches, volume.dtype, limit)
    found |= asdict(background)
    found["saturation"] = limit if math.isfinite(limit) else None
    found["unreadable"] = [list(item) for item in sample.unreadable]
    whole = affine(asked, background, info.gain, info.clip)
    if asked.kind == "robust":
        return Normalized(whole, found, holes=holes)
    field = estimate_field(told.patches, sample.rois, volume.shape, volume.dtype)
    if field is None:
        return Normalized(whole, found, note=_SAME_LEVELS, holes=holes)
    found["field"] = {
        "squares": field.squares,
        "left_out": field.left_out,
        "level": [min(field.level), max(field.level)],
        "sd": [min(field.sd), max(field.sd)],
    }
    plain = _plain(field.affine(info.gain, info.clip))
    return Normalized(whole, found, plain, holes=holes)


def _doubt_type(inputs: Inputs, sample: PlaneSample) -> None:
    """Say what was not seen of the voxels' type before, in fewer places."""
    spec, said = inputs.source.spec, inputs.source.doubts
    found = "" if spec.stored_as else doubtful_type(sample.patches)
    if found and not any(found in doubt for doubt in said):
        warnings.warn(f"{spec.uri} {found}", SourceWarning, stacklevel=3)


def field_from(data: dict[str, Any], clip: tuple[float, float]) -> AffineField:
    """Return a field as it was before it was written as plain values."""
    (z0, y0, x0), (dz, dy, dx) = data["start"], data["step"]
    offset, scale = (
        tuple(float(number) for row in data[name] for number in row.split())
        for name in ("offset", "scale")
    )
    nodes = to_zyx(data["nodes"])
    return AffineField(nodes, (z0, y0, x0), (dz, dy, dx), offset, scale, *clip)


def _plain(field: AffineField) -> dict[str, Any]:
    return {
        "nodes": list(field.nodes),
        "start": list(field.start),
        "step": list(field.step),
        "offset": _rows(field.offset, field.nodes[2]),
        "scale": _rows(field.scale, field.nodes[2]),
    }


def _rows(values: tuple[float, ...], length: int) -> list[str]:
    """Write numbers so that reading gives the same ones to the last bit."""
    rows = np.reshape(values, (-1, length)).tolist()
    return [" ".join(repr(value) for value in row) for row in rows]

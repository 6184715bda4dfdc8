"""Holes of a source: how they are recognised, and what they leave of its sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.errors import VolumeError
from blockseg.core.geometry import Roi, floor_to
from blockseg.core.holes import HoleRule
from blockseg.io.holes.faces import straight_share
from blockseg.io.holes.flat import SQUARE, flat_voxels, maybe_flat
from blockseg.io.holes.repeats import repeated_voxels
from blockseg.normalization.background import estimate_background
from blockseg.normalization.centre import stacked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx
    from blockseg.io.protocol import Volume
    from blockseg.io.sample import PlaneSample
    from blockseg.normalization.background import Background

_MOST = 0.5  # share of the sample from which on a value is the background
_FAR = 4.0  # noise SDs from the background, where noise hardly comes
_AS_A_RULE = 0.25  # share of planes from which on repeating is no damage
_COLUMNS = 16  # places where planes are compared
_DEEP = 4  # planes of each


@dataclass(frozen=True, slots=True, eq=False)
class SampledHoles:
    """Findings on the holes of a volume from its sample."""

    rule: HoleRule | None
    """Rule by which holes are found; None where nothing can be one."""

    patches: tuple[NDArray[Any], ...]
    """Patches of the sample; values of holes are 0 there, which is never background."""

    background: Background | None = None
    """Background of these patches, if it has been estimated already."""


def holes_in_sample(volume: Volume, sample: PlaneSample) -> SampledHoles:
    """Decide from a sample what may be a hole of a volume.

    A value of more than half of the volume is its background. If more than half of the
    rest is flat, flat regions are no holes; and if planes repeat in many places, repeated
    planes are none.
    """
    patches = sample.patches
    background = estimate_background(patches, volume.dtype)
    if not background.voxels:
        return SampledHoles(None, patches, background)
    flat = _flat(patches)
    values = _values(patches, flat)
    total = sum(patch.size for patch in patches)
    usual = {
        value: count
        for value in values
        if (count := _count(patches, value)) > _MOST * total
    }
    others = sum(count for value, count in values.items() if value not in usual)
    rule = HoleRule(
        level=background.level,
        flat=others <= _MOST * (total - sum(usual.values())),
        usual=tuple(value for value in usual if np.isfinite(value)),
        usual_nan=np.inf in usual,
        repeats=not _repeats_as_a_rule(volume),
    )
    if not (rule.flat or rule.repeats):
        return SampledHoles(None, patches, background)
    holes = _hole_values(patches, flat, rule) if rule.flat else set()
    # A patch may cut off a hole's edge; but noise has none of values so far away.
    far = [v for v in holes if abs(v - background.level) > _FAR * background.sd]
    if not any(far):  # 0 alone is there already
        return SampledHoles(rule, patches, background)
    return SampledHoles(rule, tuple(_without(patch, far) for patch in patches))


def _without(patch: NDArray[Any], values: Sequence[float]) -> NDArray[Any]:
    """Return a patch with 0 for some values; itself, and no copy, where it has none."""
    found = np.isin(patch, values)
    return np.where(found, 0, patch) if found.any() else patch


def _flat(patches: Sequence[NDArray[Any]]) -> list[NDArray[np.bool_] | None]:
    """Return the flat voxels of each patch, shape (1, y, x); None where none is."""
    found: list[NDArray[np.bool_] | None] = []
    first = 0
    for planes in stacked(patches):
        alike = patches[first : first + len(planes)]
        first += len(planes)
        found += [
            flat_voxels(patch[None], HoleRule()) if some else None
            for patch, some in zip(alike, maybe_flat(planes), strict=True)
        ]
    return found


def _values(
    patches: Sequence[NDArray[Any]], flat: Sequence[NDArray[np.bool_] | None]
) -> dict[float, int]:
    """Return the values of flat regions with their voxels; all that are not finite as inf."""
    found: dict[float, int] = {}
    for patch, mask in zip(patches, flat, strict=True):
        if mask is None:
            continue
        values = np.where(np.isfinite(patch), patch, np.inf)[mask[0]]
        for value, count in zip(*np.unique(values, return_counts=True), strict=True):
            found[float(value)] = found.get(float(value), 0) + int(count)
    return found


def _count(patches: Sequence[NDArray[Any]], value: float) -> int:
    if np.isfinite(value):
        return sum(int(np.count_nonzero(patch == value)) for patch in patches)
    return sum(int(np.count_nonzero(~np.isfinite(patch))) for patch in patches)


def _hole_values(
    patches: Sequence[NDArray[Any]],
    flat: Sequence[NDArray[np.bool_] | None],
    rule: HoleRule,
) -> set[float]:
    """Return the values of flat regions with straight faces in the sample."""
    found: set[float] = set()
    for patch, mask in zip(patches, flat, strict=True):
        if mask is None:
            continue
        holes = mask & rule.holds(patch[None]) & np.isfinite(patch)
        if straight_share(holes[0]) >= _MOST:
            found.update(np.unique(patch[holes[0]]).tolist())
    return found


def _repeats_as_a_rule(volume: Volume) -> bool:
    """Say whether planes repeat in many places: a stretched volume, not a damaged one."""
    compared = repeated = 0
    for roi in _columns(volume.shape):
        try:
            found = repeated_voxels(volume.read(roi), roi.start)
        except VolumeError:
            continue  # reported where it is needed
        compared += roi.shape[0] - 1
        if found is not None:
            repeated += int(np.count_nonzero(found.any(axis=(1, 2))))
    return repeated > _AS_A_RULE * compared


def _columns(shape: Zyx) -> Iterator[Roi]:
    """Yield boxes of a few planes in the middle of the volume, evenly spaced along z."""
    depth, height, width = shape
    y, x = (max(0, floor_to(n // 2, SQUARE) - SQUARE) for n in (height, width))
    deep = min(_DEEP, depth)
    for k in range(_COLUMNS):
        z = min((2 * k + 1) * depth // (2 * _COLUMNS), depth - deep)
        box = Roi((z, y, x), (z + deep, y + 2 * SQUARE, x + 2 * SQUARE))
        yield box.intersection(Roi.whole(shape))

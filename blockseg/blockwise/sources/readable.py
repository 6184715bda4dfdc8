"""A sample of a volume from which background level and noise can be estimated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.errors import VolumeError
from blockseg.io.sample import sample_planes
from blockseg.normalization.background import estimate_background, saturation

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from blockseg.io.protocol import Volume
    from blockseg.io.sample import PlaneSample

_MOST = 0.25
"""Share of the sample that may be unreadable, however alike the rest is."""

_MOVES = 0.005
"""Distance of level and noise from those of the whole sample, in noise SDs, at most."""

_LISTED = 3


def readable_sample(volume: Volume) -> PlaneSample:
    """Read the sample that a run estimates level and noise from.

    A few patches that cannot be read are passed over, if they would hardly change what is
    estimated even if they were the darkest, brightest, quietest or loudest of all.

    Raises
    ------
    VolumeError
        If what cannot be read is too much; names the files.
    """
    sample = sample_planes(volume)
    if sample.unreadable and (problem := unreadable_problem(sample, volume.dtype)):
        raise VolumeError(problem)
    return sample


def unreadable_problem(sample: PlaneSample, dtype: DTypeLike) -> str:
    """Return why a sample with unreadable patches will not do; empty if it will."""
    missing = len(sample.unreadable)
    every = missing + len(sample.patches)
    why = ""
    if missing > _MOST * every:
        why = "too many to estimate level and noise of its background without them"
    elif moved := _moved(sample, missing, dtype):
        why = f"which could change the estimate of its background by {moved:.2g} noise SDs"
    if not why:
        return ""
    return (
        f"{missing} of {every} samples of the volume cannot be read, {why}: "
        f"{sample.unreadable[0][1]}{_others(sample)}; or give level and noise with "
        "--normalization b,s"
    )


def _others(sample: PlaneSample) -> str:
    """Return which files are damaged beside the first."""
    files = sample.damaged[1:]
    if not files:
        return ""
    more = f" and {len(files) - _LISTED} more" if len(files) > _LISTED else ""
    return f"; likewise {', '.join(files[:_LISTED])}{more}"


def _moved(sample: PlaneSample, missing: int, dtype: DTypeLike) -> float:
    """Return how much the missing patches could change; 0 if next to nothing.

    They are taken to be like others of the volume, the most extreme ones.
    """
    patches = [patch for patch in sample.patches if patch.size]
    limit = saturation(patches, dtype)
    found = estimate_background(patches, dtype, limit)
    if not found.voxels:
        return 0.0
    orders = (
        np.argsort([float(measure(patch)) for patch in patches], kind="stable")
        for measure in (np.median, np.std)
    )
    groups = [
        part for order in orders for part in (order[:missing], order[::-1][:missing])
    ]
    most = 0.0
    for group in groups:
        other = estimate_background(
            [*patches, *(patches[int(k)] for k in group)], dtype, limit
        )
        most = max(most, abs(other.level - found.level), abs(other.sd - found.sd))
    return most / found.sd if most > _MOVES * found.sd else 0.0

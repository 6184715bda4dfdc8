"""Background of a volume as a run would take it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockseg.core.errors import VolumeError
from blockseg.io.sample import sample_planes
from blockseg.normalization.background import Background, estimate_background

if TYPE_CHECKING:
    from blockseg.io.protocol import Volume


def background_of(volume: Volume, where: str) -> Background:
    """Estimate level and SD of a volume's background, as a run does before it starts.

    Parameters
    ----------
    volume
        What to look at.
    where
        How to call it in messages.

    Raises
    ------
    VolumeError
        If a sampled region cannot be read, or holds nothing but one value.
    """
    sample = sample_planes(volume)
    if sample.unreadable:
        roi, reason = sample.unreadable[0]
        message = f"{where} cannot be read at {roi}: {reason}"
        raise VolumeError(message)
    background = estimate_background(sample.patches, volume.dtype)
    if not background.voxels:
        message = (
            f"{where} holds no tissue: {background.zero} sampled voxels are 0, "
            f"{background.constant} in constant regions, {background.saturated} saturated, "
            f"{background.nonfinite} NaN or infinite; leave it out"
        )
        raise VolumeError(message)
    return background

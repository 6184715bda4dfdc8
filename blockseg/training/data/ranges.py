"""Ranges of images that a training learns from, for the header of its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockseg.suitability.covered import SYNTHETIC, covered, together
from blockseg.suitability.sampled import sample_of_volume

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blockseg.networks.trained import Trained
    from blockseg.training.data.sources import DataSource

_MEASURED = (
    32  # volumes of a source that are measured at most: a fifth of a second each
)


def learned_ranges(sources: Sequence[DataSource]) -> Trained | None:
    """Return the ranges that all sources of a training cover together.

    Parameters
    ----------
    sources
        What is learned from, and validated on: both are of the same kind. Those without a
        neurite teach what to leave alone, and say nothing of neurites.

    Returns
    -------
    Trained | None
        None where too little of one source is known.
    """
    teaching = [
        source
        for source in sources
        if source.synth or any(volume.foreground for volume in source.volumes)
    ]
    return together(_of(source) for source in teaching)


def _of(source: DataSource) -> Trained | None:
    if source.synth:
        return SYNTHETIC.get(source.synth)
    volumes = [volume for volume in source.volumes if volume.foreground]
    every = -(-len(volumes) // _MEASURED) or 1
    return covered(
        [
            (found, image.space)
            for image in (volume.opened.image for volume in volumes[::every])
            if (found := sample_of_volume(image)) is not None
        ]
    )

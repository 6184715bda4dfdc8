"""The image that a run segmented, opened again for a derived job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockseg.blockwise.sources.block_reading import BlockReading
from blockseg.blockwise.sources.inputs import Source
from blockseg.core.errors import VolumeError
from blockseg.core.grid import BlockGrid
from blockseg.io.open import open_volume
from blockseg.io.source_files.fingerprint import differences, fingerprint

if TYPE_CHECKING:
    from blockseg.blockwise.derived.finished import FinishedRun


def source_of(run: FinishedRun, otherwise: str) -> Source:
    """Open the source of a run, if it is still the same.

    Parameters
    ----------
    run
        The run.
    otherwise
        What a user can do where it is not, for a sentence: ``--no-image does without``.

    Raises
    ------
    VolumeError
        If it is gone, cannot be opened or has changed.
    """
    kept = run.record.source
    if kept is None:
        message = f"{run.paths.record} names no source; {otherwise}"
        raise VolumeError(message)
    try:
        volume, now = open_volume(kept.spec), fingerprint(kept.spec)
    except VolumeError as error:
        message = f"the source of the run cannot be opened ({error}); {otherwise}"
        raise VolumeError(message) from error
    changed = differences(run.record.request["source"]["fingerprint"], now, data=False)
    if changed:
        message = f"the source changed since the run: {changed[0]}; {otherwise}"
        raise VolumeError(message)
    return Source(kept.spec, volume, kept.space, now)


def source_reading(run: FinishedRun, source: Source) -> BlockReading:
    """Return how the blocks of a run read its source, in the source's coordinates."""
    grid = BlockGrid(source.volume.shape, run.grid.block_shape, roi=run.record.roi)
    return BlockReading(grid, source.spec)

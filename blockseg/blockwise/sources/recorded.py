"""Inputs of a run that is resumed by its record, without its command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockseg.blockwise.record.facts import RecordedSource
from blockseg.blockwise.sources.inputs import Inputs, Source, read_weights
from blockseg.core.errors import VolumeError
from blockseg.core.geometry import Roi
from blockseg.io.open import open_volume
from blockseg.io.source_files.fingerprint import fingerprint

if TYPE_CHECKING:
    from blockseg.blockwise.record.record import Paths, RunRecord
    from blockseg.config.settings import RunSettings


def recorded_inputs(paths: Paths, record: RunRecord, settings: RunSettings) -> Inputs:
    """Open what a run reads, found where its record says.

    Whether it is still the same is told as for any run that goes on.

    Parameters
    ----------
    paths
        Of the run.
    record
        Of the run.
    settings
        That it was begun with.

    Raises
    ------
    VolumeError
        If the source or the mask is gone or cannot be opened.
    WeightsError
        If the weights are gone or cannot be used.
    """
    source = recorded_source(paths, record, "source")
    mask = recorded_source(paths, record, "mask")
    if source is None:
        message = f"{paths.record} names no source: nothing can be read again"
        raise VolumeError(message)
    return Inputs(
        source=source,
        out=paths.out,
        roi=settings.roi or Roi.whole(source.volume.shape),
        weights=read_weights(settings) if record.request["weights"] else None,
        mask=mask,
        settings=settings,
    )


def recorded_source(paths: Paths, record: RunRecord, name: str) -> Source | None:
    """Open the source or the mask of a run; None if it has none.

    Parameters
    ----------
    paths, record
        Of the run.
    name
        ``source`` or ``mask``.

    Raises
    ------
    VolumeError
        If it is gone or cannot be opened.
    """
    kept = RecordedSource.of({**record.request, "source": record.request[name]}, {})
    if kept is None:
        return None
    try:
        volume, now = open_volume(kept.spec), fingerprint(kept.spec)
    except VolumeError as error:
        message = f"the {name} of OUT {paths.out} cannot be opened: {error}"
        raise VolumeError(message, error.file) from error
    return Source(kept.spec, volume, kept.space, now)

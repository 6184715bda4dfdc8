"""Images ``OUT/blocks/``: one a metric, one voxel a cube, to lay over the brain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.errors import VolumeError
from blockseg.core.geometry import Roi, to_zyx
from blockseg.core.space import Space
from blockseg.dhpr.cubes import CUBE, joined
from blockseg.dhpr.metrics import DHPR_METRICS, dhpr_metrics
from blockseg.io.output.metric_images import predicted_metric_files, write_metric_images
from blockseg.io.output.write_errors import closed_midway
from blockseg.measurement.cube_source import CubeSource
from blockseg.measurement.grey_scale import measured_cubes
from blockseg.normalization.interpolation import sampled
from blockseg.runtime.ledger.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from blockseg.blockwise.job import Job
    from blockseg.blockwise.record.record import Paths
    from blockseg.config.settings import RunSettings
    from blockseg.core.geometry import Zyx
    from blockseg.core.specs import AffineField
    from blockseg.dhpr.cubes import CubeTable

_FOLDER = "blocks"


BACKGROUND_IMAGES = {
    "background_level": "b of the run's background field, in grey levels",
    "background_sd": "s of the run's background field, in grey levels",
}
"""Names of the images of what the run took for background, for people."""


def write_cube_images(
    job: Job,
    settings: RunSettings,
    space: Space,
    field: AffineField | None = None,
    gain: float = 1.0,
) -> None:
    """Write what the ledger knows of a job's cubes by now; nothing if that is nothing.

    Parameters
    ----------
    job
        A run, or a job of metrics alone.
    settings
        Format, codec and flavour.
    space
        Of the source.
    field
        Background field that the run saw its source by, drawn at the cubes' centres.
    gain
        Value that it makes of one SD of the background.

    Raises
    ------
    BlocksegError
        If the ledger cannot be read or the images not written.
    """
    try:
        write_cubes(
            job.paths,
            job.main.grid.region,
            settings,
            space,
            field,
            gain,
            checked=job.record.checked,
        )
    except VolumeError as error:  # the blocks have been written just now
        raise closed_midway(error) from error


def write_cubes(
    paths: Paths,
    region: Roi,
    settings: RunSettings,
    space: Space,
    field: AffineField | None = None,
    gain: float = 1.0,
    *,
    checked: bool,
) -> None:
    """Write what the ledger of an output knows of its cubes.

    Parameters
    ----------
    paths
        Of the output.
    region
        Of the source, that its blocks cover.
    settings, space, field, gain
        As of :func:`write_cube_images`.
    checked
        Whether chunks carry a checksum.

    Raises
    ------
    BlocksegError
        If the ledger cannot be read or the images not written.
    """
    source = CubeSource.of(paths)
    if source is None:
        return
    cubes = _cubes(region)
    names = [name for name in DHPR_METRICS if source.predicted or name != "entropy"]
    images = {name: np.full(cubes.shape, np.nan, np.float32) for name in names}
    measured = 0
    for table in _whole_cubes(source, region):
        measured += len(table)
        at = tuple((table.index - np.array(cubes.start)).T)
        values = dhpr_metrics(table, settings.dhpr)
        for name, image in images.items():
            image[at] = values[name]
    if not measured:
        return
    if field is not None:
        images |= _background_images(field, gain, cubes)
    files = write_metric_images(
        paths.out / _FOLDER,
        images,
        _space(space, cubes.start),
        zarr_format=settings.zarr_format,
        codec=settings.codec,
        beside=paths.folder,
        checked=checked,
    )
    with Ledger.open(source.ledger, source.fingerprint) as ledger:
        ledger.written.put(_FOLDER, files)


def _background_images(
    field: AffineField, gain: float, cubes: Roi
) -> dict[str, NDArray[np.float32]]:
    centres = (
        (np.arange(a, b) + 0.5) * CUBE - 0.5
        for a, b in zip(cubes.start, cubes.stop, strict=True)
    )
    level, scale = sampled(field, *centres)
    values = (level, scale * gain)
    return {
        name: image.astype(np.float32)
        for name, image in zip(BACKGROUND_IMAGES, values, strict=True)
    }


def predicted_cube_files(job: Job, settings: RunSettings) -> int:
    """Return how many files the images of a job have at most."""
    if measured_cubes(job.record) is None:
        return 0
    return predicted_metric_files(
        _cubes(job.main.grid.region).shape,
        len(DHPR_METRICS) + len(BACKGROUND_IMAGES),
        settings.zarr_format,
        settings.codec,
    )


def _cubes(region: Roi) -> Roi:
    """Return the indices of the cubes that a region has voxels of."""
    around = region.aligned(CUBE)
    return Roi(
        to_zyx(n // CUBE for n in around.start), to_zyx(n // CUBE for n in around.stop)
    )


def _whole_cubes(source: CubeSource, region: Roi) -> Iterator[CubeTable]:
    """Yield cubes, each once; parts of one that blocks cut wait for the others.

    Blocks come in order, so no more wait than one layer of blocks has.
    """
    waiting: list[CubeTable] = []
    for table in source.tables():
        known = joined([*waiting, table])
        corner = known.index * CUBE
        first = np.maximum(corner, region.start)
        last = np.minimum(corner + CUBE, region.stop)
        whole = known.sum("extent") == np.prod(last - first, axis=1)
        yield known.select(whole)
        waiting = [known.select(~whole)]
    yield from waiting


def _space(space: Space, first: Zyx) -> Space:
    """Return the space of an image whose voxels are cubes; centres lie at centres."""
    z, y, x = (
        t + s * (CUBE * i + (CUBE - 1) / 2)
        for t, s, i in zip(space.translation, space.voxel_size, first, strict=True)
    )
    dz, dy, dx = (CUBE * s for s in space.voxel_size)
    return Space((dz, dy, dx), space.unit, (z, y, x))

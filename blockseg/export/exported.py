"""The image that an export averages: of an output of blockseg, or of a source."""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from blockseg.blockwise.derived.finished import derived_from
from blockseg.blockwise.derived.image import RunImage
from blockseg.blockwise.outputs import place as place_of
from blockseg.blockwise.record.record import RunRecord
from blockseg.blockwise.sources.inputs import check_roi, open_source
from blockseg.blockwise.store_state import paths_of
from blockseg.core.errors import ConfigError, VolumeError
from blockseg.core.geometry import Roi, to_zyx
from blockseg.core.grid import BlockGrid
from blockseg.core.space import Space
from blockseg.export.averaging import MeanGrid
from blockseg.io.coarse_levels import coarse_levels
from blockseg.io.open import open_volume
from blockseg.io.source_files.fingerprint import fingerprint
from blockseg.io.stores.address import addressed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blockseg.config.export_settings import ExportSettings
    from blockseg.config.settings import RunSettings
    from blockseg.core.geometry import Zyx
    from blockseg.core.space import Vector
    from blockseg.core.specs import VolumeSpec
    from blockseg.io.output.pyramid import OutputDtype
    from blockseg.io.protocol import Volume

_WITHIN = {
    "probability": "",
    "mask": "labels/foreground",
    "clean": "labels/foreground_clean",
    "density": "density",
}
_FINER = 2  # how many voxels an edge of the file should have, at least


@dataclass(frozen=True, slots=True)
class Exported:
    """An image, and the grid of large voxels that it is averaged over."""

    image: RunImage
    """Volume that is read."""

    grid: MeanGrid
    """Large voxels, in voxels of that volume."""

    space: Space
    """Voxel size and place of the large voxels, in µm."""

    dtype: OutputDtype
    """Type of the means: that of the image; of shares and densities float32."""

    name: str
    """Name of what it shows."""

    content: str
    """Digest that tells whether it is still the same."""

    notes: tuple[str, ...] = ()
    """Notes for the user, a line each."""


@contextmanager
def exported(
    place: str, asked: ExportSettings, settings: RunSettings
) -> Iterator[Exported]:
    """Open the image that a user names, and hold the output that it belongs to.

    Parameters
    ----------
    place
        Output of ``blockseg run``, or any volume.
    asked
        Which image, and how large its voxels are to be.
    settings
        Choices of a source.

    Raises
    ------
    BlocksegError
        With one line, if there is none, or its voxel size is not known.
    """
    place = addressed(place, settings.stores)
    if not _is_output(place):
        if asked.what != "image":
            message = (
                f"--what {asked.what}: {place} is no output of blockseg run, and "
                "only these have one; leave --what out to export the volume itself"
            )
            raise ConfigError(message)
        yield _of_source(place, asked, settings)
        return
    if asked.source_voxel_size is not None or settings.roi is not None:
        option = "--roi" if settings.roi is not None else "--source-voxel-size"
        message = (
            f"{option} is an option for a SOURCE; the output {place} keeps its own region "
            "and voxel size; leave it out"
        )
        raise ConfigError(message)
    if asked.what == "image":
        yield _of_run(place, asked)
        return
    with derived_from(place, "export", allow_partial=asked.allow_partial) as run:
        within = _WITHIN[asked.what]
        if within and not (run.out / within).is_dir():
            command = {"clean": "label", "density": "density"}.get(asked.what, "run")
            message = (
                f"OUT {run.out} has no {within}; make it with: blockseg {command} "
                f"{run.out}"
            )
            raise VolumeError(message)
        image = run.image(within)
        volume = image.open()
        shares = asked.what != "probability"
        found = _averaged(
            image,
            Roi.whole(volume.shape),
            volume.space,
            asked,
            "float32" if shares else "uint8",
            f"{asked.what} of {run.out.name}",
        )
        yield replace(found, content=f"{run.content} {found.content}", notes=run.notes)


def _is_output(place: str) -> bool:
    paths = paths_of(place)
    if not paths.folder.is_dir():
        return False
    record = RunRecord.of(paths)
    return record is not None and record.phases[0].name == "segment"


def _of_source(place: str, asked: ExportSettings, settings: RunSettings) -> Exported:
    opened = open_source(place, replace(settings, voxel_size=asked.source_voxel_size))
    roi = settings.roi or Roi.whole(opened.volume.shape)
    check_roi(roi, opened.volume.shape)
    return _of_image(opened.spec, opened.volume, roi, opened.space, asked, place)


def _of_run(place: str, asked: ExportSettings) -> Exported:
    record = RunRecord.of(paths_of(place))
    source = None if record is None else record.source
    if source is None:
        message = (
            f"{place} does not say which source it was made from; name that instead"
        )
        raise VolumeError(message)
    volume = open_volume(source.spec)
    roi = source.roi or Roi.whole(volume.shape)
    check_roi(roi, volume.shape)
    return _of_image(source.spec, volume, roi, source.space, asked, place)


def _of_image(
    spec: VolumeSpec,
    volume: Volume,
    roi: Roi,
    space: Space,
    asked: ExportSettings,
    place: str,
) -> Exported:
    """Return an image, read from its coarsest level that is still fine enough."""
    image = RunImage(spec, BlockGrid(volume.shape, volume.shape))
    name = f"image of {place_of(place).name}"
    found = _averaged(image, roi, space, asked, _dtype(volume), name)
    if asked.finest or max(spec.downsample) > 1 or spec.stored_as:
        return found
    best = found
    for level in coarse_levels(spec):
        size = [s / f for s, f in zip(found.grid.size, level.factors, strict=True)]
        if min(size) < _FINER:
            continue
        grid = MeanGrid(
            _divided(found.grid.start, level.factors),
            _divided(found.grid.stop, level.factors),
            _divided(found.grid.size, level.factors),
        )
        coarse = RunImage(level.spec, image.grid)
        best = replace(found, image=coarse, grid=grid, content=_content(level.spec))
    return best


def _averaged(
    image: RunImage,
    roi: Roi,
    space: Space,
    asked: ExportSettings,
    dtype: OutputDtype,
    name: str,
) -> Exported:
    if space.unit is None or space.problem:
        why = space.problem or "it states no voxel size in a unit of length"
        message = (
            f"{image.spec.uri}: {why}; give --source-voxel-size Z,Y,X in µm, or to a "
            "run of it --voxel-size with blockseg label"
        )
        raise ConfigError(message)
    z, y, x = (
        wanted / own
        for wanted, own in zip(asked.voxel_size, space.voxel_size, strict=True)
    )
    grid = MeanGrid(_floats(roi.start), _floats(roi.stop), (z, y, x))
    corner = space.cropped(roi.start)
    tz, ty, tx = (
        t - own / 2 + wanted / 2
        for t, own, wanted in zip(
            corner.translation, space.voxel_size, asked.voxel_size, strict=True
        )
    )
    return Exported(
        image,
        grid,
        Space(asked.voxel_size, "micrometer", (tz, ty, tx)),
        dtype,
        name,
        _content(image.spec),
    )


def _dtype(volume: Volume) -> OutputDtype:
    name: Literal["uint8", "uint16", "int16", "float32"]
    for name in ("uint8", "uint16", "int16"):
        if volume.dtype.name == name:
            return name
    return "float32"


def _content(spec: VolumeSpec) -> str:
    text = json.dumps(fingerprint(spec), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _divided(values: Vector, factors: Zyx) -> Vector:
    z, y, x = (value / f for value, f in zip(values, factors, strict=True))
    return (z, y, x)


def _floats(values: Zyx) -> Vector:
    z, y, x = to_zyx(values)
    return (float(z), float(y), float(x))

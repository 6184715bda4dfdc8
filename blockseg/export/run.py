"""Export of an image to one file, block by block, resumable."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from blockseg.blockwise.events import OnJobEvent, ignore
from blockseg.blockwise.outputs import absolute, writable
from blockseg.blockwise.planning.light_tasks import layout_for
from blockseg.blockwise.record.request import Request
from blockseg.blockwise.run import open_job, run
from blockseg.blockwise.task import OpenTask, Stored, report_of
from blockseg.config.export_settings import ExportSettings
from blockseg.config.settings import RunSettings
from blockseg.core.errors import ConfigError, VolumeError
from blockseg.core.geometry import Roi, to_zyx
from blockseg.core.grid import BlockGrid
from blockseg.core.version import __version__
from blockseg.export.averaging import means
from blockseg.export.exported import exported
from blockseg.io.chunk_memory import bytes_to_decode
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.io.output.one_file import check_one_file, write_one_file
from blockseg.io.output.pyramid import PyramidSpec
from blockseg.io.output.writer import PyramidWriter
from blockseg.runtime.memory import Need

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from blockseg.blockwise.job import JobResult
    from blockseg.core.blocks import BlockReport, Meter
    from blockseg.core.geometry import Zyx
    from blockseg.core.grid import Block
    from blockseg.core.space import Space
    from blockseg.export.exported import Exported
    from blockseg.io.protocol import Volume

_EDGE = 32  # voxels of the file in a block
_BYTES_AT_ONCE = 2**26 * 12  # voxels that are averaged at a time, as floats and raw


@dataclass(frozen=True, slots=True)
class Averaging:
    """Averages blocks of large voxels."""

    name: ClassVar[str] = "export"

    exported: Exported
    """The image and the large voxels."""

    grid: BlockGrid
    """Blocks of large voxels."""

    image: PyramidSpec
    """Image that is written."""

    def open(self, cache_bytes: int) -> _OpenAveraging:
        """Open both."""
        volume = self.exported.image.open(cache_bytes)
        return _OpenAveraging(self.exported, volume, PyramidWriter(self.image))

    def stores(self) -> tuple[Stored, ...]:
        """Return the image."""
        return (Stored(self.image),)

    def reads(self) -> None:
        """Nothing is watched: the request knows the source by its fingerprint."""


@dataclass(frozen=True, slots=True)
class _OpenAveraging(OpenTask):
    exported: Exported
    volume: Volume
    writer: PyramidWriter

    def __call__(self, block: Block, meter: Meter) -> BlockReport:
        with meter("average"):
            found = means(self.volume, self.exported.grid, block.write_roi)
            dtype = np.dtype(self.exported.dtype)
            if dtype.kind in "iu":
                found = np.rint(found)
            data = found.astype(dtype)
        with meter("write"):
            written = self.writer.write_block(block.write_roi, data)
        return report_of(block, written, foreground=written.nonzero)


@dataclass(frozen=True, slots=True)
class ExportResult:
    """Outcome of an export."""

    job: JobResult
    """Outcome of the averaging."""

    file: Path
    """The file, which is there if the averaging is complete."""

    shape: Zyx
    """Voxels of it."""

    space: Space
    """Voxel size, and centre of the first voxel, in µm."""

    read: str
    """Volume that was averaged."""

    notes: tuple[str, ...] = ()
    """Notes for the user, a line each."""


def export(
    place: str,
    asked: ExportSettings | None = None,
    settings: RunSettings | None = None,
    *,
    overwrite: bool = False,
    on_event: OnJobEvent = ignore,
    command: str = "",
) -> ExportResult:
    """Write an image as one TIFF or NIfTI file with large voxels.

    The means of blocks are kept beside the file until all are there, in
    ``FILE.unfinished.zarr``: what was stopped goes on from there.

    Parameters
    ----------
    place
        Output of ``blockseg run``, or any volume that it takes.
    asked
        File, voxel size, which image.
    settings
        Of these, those that choose the source and the region, and the executor count.
    overwrite
        Replace the file if it is there.
    on_event
        Told what happens.
    command
        What the user typed, for the record.

    Raises
    ------
    BlocksegError
        With one line, before anything is written, if the input is bad.
    """
    asked, settings = asked or ExportSettings(), settings or RunSettings()
    if not asked.output:
        message = "-o FILE is needed: a name in .tif, .tiff, .nii or .nii.gz"
        raise ConfigError(message)
    file = absolute(asked.output)
    writable(file.parent, "the folder of FILE")
    kept = file.with_name(f"{file.name}.unfinished.zarr")
    with exported(place, asked, settings) as found:
        shape = found.grid.shape
        check_one_file(file, shape, found.dtype)
        if file.is_dir():
            message = f"FILE {file} is a folder; name a file"
            raise VolumeError(message)
        if file.exists() and not kept.exists() and not overwrite:
            message = f"FILE {file} already exists; name another, or --overwrite"
            raise VolumeError(message)
        result = _average(
            found,
            kept,
            settings,
            overwrite=overwrite,
            on_event=on_event,
            command=command,
        )
        if result.complete:
            _assemble(kept, file, found)
            shutil.rmtree(kept, ignore_errors=True)
    spec = found.image.spec
    return ExportResult(
        result, file, shape, found.space, f"{spec.uri} {spec.path}".strip(), found.notes
    )


def _average(
    found: Exported,
    kept: Path,
    settings: RunSettings,
    *,
    overwrite: bool,
    on_event: OnJobEvent,
    command: str,
) -> JobResult:
    request = Request(
        {
            "export": found.name,
            "content": found.content,
            "voxel-size": list(found.space.voxel_size),
            "origin": list(found.space.translation),
            "level": found.image.spec.level,
        }
    )
    begun = open_job(
        kept, request, settings, overwrite=overwrite, on_event=on_event, command=command
    )
    shape = found.grid.shape
    block = to_zyx(min(_EDGE, n) for n in shape)
    grid = BlockGrid(shape, block)
    image = PyramidSpec(
        uri=str(kept),
        shape=shape,
        block=block,
        dtype=found.dtype,
        space=found.space,
        reduce="mean",
        name=found.name,
        checked=begun.checked,
    )
    volume = found.image.open()
    need = Need(_BYTES_AT_ONCE, 0, bytes_to_decode(volume))
    job = begun.job(Averaging(found, grid, image), layout_for(settings, need))
    return run(job, on_event, engine=f"averaging to {_um(found)} µm")


def _assemble(kept: Path, file: Path, found: Exported) -> None:
    """Write the file from its parts, a plane of blocks at a time."""
    volume = open_volume(find(str(kept), mask=True))

    def planes() -> Iterator[NDArray[np.generic]]:
        depth, height, width = volume.shape
        for z in range(0, depth, _EDGE):
            stop = min(z + _EDGE, depth)
            yield from volume.read(Roi((z, 0, 0), (stop, height, width)))

    write_one_file(
        file,
        planes(),
        volume.shape,
        found.dtype,
        found.space,
        f"{found.name}, blockseg {__version__}",
    )


def _um(found: Exported) -> str:
    return "×".join(f"{size:g}" for size in found.space.voxel_size)

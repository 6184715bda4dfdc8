"""``blockseg convert``: any volume to OME-Zarr with a pyramid, resumable like a run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from blockseg.blockwise.events import OnJobEvent, ignore
from blockseg.blockwise.outputs import output_of
from blockseg.blockwise.planning.light_tasks import plain_grid, reading_layout
from blockseg.blockwise.record.request import READING, Request, deciding
from blockseg.blockwise.run import open_job, run
from blockseg.blockwise.sources.block_reading import BlockReading
from blockseg.blockwise.sources.inputs import open_source
from blockseg.blockwise.task import OpenTask, Stored, report_of
from blockseg.io.output.pyramid import PyramidSpec
from blockseg.io.output.writer import PyramidWriter

if TYPE_CHECKING:
    from blockseg.blockwise.job import JobResult
    from blockseg.blockwise.sources.block_reading import OpenReading
    from blockseg.blockwise.sources.inputs import Source
    from blockseg.config.settings import RunSettings
    from blockseg.core.blocks import BlockReport, Meter
    from blockseg.core.grid import Block, BlockGrid
    from blockseg.core.specs import VolumeSpec
    from blockseg.io.stores.location import Location


@dataclass(frozen=True, slots=True)
class Copy:
    """Copies blocks of a volume into a multiscale image."""

    name: ClassVar[str] = "copy"

    source: VolumeSpec
    """Source."""

    grid: BlockGrid
    """Which blocks there are."""

    image: PyramidSpec
    """Image that is written."""

    def open(self, cache_bytes: int) -> _Copying:
        """Open both."""
        reading = self.reads().open(cache_bytes)
        return _Copying(self.grid, reading, PyramidWriter(self.image))

    def stores(self) -> tuple[Stored, ...]:
        """Return the image."""
        return (Stored(self.image),)

    def reads(self) -> BlockReading:
        """Return the source."""
        return BlockReading(self.grid, self.source)


@dataclass(frozen=True, slots=True)
class _Copying(OpenTask):
    grid: BlockGrid
    reading: OpenReading
    writer: PyramidWriter

    def __call__(self, block: Block, meter: Meter) -> BlockReport:
        with meter("read"):
            raw = self.reading.look(block.write_roi).voxels
        with meter("write"):
            roi = block.write_roi.shifted(-a for a in self.grid.region.start)
            written = self.writer.write_block(roi, raw)
        return report_of(block, written, read_bytes=raw.nbytes)


def convert(
    source: str,
    out: str,
    settings: RunSettings,
    *,
    overwrite: bool = False,
    on_event: OnJobEvent = ignore,
    command: str = "",
) -> JobResult:
    """Copy a volume to OME-Zarr, with coarse levels made by averaging.

    Parameters
    ----------
    source
        Any volume that :func:`blockseg.run` takes.
    out
        The OME-Zarr group to write.
    settings
        Of these, those that choose the source, the region, the block, the format
        of OUT and the executor count.
    overwrite
        Start over if OUT holds an earlier conversion.
    on_event
        Told what happens.
    command
        What the user typed, for the record.

    Raises
    ------
    BlocksegError
        With one line, before anything is written, if the input is bad.
    """
    opened = open_source(source, settings)
    return copy(
        opened,
        output_of(opened.spec, out, settings.stores),
        settings,
        overwrite=overwrite,
        on_event=on_event,
        command=command,
    )


def copy(
    opened: Source,
    target: Location,
    settings: RunSettings,
    *,
    overwrite: bool = False,
    on_event: OnJobEvent = ignore,
    command: str = "",
) -> JobResult:
    """Copy a volume that is open; the rest as of :func:`convert`.

    Parameters
    ----------
    opened
        The volume.
    target
        Absolute path of the group to write.
    settings, overwrite, on_event, command
        As of :func:`convert`.
    """
    volume = opened.volume
    grid = plain_grid(volume, settings)
    begun = open_job(
        target,
        Request(deciding(settings, READING), opened),
        settings,
        overwrite=overwrite,
        on_event=on_event,
        command=command,
    )
    image = PyramidSpec(
        uri=str(target),
        shape=grid.region.shape,
        block=grid.block_shape,
        dtype=volume.dtype.name,  # type: ignore[arg-type]
        space=opened.space.cropped(grid.region.start),
        zarr_format=settings.zarr_format,
        codec=settings.codec,
        reduce="mean",
        checked=begun.checked,
    )
    image.check_grid(grid)
    task = Copy(opened.spec, grid, image)
    layout = reading_layout(settings, grid, volume, copies=4)
    job = begun.job(task, *layout)
    result = run(job, on_event, engine="copying")
    return replace(result, remarks=opened.remarks)

"""``blockseg convert``: any volume to OME-Zarr with a pyramid, resumable like a run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from blockseg.blockwise.events import OnJobEvent, ignore
from blockseg.blockwise.launch import launch
from blockseg.blockwise.open_job import open_job
from blockseg.blockwise.outputs import output_of
from blockseg.blockwise.phases import Phase, Stored
from blockseg.blockwise.planning.reading import plan_reading
from blockseg.blockwise.planning.resources import budget, check_count
from blockseg.blockwise.planning.tiling import block_shape
from blockseg.blockwise.record.record import copy_request
from blockseg.blockwise.sources.inputs import open_source
from blockseg.blockwise.sources.rereading import BlockReading
from blockseg.core.blocks import BlockReport
from blockseg.core.geometry import Roi
from blockseg.core.grid import BlockGrid
from blockseg.core.reads import note_read
from blockseg.io.chunk_memory import bytes_to_decode
from blockseg.io.chunks.tensorstores import ReadLimits
from blockseg.io.decoded_cache import counting
from blockseg.io.open import open_volume
from blockseg.io.output.pyramid import PyramidSpec
from blockseg.io.output.writer import PyramidWriter
from blockseg.runtime.memory import Need, plan_layout

if TYPE_CHECKING:
    from blockseg.blockwise.job import JobResult
    from blockseg.config.settings import RunSettings
    from blockseg.core.blocks import Meter
    from blockseg.core.specs import VolumeSpec

__all__ = ["convert"]


@dataclass(frozen=True, slots=True)
class Copy:
    """Copies blocks of a volume into a pyramid; picklable."""

    source: VolumeSpec
    """Source."""

    grid: BlockGrid
    """Which blocks there are."""

    image: PyramidSpec
    """Multiscale image that is written."""

    cache_bytes: int = 0
    """Size of decoded chunks that a worker keeps."""

    def __call__(self) -> _CopyBlock:
        """Open both."""
        return _CopyBlock(self)


class _CopyBlock:
    def __init__(self, spec: Copy) -> None:
        self._grid = spec.grid
        limits = ReadLimits(cache_bytes=spec.cache_bytes)
        self._source = open_volume(spec.source, limits)
        self._writer = PyramidWriter(spec.image)

    def __call__(self, block_id: int, meter: Meter) -> BlockReport:
        block = self._grid.block(self._grid.index_of(block_id))
        with meter("read"), counting() as decoded:
            raw = self._source.read(block.write_roi)
            note_read(raw)
        with meter("write"):
            written = self._writer.write_block(
                block.write_roi.shifted(-a for a in self._grid.region.start), raw
            )
        return BlockReport(
            block_id,
            written=written.voxels,
            read_bytes=raw.nbytes,
            decoded_bytes=decoded.total,
            nonzero=written.nonzero,
            digest=written.crc32,
            files=written.stored,
        )

    def close(self) -> None:
        """Nothing is held."""


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
        Start anew where OUT holds an earlier conversion.
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
    roi = settings.roi or Roi.whole(opened.volume.shape)
    block = settings.block or block_shape(roi.shape)
    grid = BlockGrid(opened.volume.shape, block, (0, 0, 0), roi)
    check_count(grid)
    target = output_of(opened.spec, out)
    begun = open_job(
        target,
        copy_request(opened, settings),
        settings,
        overwrite=overwrite,
        sources={"source": opened},
        on_event=on_event,
    )
    image = PyramidSpec(
        uri=str(target),
        shape=roi.shape,
        block=block,
        dtype=opened.volume.dtype.name,  # type: ignore[arg-type]
        space=opened.space.cropped(roi.start),
        zarr_format=settings.zarr_format,
        codec=settings.codec,
        reduce="mean",
        checked=begun.checked,
    )
    image.check_grid(grid)
    size = grid.block((0, 0, 0)).write_roi.size * opened.volume.dtype.itemsize
    fit = plan_layout(
        budget(settings),
        Need(
            block_bytes=4 * size,
            engine_bytes=0,
            decoding_bytes=bytes_to_decode(opened.volume),
        ),
        workers=settings.workers,
    )
    reading = plan_reading(
        grid,
        opened.volume.chunk_shape,
        opened.volume.dtype.itemsize,
        fit.spare_bytes,
        fit.workers,
    )
    fit = fit.with_cache(reading.cache_bytes)
    copy = Copy(opened.spec, grid, image, reading.cache_bytes)
    job = begun.job(
        Phase("copy", grid, copy, (Stored(image),), reading.traversal, fit.workers),
        {"image": image},
        {"block": list(block)},
        reading=BlockReading(grid, opened.spec),
        command=command,
    )
    result = launch(job, settings, fit, on_event, engine="copying")
    return replace(result, remarks=opened.remarks)

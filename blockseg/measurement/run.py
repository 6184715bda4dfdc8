"""``blockseg metrics``: the cubes of a brain measured that no network has seen yet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from blockseg.blockwise.block_holes import holes_in
from blockseg.blockwise.events import OnJobEvent, ignore
from blockseg.blockwise.launch import launch
from blockseg.blockwise.open_job import open_job
from blockseg.blockwise.outputs import default_output, output_of, stem
from blockseg.blockwise.phases import Phase
from blockseg.blockwise.planning.resources import budget, check_count
from blockseg.blockwise.planning.tiling import block_shape
from blockseg.blockwise.record.record import measure_request
from blockseg.blockwise.sources.background import normalization
from blockseg.blockwise.sources.inputs import (
    Inputs,
    check_roi,
    check_settings,
    open_mask,
    open_source,
)
from blockseg.blockwise.sources.masks import blocks_in_mask
from blockseg.blockwise.sources.remarks import mask_remarks
from blockseg.blockwise.sources.rereading import BlockReading
from blockseg.blockwise.sources.restored import other_background
from blockseg.config.settings import RunSettings
from blockseg.core.blocks import BlockReport
from blockseg.core.geometry import Roi
from blockseg.core.grid import BlockGrid
from blockseg.core.holes import HoleRule
from blockseg.core.reads import note_read
from blockseg.dhpr.cube_bytes import cubes_to_bytes
from blockseg.dhpr.cube_counting import count_cubes
from blockseg.io.chunk_memory import bytes_to_decode
from blockseg.io.chunks.tensorstores import ReadLimits
from blockseg.io.holes.mended_volume import MendedVolume
from blockseg.io.masks.sampler import MaskSampler
from blockseg.io.open import open_volume
from blockseg.measurement.grey_scale import grey_scale, plain_scale, scale_from
from blockseg.measurement.images import write_cube_images
from blockseg.runtime.memory import Need, plan_layout

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from blockseg.blockwise.job import JobResult
    from blockseg.blockwise.record.record import RunRecord
    from blockseg.core.blocks import Meter
    from blockseg.core.space import Space
    from blockseg.core.specs import VolumeSpec
    from blockseg.dhpr.grey_scale import GreyScale
    from blockseg.runtime.memory import Layout

__all__ = ["metrics"]

_BYTES_HELD = 2**26  # of the cell at work, and of the libraries that measure it


@dataclass(frozen=True, slots=True)
class Measurement:
    """Measures blocks of a volume; picklable."""

    source: VolumeSpec
    """Source."""

    space: Space
    """Space of the source, with the user's voxel size."""

    grid: BlockGrid
    """Which blocks there are."""

    scale: GreyScale
    """On which grey levels are counted."""

    mask: VolumeSpec | None = None
    """Nonzero voxels count."""

    cache_bytes: int = 0
    """Size of decoded chunks that a worker keeps."""

    holes: HoleRule | None = None
    """Rule that tells voxels without data; None where nothing is a hole."""

    def __call__(self) -> _MeasureBlock:
        """Open the volumes."""
        return _MeasureBlock(self)


class _MeasureBlock:
    def __init__(self, spec: Measurement) -> None:
        self._spec = spec
        limits = ReadLimits(cache_bytes=spec.cache_bytes)
        source = open_volume(spec.source, limits)
        self._source = MendedVolume(source, spec.holes)
        self._mask = None
        if spec.mask is not None:
            mask = open_volume(spec.mask)
            self._mask = MaskSampler(mask, spec.grid.volume_shape, spec.space)

    def __call__(self, block_id: int, meter: Meter) -> BlockReport:
        roi = self._spec.grid.block(self._spec.grid.index_of(block_id)).write_roi
        with meter("read"):
            inside = None if self._mask is None else self._mask.inside(roi)
            if inside is not None:
                note_read(inside)
            seen = self._source.glance(roi)
            note_read(seen.voxels)
        with meter("metrics"):
            measured = seen.measured()
            cells = count_cubes(
                measured.voxels,
                None,
                roi,
                self._spec.scale,
                inside=inside,
                missing=measured.missing,
            )
        return BlockReport(
            block_id,
            written=roi.size,
            read_bytes=seen.voxels.nbytes,
            foreground=int(cells.sum("foreground").sum()),
            nonfinite=int(cells.sum("nonfinite").sum()),
            payload=cubes_to_bytes(cells),
            holes=holes_in(seen, roi, inside),
        )

    def close(self) -> None:
        """Nothing is held."""


def metrics(
    source: str,
    out: str | None = None,
    settings: RunSettings | None = None,
    *,
    overwrite: bool = False,
    on_event: OnJobEvent = ignore,
    command: str = "",
) -> JobResult:
    """Measure a brain without a network, or go on with what was stopped.

    Foreground is what is 4 s brighter than its surroundings, in pieces of 32 voxels or
    more; s is the noise SD that ``run`` would find. Entropy is not known.

    Parameters
    ----------
    source
        Any volume that :func:`blockseg.run` takes.
    out
        Output folder; ``NAME.metrics.zarr`` beside the source if not given.
    settings
        Of these, those that choose the source, region, mask, b and s, the block, the
        formulas, the format of OUT and the executor count.
    overwrite
        Start anew where OUT holds earlier metrics.
    on_event
        Told what happens.
    command
        What the user typed, for the record.

    Raises
    ------
    BlocksegError
        With one line, before anything is written, if the input is bad.
    """
    settings = settings or RunSettings()
    inputs = _gather(source, out, settings)
    begun = open_job(
        inputs.out,
        measure_request(inputs.source, inputs.mask, settings),
        settings,
        overwrite=overwrite,
        sources={"source": inputs.source, "mask": inputs.mask},
        on_event=on_event,
    )
    block = settings.block or block_shape(inputs.roi.shape)
    grid = BlockGrid(inputs.source.volume.shape, block, (0, 0, 0), inputs.roi)
    check_count(grid)
    fit = _layout(inputs, grid)
    cells, holes = _found(inputs, begun.earlier)
    measurement = Measurement(
        source=inputs.source.spec,
        space=inputs.source.space,
        grid=grid,
        scale=scale_from(cells["scale"]),
        mask=None if inputs.mask is None else inputs.mask.spec,
        cache_bytes=fit.cache_bytes,
        holes=HoleRule.from_plain(holes),
    )
    job = begun.job(
        Phase("metrics", grid, measurement, ()),
        {},
        {"block": list(block), "holes": holes},
        facts={"cells": cells},
        candidates=_candidates(inputs, grid),
        reading=BlockReading(
            grid,
            measurement.source,
            measurement.space,
            measurement.mask,
            outside=True,
            holes=measurement.holes,
        ),
        command=command,
    )
    result = launch(job, settings, fit, on_event, engine="metrics without a network")
    if not result.stopped:
        write_cube_images(job, settings, inputs.source.space)
    restored = other_background(
        cells["scale"],
        cells.get("unreadable", 0),
        result.replaced,
        lambda: _found(inputs, None)[0]["scale"],
    )
    remarks = (*inputs.source.remarks, *mask_remarks(inputs), *restored)
    return replace(result, remarks=remarks)


def _layout(inputs: Inputs, grid: BlockGrid) -> Layout:
    volume = inputs.source.volume
    voxels = grid.block((0, 0, 0)).write_roi.size
    fit = plan_layout(
        budget(inputs.settings),
        Need(
            block_bytes=2 * voxels * volume.dtype.itemsize,
            engine_bytes=_BYTES_HELD,
            decoding_bytes=bytes_to_decode(volume),
        ),
        workers=inputs.settings.workers,
    )
    return fit.with_cache(min(ReadLimits().cache_bytes, fit.spare_bytes))


def _gather(source: str, out: str | None, settings: RunSettings) -> Inputs:
    check_settings(settings)
    opened = open_source(source, settings)
    shape = opened.volume.shape
    roi = settings.roi or Roi.whole(shape)
    check_roi(roi, shape)
    if out is None:
        name = f"{stem(opened.spec)}.metrics.zarr"
        out = str(default_output(opened.spec).with_name(name))
    return Inputs(
        source=opened,
        out=output_of(opened.spec, out),
        roi=roi,
        weights=None,
        mask=open_mask(
            settings.mask, shape, opened.space, roi, allow_gaps=settings.allow_gaps
        ),
        settings=settings,
    )


def _found(
    inputs: Inputs, earlier: RunRecord | None
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return how cells are counted, and by what holes are told."""
    if earlier is not None:
        return earlier.facts["cells"], earlier.decisions.get("holes")
    normal = normalization(inputs)
    scale = grey_scale(inputs, normal.found)
    unreadable = len(normal.found.get("unreadable") or ())
    cells = {
        "scale": plain_scale(scale),
        "predicted": False,
        **({"unreadable": unreadable} if unreadable else {}),
    }
    return cells, normal.holes


def _candidates(inputs: Inputs, grid: BlockGrid) -> NDArray[np.int64]:
    if inputs.mask is None:
        return np.arange(len(grid), dtype=np.int64)
    wanted = blocks_in_mask(inputs.mask, inputs.source.space, grid)
    return np.flatnonzero(wanted).astype(np.int64)

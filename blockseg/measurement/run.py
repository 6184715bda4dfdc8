"""``blockseg metrics``: the cubes of a brain measured that no network has seen yet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from blockseg.blockwise.block_holes import holes_in
from blockseg.blockwise.events import OnJobEvent, ignore
from blockseg.blockwise.outputs import default_output, output_of, stem
from blockseg.blockwise.planning.light_tasks import plain_grid, reading_layout
from blockseg.blockwise.record.request import READING, Request, deciding
from blockseg.blockwise.run import open_job, run
from blockseg.blockwise.sources.background import normalization
from blockseg.blockwise.sources.block_reading import BlockReading, OpenReading
from blockseg.blockwise.sources.inputs import (
    Inputs,
    check_roi,
    open_mask,
    open_source,
)
from blockseg.blockwise.sources.masks import blocks_in_mask
from blockseg.blockwise.sources.remarks import mask_remarks
from blockseg.blockwise.sources.restored import Levels, other_background
from blockseg.blockwise.task import OpenTask
from blockseg.config.settings import RunSettings
from blockseg.core.blocks import BlockReport
from blockseg.core.geometry import Roi
from blockseg.core.holes import HoleRule
from blockseg.dhpr.block_metrics import block_metrics
from blockseg.dhpr.cube_bytes import cubes_to_bytes
from blockseg.dhpr.cube_counting import count_cubes
from blockseg.measurement.grey_scale import (
    MeasuredCubes,
    grey_scale,
    measured_cubes,
)
from blockseg.measurement.images import write_cube_images

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from blockseg.blockwise.job import JobResult
    from blockseg.blockwise.record.record import RunRecord
    from blockseg.core.blocks import Meter
    from blockseg.core.geometry import Zyx
    from blockseg.core.grid import Block, BlockGrid
    from blockseg.dhpr.grey_scale import GreyScale

_BYTES_HELD = 2**26  # of the cube at work, and of the libraries that measure it


@dataclass(frozen=True, slots=True)
class Measurement:
    """Measures the cubes of a volume's blocks."""

    name: ClassVar[str] = "metrics"

    reading: BlockReading
    """Volume and mask that are measured."""

    scale: GreyScale
    """On which grey levels are counted."""

    @property
    def grid(self) -> BlockGrid:
        """The blocks."""
        return self.reading.grid

    def open(self, cache_bytes: int) -> _Measuring:
        """Open the volumes."""
        return _Measuring(self.reading.open(cache_bytes), self.scale)

    def stores(self) -> tuple[()]:
        """No image: what is counted is kept in the ledger."""
        return ()

    def reads(self) -> BlockReading:
        """Return what is measured."""
        return self.reading


@dataclass(frozen=True, slots=True)
class _Measuring(OpenTask):
    reading: OpenReading
    scale: GreyScale

    def __call__(self, block: Block, meter: Meter) -> BlockReport:
        roi = block.write_roi
        with meter("read"):
            inside = self.reading.inside(roi)
            seen = self.reading.look(roi, closely=False)
        with meter("metrics"):
            measured = seen.measured()
            cubes = count_cubes(
                measured.voxels,
                None,
                roi,
                self.scale,
                inside=inside,
                missing=measured.missing,
            )
            shown = block_metrics(cubes)
        return BlockReport(
            block.number,
            written=roi.size,
            read_bytes=seen.voxels.nbytes,
            foreground=int(cubes.sum("foreground").sum()),
            nonfinite=int(cubes.sum("nonfinite").sum()),
            payload=cubes_to_bytes(cubes),
            shown=shown,
            holes=holes_in(seen, roi, inside),
        )


@dataclass(frozen=True, slots=True)
class MeasurementDecisions:
    """Decisions of a measurement."""

    block: Zyx
    """Voxels of a block."""

    holes: HoleRule | None
    """Rule that tells voxels without data; None where nothing is a hole."""

    def to_plain(self) -> dict[str, Any]:
        """Return them as JSON values."""
        holes = None if self.holes is None else self.holes.to_plain()
        return {"block": list(self.block), "holes": holes}


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
    inputs = _gather(source, out, settings or RunSettings())
    return measure(inputs, overwrite=overwrite, on_event=on_event, command=command)


def measure(
    inputs: Inputs,
    *,
    overwrite: bool = False,
    on_event: OnJobEvent = ignore,
    command: str = "",
) -> JobResult:
    """Measure a brain that is open; the rest as of :func:`metrics`.

    Parameters
    ----------
    inputs
        Volume, mask and settings.
    overwrite, on_event, command
        As of :func:`metrics`.
    """
    settings = inputs.settings
    begun = open_job(
        inputs.out,
        Request(
            deciding(settings, READING | {"normalization"}, measure="cells"),
            inputs.source,
            inputs.mask,
        ),
        settings,
        overwrite=overwrite,
        on_event=on_event,
        command=command,
    )
    volume = inputs.source.volume
    grid = plain_grid(volume, settings)
    measured, holes = _found(inputs, begun.earlier)
    reading = BlockReading(
        grid,
        inputs.source.spec,
        inputs.source.space,
        None if inputs.mask is None else inputs.mask.spec,
        outside=True,
        holes=holes,
    )
    job = begun.job(
        Measurement(reading, measured.scale),
        *reading_layout(settings, grid, volume, copies=2, held_bytes=_BYTES_HELD),
        decisions=MeasurementDecisions(grid.block_shape, holes),
        facts=measured,
        candidates=_candidates(inputs, grid),
        measured=True,
    )
    result = run(
        job,
        on_event,
        engine="metrics without a network",
        at_end=partial(write_cube_images, job, settings, inputs.source.space),
    )
    restored = other_background(
        _levels(measured),
        measured.unreadable,
        result.replaced,
        lambda: _levels(_found(inputs, None)[0]),
    )
    remarks = (*inputs.source.remarks, *mask_remarks(inputs), *restored)
    return replace(result, remarks=remarks)


def _gather(source: str, out: str | None, settings: RunSettings) -> Inputs:
    opened = open_source(source, settings)
    shape = opened.volume.shape
    roi = settings.roi or Roi.whole(shape)
    check_roi(roi, shape)
    if out is None:
        name = f"{stem(opened.spec)}.metrics.zarr"
        out = str(default_output(opened.spec).with_name(name))
    return Inputs(
        source=opened,
        out=output_of(opened.spec, out, settings.stores),
        roi=roi,
        weights=None,
        mask=open_mask(
            settings.mask, shape, opened.space, roi, allow_gaps=settings.allow_gaps
        ),
        settings=settings,
    )


def _found(
    inputs: Inputs, earlier: RunRecord | None
) -> tuple[MeasuredCubes, HoleRule | None]:
    """Return how cubes are counted, and by what holes are told."""
    if earlier is not None and (kept := measured_cubes(earlier)) is not None:
        return kept, HoleRule.from_plain(earlier.decisions.get("holes"))
    normal = normalization(inputs)
    scale = grey_scale(inputs, normal.found)
    return MeasuredCubes(scale, False, len(normal.found.unreadable)), normal.holes


def _levels(measured: MeasuredCubes) -> Levels:
    return Levels(measured.scale.level, measured.scale.sd)


def _candidates(inputs: Inputs, grid: BlockGrid) -> NDArray[np.int64]:
    if inputs.mask is None:
        return np.arange(len(grid), dtype=np.int64)
    inside = blocks_in_mask(inputs.mask, inputs.source.space, grid)
    return np.flatnonzero(inside).astype(np.int64)

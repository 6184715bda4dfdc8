"""``blockseg density``: µm of axon per mm³, voxel by voxel, as OME-Zarr."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from blockseg.atlas.transform import read_transform
from blockseg.atlas.volume import find_atlas
from blockseg.blockwise.derived.finished import derived_from
from blockseg.blockwise.derived.job import open_derived
from blockseg.blockwise.events import OnJobEvent, ignore
from blockseg.blockwise.planning.light_tasks import layout_for
from blockseg.blockwise.record.record import Paths
from blockseg.blockwise.run import run as run_job
from blockseg.config.regions_settings import DensitySettings
from blockseg.config.settings import RunSettings
from blockseg.core.errors import ConfigError
from blockseg.core.geometry import to_zyx
from blockseg.core.grid import BlockGrid
from blockseg.core.space import Space
from blockseg.io.output.pyramid import PyramidSpec
from blockseg.morphology.path_pieces import LENGTH_UNIT
from blockseg.regions.content import transform_content
from blockseg.regions.density_tasks import (
    DensityMap,
    GroupIndex,
    MapIndex,
    VoxelLengths,
)
from blockseg.regions.inputs import image_box, refuse_apart
from blockseg.regions.traces import find_traces
from blockseg.runtime.memory import Need

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from blockseg.atlas.volume import Box
    from blockseg.blockwise.derived.finished import FinishedRun
    from blockseg.blockwise.job import JobResult
    from blockseg.core.space import Vector
    from blockseg.io.output.provenance import Provenance
    from blockseg.regions.traces import TraceFiles

PART = "density"
"""Name of the derived job, and of its image in the output."""

_LENGTHS = "density-lengths"
_PIECES = f".blockseg/{_LENGTHS}/voxels"
_EDGE = 64
_BYTES_OF_A_GROUP = 2**27
_BYTES_OF_A_BLOCK = 2**25


@dataclass(frozen=True, slots=True)
class DensityResult:
    """Outcome of mapping density."""

    job: JobResult
    """Outcome of the pass that was last worked on."""

    image: Path
    """The map, if it is complete."""

    space: Space
    """Voxel size and place of the map, in µm."""

    length_um: float = 0.0
    """Length of the traces in the map, in µm."""

    outside_um: float = 0.0
    """Length beyond it."""

    notes: tuple[str, ...] = ()
    """Notes for the user, a line each."""


def density(
    out: str,
    asked: DensitySettings | None = None,
    settings: RunSettings | None = None,
    *,
    overwrite: bool = False,
    on_event: OnJobEvent = ignore,
    command: str = "",
) -> DensityResult:
    """Map the length of traces per volume, in µm/mm³, to ``OUT/density``.

    Two passes, each resumable: lengths by voxel, a group of traces at a time; then the
    blocks of the map.

    Parameters
    ----------
    out
        Output of ``blockseg run``.
    asked
        Voxel size, traces, transform.
    settings
        Of these, those of execution.
    overwrite
        Start over if OUT holds an earlier map.
    on_event
        Told what happens.
    command
        What the user typed, for the record.

    Raises
    ------
    BlocksegError
        With one line, before anything is written, if the input is bad.
    """
    asked, settings = asked or DensitySettings(), settings or RunSettings()
    with derived_from(out, PART, allow_partial=asked.allow_partial) as run:
        traces, box = _gather(run, asked)
        shape, space = map_of(box, asked.voxel_size)
        grid = BlockGrid(shape, to_zyx(min(_EDGE, n) for n in shape))
        made = _provenance(run, traces, box, space)
        mapping, measuring = (
            open_derived(
                run,
                paths,
                made,
                settings,
                overwrite=overwrite,
                on_event=on_event,
                command=command,
            )
            for paths in (Paths(run.out, PART, (PART,)), Paths(run.out, _LENGTHS))
        )
        # 1. Length in each voxel, a group of traces at a time.
        held = 0 if traces.transform is None else traces.transform.cache_bytes
        lengths = measuring.job(
            VoxelLengths(traces, grid, space, str(run.out), _PIECES),
            layout_for(settings, Need(_BYTES_OF_A_GROUP, held)),
        )
        result = run_job(lengths, on_event, engine="measuring traces", notes=run.notes)
        if not result.complete:
            return DensityResult(result, run.out / PART, space, notes=run.notes)
        groups = [
            (number, GroupIndex.from_bytes(data)) for number, data in lengths.payloads()
        ]
        # 2. Blocks of the map, from the files of all groups.
        index = MapIndex.of(groups)
        image = _image(run, grid, space, made, checked=mapping.checked)
        blocks = mapping.job(
            DensityMap(grid, image, index, str(run.out / _PIECES)),
            layout_for(settings, Need(_BYTES_OF_A_BLOCK, 0)),
            candidates=np.unique(index.block),
        )
        result = run_job(blocks, on_event, engine="mapping density")
        return _outcome(result, run, space, [group for _, group in groups])


def _provenance(
    run: FinishedRun, traces: TraceFiles, box: Box, space: Space
) -> Provenance:
    return run.provenance(
        unit="µm of axon per mm³",
        space="atlas" if traces.transform is not None else "source",
        voxel_size=",".join(f"{size!r}" for size in space.voxel_size),
        corner=",".join(f"{place!r}" for place in box.start),
        traces=traces.digest,
        transform=transform_content(traces.transform),
    )


def _image(
    run: FinishedRun, grid: BlockGrid, space: Space, made: Provenance, *, checked: bool
) -> PyramidSpec:
    return PyramidSpec(
        uri=str(run.out / PART),
        shape=grid.volume_shape,
        block=grid.block_shape,
        dtype="float32",
        space=space,
        zarr_format=run.record.zarr_format,
        codec=run.record.codec,
        reduce="mean",
        name="axon density",
        within=PART,
        checked=checked,
        provenance=made,
    )


def _outcome(
    result: JobResult, run: FinishedRun, space: Space, groups: Sequence[GroupIndex]
) -> DensityResult:
    inside = sum(group.inside for group in groups) * LENGTH_UNIT
    outside = sum(group.outside for group in groups) * LENGTH_UNIT
    notes = run.notes
    if outside:
        share = 100 * outside / (outside + inside)
        beyond = f"{outside / 1000:.4g} mm of traces ({share:.3g} %) lie beyond the map"
        notes = (*notes, beyond)
    return DensityResult(result, run.out / PART, space, inside, outside, notes)


def map_of(box: Box, voxel_size: Vector) -> tuple[tuple[int, int, int], Space]:
    """Return the shape and the space of a map that covers a box from its lower corner on.

    Parameters
    ----------
    box
        What is to be covered, in µm.
    voxel_size
        Of the map.
    """
    shape = to_zyx(
        max(1, int(np.ceil(n / s - 1e-6)))
        for n, s in zip(box.extent, voxel_size, strict=True)
    )
    z, y, x = (a + s / 2 for a, s in zip(box.start, voxel_size, strict=True))
    return shape, Space(voxel_size, "micrometer", (z, y, x))


def _gather(run: FinishedRun, asked: DensitySettings) -> tuple[TraceFiles, Box]:
    """Open and check the inputs; return them and the box of the map."""
    image = image_box(run)
    if asked.transform is None:
        for option, value in (
            ("--atlas", asked.atlas),
            ("--registered-corner", asked.registered_corner),
        ):
            if value is not None:
                message = f"{option} says nothing without --transform; leave it out"
                raise ConfigError(message)
        return find_traces(run, asked.traces), image
    if asked.atlas is None:
        message = (
            "--transform leads to an atlas: give --atlas LABELS too, whose box the map is "
            "to cover"
        )
        raise ConfigError(message)
    atlas = find_atlas(asked.atlas, asked.atlas_voxel_size)
    transform = read_transform(asked.transform, image, asked.registered_corner, atlas)
    refuse_apart(image, atlas, transform)
    traces = replace(find_traces(run, asked.traces), transform=transform)
    return traces, atlas.box

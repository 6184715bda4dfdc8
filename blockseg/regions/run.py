"""``blockseg regions``: axon length, density, voxels and objects of an atlas's regions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from blockseg.atlas.census import lattice_shape
from blockseg.blockwise.derived.finished import derived_from
from blockseg.blockwise.derived.job import open_derived
from blockseg.blockwise.events import OnJobEvent, ignore
from blockseg.blockwise.planning.light_tasks import layout_for
from blockseg.blockwise.record.record import Paths
from blockseg.blockwise.run import run as run_job
from blockseg.blockwise.task import Phase
from blockseg.config.settings import RunSettings
from blockseg.core.grid import BlockGrid
from blockseg.io.chunk_memory import bytes_to_decode
from blockseg.io.open import open_volume
from blockseg.regions.inputs import CLEAN, COMPONENTS, gather
from blockseg.regions.tables import write_tables
from blockseg.regions.tasks import (
    AtlasSizes,
    ImagedSizes,
    RegionLengths,
    RegionVoxels,
    atlas_grid,
)
from blockseg.runtime.memory import Need

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from blockseg.atlas.table import RegionRow
    from blockseg.blockwise.job import JobResult
    from blockseg.blockwise.task import BlockTask
    from blockseg.config.regions_settings import RegionsSettings
    from blockseg.regions.inputs import RegionInputs
    from blockseg.runtime.memory import Layout

PART = "regions"
"""Name of the derived job, and of its folder in the output."""

_BYTES_OF_A_BLOCK = 2**28
_CACHE = 2**27  # bytes of decoded chunks of atlas and labels
_CELLS = 64


@dataclass(frozen=True, slots=True)
class RegionsResult:
    """Outcome of counting regions."""

    job: JobResult
    """Outcome of the counting."""

    folder: Path
    """Where the tables lie, if it is complete."""

    rows: tuple[RegionRow, ...] = ()
    """Table of the regions; empty if it is not complete."""

    notes: tuple[str, ...] = ()
    """Notes for the user, a line each."""


def regions(
    out: str,
    asked: RegionsSettings,
    settings: RunSettings | None = None,
    *,
    overwrite: bool = False,
    on_event: OnJobEvent = ignore,
    command: str = "",
) -> RegionsResult:
    """Count axon length, density, voxels and objects in each region of an atlas.

    ``OUT/regions`` gets ``regions.csv``, ``regions.json`` with totals and units, a chart,
    and with a transform the traces in the space of the atlas.

    Parameters
    ----------
    out
        Output of ``blockseg run``.
    asked
        Atlas, names, traces, transform.
    settings
        Of these, those of execution.
    overwrite
        Start over if OUT holds an earlier table.
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
    with derived_from(out, PART, allow_partial=asked.allow_partial) as run:
        found = gather(run, asked)
        begun = open_derived(
            run,
            Paths(run.out, PART, (PART,)),
            found.provenance,
            settings,
            overwrite=overwrite,
            on_event=on_event,
            command=command,
        )
        volume = open_volume(found.atlas.source)
        held = 0 if found.transform is None else found.transform.cache_bytes
        need = Need(_BYTES_OF_A_BLOCK, held, bytes_to_decode(volume))
        layout = layout_for(settings, need).with_cache(_CACHE)
        image = found.image if found.transform is None else None
        sizes = AtlasSizes(found.atlas, atlas_grid(found.atlas), image)
        job = begun.job(sizes, layout, then=tuple(_then(found, layout)))
        result = run_job(job, on_event, engine="counting regions", notes=run.notes)
        folder = run.out / PART
        if not result.complete:
            return RegionsResult(result, folder, (), run.notes)
        rows, notes = write_tables(job, found, folder)
        return RegionsResult(result, folder, rows, (*run.notes, *notes))


def _then(found: RegionInputs, layout: Layout) -> Iterator[Phase]:
    """Yield the passes after that over the atlas, which read it too."""

    def phase(task: BlockTask, only: NDArray[np.int64] | None = None) -> Phase:
        return Phase(task, None, layout.workers, layout.cache_bytes, only)

    run, atlas, transform = found.run, found.atlas, found.transform
    if transform is not None:
        shape = lattice_shape(found.image, min(atlas.space.voxel_size))
        z, y, x = (min(n, _CELLS) for n in shape)
        cells = BlockGrid(shape, (z, y, x))
        yield phase(ImagedSizes(atlas, cells, found.image, transform))
    if found.labels:
        task = RegionVoxels(
            atlas,
            run.grid,
            run.space,
            run.image(CLEAN),
            run.image(COMPONENTS),
            transform,
        )
        # Hysteresis may add voxels to a block without any of the run's foreground.
        yield phase(task, np.flatnonzero(run.done).astype(np.int64))
    within = f"{PART}/traces" if transform is not None else ""
    yield phase(RegionLengths(atlas, found.traces, str(run.out), within))

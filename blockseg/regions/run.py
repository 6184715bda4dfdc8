"""``blockseg regions``: axon length, density, voxels and objects of an atlas's regions."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from blockseg.atlas.census import Volumes, lattice_shape
from blockseg.atlas.chart import can_draw, draw_regions
from blockseg.atlas.lengths import Lengths
from blockseg.atlas.names import read_names
from blockseg.atlas.table import region_rows, to_csv
from blockseg.atlas.transform import read_transform
from blockseg.atlas.volume import Box, find_atlas
from blockseg.blockwise.derived.finished import derived_from
from blockseg.blockwise.derived.job import fresh_image, open_derived
from blockseg.blockwise.events import OnJobEvent, ignore
from blockseg.blockwise.planning.light_tasks import layout_for
from blockseg.blockwise.record.record import Paths
from blockseg.blockwise.run import run as run_job
from blockseg.blockwise.task import Phase
from blockseg.config.settings import RunSettings
from blockseg.core.errors import ConfigError
from blockseg.core.grid import BlockGrid
from blockseg.io.chunk_memory import bytes_to_decode
from blockseg.io.open import open_volume
from blockseg.io.output.atomic_files import replace_file
from blockseg.io.output.written_files import stored_file
from blockseg.morphology.path_pieces import LENGTH_UNIT
from blockseg.regions.content import atlas_content, file_content, transform_content
from blockseg.regions.tasks import (
    AtlasSizes,
    ImagedSizes,
    RegionLengths,
    RegionVoxels,
    atlas_grid,
    joined_foreground,
)
from blockseg.regions.traces import find_traces
from blockseg.runtime.ledger.ledger import Ledger
from blockseg.runtime.memory import Need

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from blockseg.atlas.names import RegionNames
    from blockseg.atlas.table import RegionRow
    from blockseg.atlas.transform import Transform
    from blockseg.atlas.volume import AtlasSpec
    from blockseg.blockwise.derived.finished import FinishedRun
    from blockseg.blockwise.job import Job, JobResult
    from blockseg.blockwise.task import BlockTask
    from blockseg.config.regions_settings import RegionsSettings
    from blockseg.io.output.provenance import Provenance
    from blockseg.regions.traces import TraceFiles

PART = "regions"
"""Name of the derived job, and of its folder in the output."""

_CLEAN, _COMPONENTS = "labels/foreground_clean", "labels/components"
_SAMPLED = 2**25  # voxels of an atlas that are looked at before a run
_BYTES_OF_A_BLOCK = 2**28
_CELLS = 64
_ROUNDING = 1.01  # voxels by which rounding may make an atlas longer or shorter


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


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    run: FinishedRun
    image: Box
    atlas: AtlasSpec
    names: RegionNames
    traces: TraceFiles
    transform: Transform | None
    labels: bool
    provenance: Provenance


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

    ``OUT/regions`` gets ``regions.csv``, ``regions.json`` with totals and units, a chart if
    matplotlib is installed, and with a transform the traces in the space of the atlas.

    Parameters
    ----------
    out
        Output of ``blockseg run``.
    asked
        Atlas, names, traces, transform.
    settings
        Of these, those of execution.
    overwrite
        Start anew where OUT holds an earlier table.
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
        found = _gather(run, asked)
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
        need = Need(_BYTES_OF_A_BLOCK, 0, bytes_to_decode(volume))
        layout = layout_for(settings, need).with_cache(2**26)
        image = found.image if found.transform is None else None
        sizes = AtlasSizes(found.atlas, atlas_grid(found.atlas.shape), image)
        job = begun.job(sizes, layout, then=tuple(_then(found)))
        result = run_job(job, on_event, engine="counting regions", notes=run.notes)
        folder = run.out / PART
        if not result.complete:
            return RegionsResult(result, folder, (), run.notes)
        rows, notes = _write(job, found, folder)
        return RegionsResult(result, folder, rows, (*run.notes, *notes))


def _gather(run: FinishedRun, asked: RegionsSettings) -> _Asked:
    """Open and check all that is read."""
    if asked.atlas is None:
        message = "--atlas LABELS is needed: a volume of region ids"
        raise ConfigError(message)
    image = image_box(run)
    atlas = find_atlas(asked.atlas, asked.atlas_voxel_size)
    names = read_names(asked.names)
    if asked.atlas_corner is not None:
        atlas = atlas.at(asked.atlas_corner)
    elif asked.transform is None and not atlas.placed:
        atlas = _as_large(atlas, run, image)
    transform = read_transform(asked.transform, image, asked.registered_corner, atlas)
    refuse_apart(image, atlas, transform)
    _refuse_nameless(atlas, names, asked.names)
    labels = not asked.lengths_only
    made = {}
    if labels:
        command = f"blockseg label {run.out}"
        for within in (_CLEAN, _COMPONENTS):
            made[within] = fresh_image(run, within, command).to_text()
    traces = replace(find_traces(run, asked.traces), transform=transform)
    return _Asked(
        run,
        image,
        atlas,
        names,
        traces,
        transform,
        labels,
        run.provenance(
            atlas=atlas_content(atlas),
            names=file_content(asked.names),
            traces=traces.digest,
            transform=transform_content(transform),
            labels=json.dumps(made, sort_keys=True) if labels else None,
        ),
    )


def _as_large(atlas: AtlasSpec, run: FinishedRun, image: Box) -> AtlasSpec:
    """Lay an atlas that states no place over what it is as large as: OUT, or its source."""
    boxes = [image]
    source, shape = run.record.source, run.record.volume_shape
    if source is not None and shape is not None and source.unit is not None:
        boxes.append(Box.of(shape, source.space))
    for box in boxes:
        lengths = zip(atlas.box.extent, box.extent, atlas.space.voxel_size, strict=True)
        if all(abs(a - b) <= _ROUNDING * size for a, b, size in lengths):
            return atlas.at(box.start)
    message = (
        f"--atlas: a TIFF does not say where it lies, and with {_um(atlas.box)} µm (z×y×x) "
        f"it is as large neither as OUT ({_um(image)} µm) nor as its source; give "
        "--atlas-corner Z,Y,X in µm, or --transform if it has a space of its own"
    )
    raise ConfigError(message)


def _um(box: Box) -> str:
    return "×".join(f"{length:.6g}" for length in box.extent)


def image_box(run: FinishedRun) -> Box:
    """Return what a run segmented, in µm of its source.

    Raises
    ------
    ConfigError
        If its voxel size is not known.
    """
    if run.space.unit is None:
        message = (
            f"OUT {run.out} has no voxel size in µm, as its source states none; run it "
            "again with --voxel-size Z,Y,X"
        )
        raise ConfigError(message)
    return Box.of(run.grid.volume_shape, run.space)


def refuse_apart(image: Box, atlas: AtlasSpec, transform: Transform | None) -> None:
    """Refuse an atlas that does not lie where the segmented image does.

    Parameters
    ----------
    image
        Box of the segmented image, in µm of its source.
    atlas
        The atlas.
    transform
        Way there; None if both are in the same space.

    Raises
    ------
    ConfigError
        If they have nothing in common.
    """
    place = image
    if transform is not None:
        ends = [image.start, image.stop]
        corners = np.array(
            [[ends[a][0], ends[b][1], ends[c][2]]
             for a in (0, 1) for b in (0, 1) for c in (0, 1)]
        )  # fmt: skip
        there = transform.open()(corners)
        (z, y, x), (dz, dy, dx) = there.min(axis=0).tolist(), there.max(axis=0).tolist()
        place = Box((z, y, x), (dz, dy, dx))
    if not place.overlaps(atlas.box):
        way = "" if transform is None else ", by the transform,"
        message = (
            f"--atlas: OUT lies{way} at {place} µm (z, y, x) and the atlas at {atlas.box} "
            "µm: they have nothing in common; check --atlas-voxel-size"
            + (
                ", or give --transform if the atlas has a space of its own"
                if transform is None
                else " and --transform"
            )
        )
        raise ConfigError(message)


def _refuse_nameless(atlas: AtlasSpec, names: RegionNames, path: str | None) -> None:
    """Refuse a table that names no region of the atlas, as far as a sample tells."""
    if path is None:
        return
    found: set[int] = set()
    opened = atlas.open()
    grid = atlas_grid(atlas.shape)
    size = grid.block((0, 0, 0)).write_roi.size
    every = max(1, len(grid) * size // _SAMPLED)
    for number in range(len(grid) // 2 % every, len(grid), every):
        ids = np.unique(opened.read(grid.numbered(number).write_roi))
        found.update(atlas.said(one) for one in ids.tolist() if one)
        if found & names.regions.keys():
            return
    if found:
        some = ", ".join(map(str, sorted(found)[:5]))
        message = (
            f"--names {path} names no region of the atlas, which has the ids {some}"
            f"{', …' if len(found) > 5 else ''}; give the table that belongs to it"
        )
        raise ConfigError(message)


def _then(found: _Asked) -> Iterator[BlockTask | Phase]:
    run, atlas, transform = found.run, found.atlas, found.transform
    if transform is not None:
        shape = lattice_shape(found.image, min(atlas.space.voxel_size))
        z, y, x = (min(n, _CELLS) for n in shape)
        yield ImagedSizes(atlas, BlockGrid(shape, (z, y, x)), found.image, transform)
    if found.labels:
        task = RegionVoxels(
            atlas,
            run.grid,
            run.space,
            run.image(_CLEAN),
            run.image(_COMPONENTS),
            transform,
        )
        # Hysteresis may add voxels to a block without any of the run's foreground.
        yield Phase(task, only=np.flatnonzero(run.done).astype(np.int64))
    within = f"{PART}/traces" if transform is not None else ""
    yield RegionLengths(atlas, found.traces, str(run.out), within)


def _write(
    job: Job, found: _Asked, folder: Path
) -> tuple[tuple[RegionRow, ...], tuple[str, ...]]:
    """Write table, chart and totals, and enter them in the ledger."""
    fingerprint = job.record.fingerprint
    with Ledger.read(job.ledger, fingerprint) as ledger:

        def payloads(name: str) -> list[bytes]:
            return [payload for _, payload in ledger.payloads(name)]

        volumes = Volumes.sum(
            [
                Volumes.from_bytes(part)
                for name in (AtlasSizes.name, ImagedSizes.name)
                for part in payloads(name)
            ]
        )
        lengths = Lengths.sum(
            list(map(Lengths.from_bytes, payloads(RegionLengths.name)))
        )
        foreground = None
        if found.labels:
            foreground = joined_foreground(payloads(RegionVoxels.name))
    rows = region_rows(found.atlas, found.names, volumes, lengths, foreground)
    table = to_csv(
        rows,
        parents=found.names.has_parents,
        mapped=found.transform is not None,
        labels=found.labels,
    )
    folder.mkdir(exist_ok=True)
    files = ["regions.csv", "regions.json"]
    replace_file(folder / "regions.csv", table.encode())
    total = int(lengths.units.sum()) * LENGTH_UNIT
    outside = sum(row.own.length_um for row in rows if row.region == 0)
    about = {
        "made_by": "blockseg regions",
        "space": "of the atlas" if found.transform is not None else "of the source",
        "units": {
            "length_um": "µm of traced neurite",
            "density_um_per_mm3": "length_um by volume_mm3",
            "volume_mm3": "volume of the region inside the segmented image",
        },
        "length_um": round(total, 3),
        "length_outside_all_regions_um": round(outside, 3),
        "traces": len(found.traces.names),
        "provenance": found.provenance.to_plain(),
    }
    text = json.dumps(about, indent=2, ensure_ascii=False) + "\n"
    replace_file(folder / "regions.json", text.encode())
    notes = list(_notes(found, rows, total, outside))
    if can_draw():
        title = f"{found.run.out.name}: {total / 1000:.4g} mm of axon"
        draw_regions(folder / "regions.png", rows, title)
        files.append("regions.png")
    else:
        notes.append(
            "no chart was drawn: matplotlib is not installed; pip install 'blockseg[atlas]'"
        )
    with Ledger.open(job.ledger, fingerprint) as ledger:
        out = found.run.out
        ledger.written.put(
            "tables", [stored_file(out, f"{folder.name}/{name}") for name in files]
        )
    return rows, tuple(notes)


def _notes(
    found: _Asked, rows: tuple[RegionRow, ...], total: float, outside: float
) -> Iterator[str]:
    if total and outside / total > 0.01:
        yield f"{100 * outside / total:.3g} % of the length lies outside all regions"
    nameless = [
        row.region
        for row in rows
        if row.region and row.region not in found.names.regions
    ]
    if nameless and found.names.regions:
        some = ", ".join(map(str, nameless[:5])) + ", …" * (len(nameless) > 5)
        yield f"{len(nameless)} regions of the atlas have no name: {some}"
    with suppress(StopIteration):
        largest = next(iter(sorted(rows, key=lambda row: -row.own.length_um)))
        if not largest.own.length_um:
            yield "the traces have no length: each is a single node"

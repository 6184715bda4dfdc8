"""Inputs of region tables and density maps, opened and checked; nothing is written here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from blockseg.atlas.names import read_names
from blockseg.atlas.transform import read_transform
from blockseg.atlas.volume import Box, find_atlas
from blockseg.blockwise.derived.job import fresh_image, fresh_part
from blockseg.core.errors import ConfigError
from blockseg.core.text import blockseg_command
from blockseg.regions.content import atlas_content, file_content, transform_content
from blockseg.regions.somata import read_somata
from blockseg.regions.tasks import atlas_grid
from blockseg.regions.traces import find_traces

if TYPE_CHECKING:
    from blockseg.atlas.names import RegionNames
    from blockseg.atlas.transform import Transform
    from blockseg.atlas.volume import AtlasSpec
    from blockseg.blockwise.derived.finished import FinishedRun
    from blockseg.config.regions_settings import RegionsSettings
    from blockseg.io.output.provenance import Provenance
    from blockseg.regions.somata import Somata
    from blockseg.regions.traces import TraceFiles

CLEAN, COMPONENTS = "labels/foreground_clean", "labels/components"
"""Images of an output whose voxels and objects are counted."""

_LABEL = "label"
_SAMPLED = 2**25  # voxels of an atlas that are looked at before a run
_ROUNDING = 1.01  # voxels by which rounding may make an atlas longer or shorter


@dataclass(frozen=True, slots=True, eq=False)
class RegionInputs:
    """Inputs of the counting of regions, opened and checked."""

    run: FinishedRun
    """Run whose result is counted, which the caller holds."""

    image: Box
    """Box of what it segmented, in µm of its source."""

    atlas: AtlasSpec
    """The regions."""

    names: RegionNames
    """Their names."""

    traces: TraceFiles
    """The traces, with the transform to the atlas."""

    transform: Transform | None
    """Transform to the atlas; None if both are in one space."""

    somata: Somata | None
    """Table of somata; None where there is none."""

    labels: bool
    """Whether voxels and objects are counted."""

    provenance: Provenance
    """Provenance of the table."""


def gather(run: FinishedRun, asked: RegionsSettings) -> RegionInputs:
    """Open and check the inputs of the counting of regions.

    Parameters
    ----------
    run
        Run whose result is counted.
    asked
        By the user.

    Raises
    ------
    BlocksegError
        With one line, if anything is wrong.
    """
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
    made = None
    if labels:
        command = blockseg_command("label", run.out)
        made = fresh_part(run, _LABEL, command)
        for within in (CLEAN, COMPONENTS):
            fresh_image(run, within, command)
    bodies = _somata(run, asked.somata)
    traces = replace(find_traces(run, asked.traces), transform=transform)
    return RegionInputs(
        run,
        image,
        atlas,
        names,
        traces,
        transform,
        None if bodies is None else read_somata(bodies),
        labels,
        run.provenance(
            atlas=atlas_content(atlas),
            names=file_content(asked.names),
            traces=traces.digest,
            transform=transform_content(transform),
            somata=file_content(None if bodies is None else str(bodies)),
            labels=made,
        ),
    )


def _somata(run: FinishedRun, asked: str | None) -> Path | None:
    """Return the table of somata, if there is one."""
    if asked is not None:
        return Path(asked).expanduser()
    found = run.out / "tables" / "somata.csv"
    return found if found.is_file() else None


def _as_large(atlas: AtlasSpec, run: FinishedRun, image: Box) -> AtlasSpec:
    """Place an atlas without a position over OUT or its source, whichever has its size."""
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
    """Return the box that a run segmented, in µm of its source.

    Raises
    ------
    ConfigError
        If its voxel size is not known.
    """
    if run.space.unit is None:
        message = (
            f"OUT {run.out} has no voxel size in µm, as its source states none; give it "
            "with --voxel-size Z,Y,X to blockseg label or skeletonize"
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
    """Refuse a table that names no region in a sample of the atlas."""
    if path is None:
        return
    found: set[int] = set()
    opened = atlas.open()
    grid = atlas_grid(atlas)
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

"""Measured brain from which blocks are picked, opened and checked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from blockseg.blockwise.outputs import stem
from blockseg.blockwise.planning.decisions import decisions_from
from blockseg.blockwise.record.record import RunRecord
from blockseg.blockwise.store_state import paths_of
from blockseg.core.blocks import BlockState
from blockseg.core.choices import SourceChoices
from blockseg.core.errors import LedgerError
from blockseg.core.geometry import Roi
from blockseg.core.grid import BlockGrid
from blockseg.core.specs import AffineField
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.io.plausibility.checks import doubts_of
from blockseg.measurement.cube_source import CubeSource
from blockseg.runtime.ledger.ledger import STATE_CODES, Ledger

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.space import Space
    from blockseg.core.specs import VolumeSpec
    from blockseg.io.protocol import Volume
    from blockseg.io.stores.location import Location


@dataclass(frozen=True, slots=True, eq=False)
class Brain:
    """Brain measured by a run or by ``blockseg metrics``."""

    out: Location
    """The output group."""

    cubes: CubeSource
    """Counts of its cubes, with their grey scale."""

    source: Volume
    """The image."""

    space: Space
    """Voxel size and place of the image; the user's voxel size over the metadata's."""

    spec: VolumeSpec
    """Specification by which the image is found."""

    grid: BlockGrid
    """Its blocks; the region is what was measured."""

    done: NDArray[np.bool_]
    """Blocks that are done, shape ``grid.counts``."""

    missing: int
    """Blocks that are still to do."""

    probability: Volume | None
    """Prediction in 1/255, of the region; None where no network has seen the brain."""

    threshold: int
    """Least probability that is foreground, in 1/255."""

    field: AffineField | None
    """Background field of the run, as its network saw it; None if there is none."""

    gain: float
    """Gain of the network."""

    @property
    def name(self) -> str:
        """Name of the source, as a part of file names."""
        return re.sub(r"[^A-Za-z0-9_.-]+", "_", stem(self.spec)) or "brain"

    def background(self, roi: Roi) -> tuple[float, float]:
        """Return level and noise SD of the run's background at a region.

        Both in grey levels; with a background field, those of the node nearest to the
        region's centre.
        """
        field = self.field
        if field is None:
            return self.cubes.scale.level, self.cubes.scale.sd
        centre = (np.array(roi.start) + np.array(roi.stop) - 1) / 2
        place = np.rint((centre - field.start) / np.array(field.step)).astype(int)
        node = np.ravel_multi_index(tuple(place), field.nodes, mode="clip")
        return field.offset[node], field.scale[node] * self.gain


def is_measured(name: str) -> bool:
    """Return whether a path is an output of ``run`` or ``metrics`` rather than a volume."""
    paths = paths_of(name)
    record = RunRecord.of(paths) if paths.folder.is_dir() else None
    return record is not None and record.phases[0].name in (
        "segment",
        "metrics",
    )


def doubts_of_measured(name: str) -> tuple[str, ...]:
    """Return doubts about the source of an output in its present state.

    Raises
    ------
    VolumeError
        If it cannot be opened, or something is surely wrong.
    """
    record = RunRecord.of(paths_of(name))
    if record is None or record.source is None:
        return ()
    kept, spec = record.source, record.source.spec
    choices = SourceChoices(
        level=spec.level,
        downsample=spec.downsample,
        channel=spec.channel,
        timepoint=spec.timepoint,
        axes=spec.axes or None,
        stored_as=spec.stored_as or None,
        voxel_size=None if kept.unit is None else kept.voxel_size,
        allow_gaps=spec.allow_gaps,
        allow_empty=kept.allow_empty,
    )
    return doubts_of(spec, open_volume(spec), choices)


def open_brain(name: str, *, allow_partial: bool) -> Brain:
    """Open an output of ``run`` or ``metrics`` with its source.

    Parameters
    ----------
    name
        The output.
    allow_partial
        Whether blocks may be missing.

    Raises
    ------
    VolumeError
        If it is no such output, or its source cannot be opened.
    LedgerError
        If blocks are missing, were not measured, or belong to another version.
    """
    paths = paths_of(name)
    cubes = CubeSource.of(paths)
    if cubes is None:
        message = (
            f"the blocks of {paths.out} were not measured; run it without --no-metrics, "
            "or use blockseg metrics"
        )
        raise LedgerError(message)
    record = RunRecord.of(paths)
    if record is None or record.source is None:
        message = f"{paths.record} is gone; run again"
        raise LedgerError(message)
    with Ledger.read(cubes.ledger, cubes.fingerprint):
        pass  # a record that was changed is told before anything of it is believed
    source = open_volume(record.source.spec)
    region = record.source.roi or Roi.whole(source.shape)
    grid = BlockGrid(source.shape, record.block, roi=region)
    done, failed = _states(cubes, grid)
    blocks = record.phases[0].blocks
    missing = blocks - int(done.sum())
    if missing > 0 and not allow_partial:
        message = (
            f"the run of {paths.out} is not complete: {missing} of {blocks} blocks are "
            f"missing{f', {failed} of them failed' if failed else ''}; finish it, or pick "
            "from what there is with --allow-partial"
        )
        raise LedgerError(message)
    probability, threshold, affine = None, 128, None
    if cubes.predicted:
        probability = open_volume(find(str(paths.out)))
        decided = decisions_from(record.decisions)
        threshold, affine = decided.threshold, decided.affine
    return Brain(
        out=paths.out,
        cubes=cubes,
        source=source,
        space=record.source.space,
        spec=record.source.spec,
        grid=grid,
        done=done,
        missing=max(missing, 0),
        probability=probability,
        threshold=threshold,
        field=affine if isinstance(affine, AffineField) else None,
        gain=record.gain,
    )


def _states(cubes: CubeSource, grid: BlockGrid) -> tuple[NDArray[np.bool_], int]:
    with Ledger.read(cubes.ledger, cubes.fingerprint) as ledger:
        states = ledger.states(cubes.phase, len(grid))
    done = (states == STATE_CODES[BlockState.DONE]).reshape(grid.counts)
    return done, int((states == STATE_CODES[BlockState.FAILED]).sum())

"""``blockseg label``: objects of a finished run, whole across blocks."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from blockseg.blockwise.derived.finished import FinishedRun, derived_from
from blockseg.blockwise.derived.job import open_derived
from blockseg.blockwise.derived.source import source_of, source_reading
from blockseg.blockwise.events import OnJobEvent, ignore
from blockseg.blockwise.planning.light_tasks import reading_layout
from blockseg.blockwise.record.record import Paths
from blockseg.blockwise.run import run
from blockseg.blockwise.task import Phase
from blockseg.config.label_settings import LabelSettings
from blockseg.config.settings import RunSettings
from blockseg.core.errors import ConfigError
from blockseg.io.output.written_files import damaged_files, stored_below
from blockseg.labelling.assigned import open_objects
from blockseg.labelling.background import Background
from blockseg.labelling.components import Merging, is_merged
from blockseg.labelling.scratch import Scratch
from blockseg.labelling.tables import FOLDER, ObjectColumns, write_tables
from blockseg.labelling.task import Foreground, LabelPieces, MatchPieces, WriteLabels
from blockseg.morphology.tube_length import length_unit, length_weights
from blockseg.runtime.events import Message
from blockseg.runtime.ledger.ledger import Ledger

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from blockseg.blockwise.job import JobResult
    from blockseg.blockwise.run import OpenedJob
    from blockseg.blockwise.sources.inputs import Source
    from blockseg.core.traversal import TraversalOrder
    from blockseg.io.output.provenance import Provenance
    from blockseg.io.output.pyramid import OutputDtype, PyramidSpec
    from blockseg.runtime.memory import Layout

PART, PIECES = "label", "label-pieces"
COMPONENTS, CLEAN = "components", "foreground_clean"
_IMAGES: tuple[tuple[str, OutputDtype], ...] = (
    (COMPONENTS, "uint64"),
    (CLEAN, "uint8"),
)
_COPIES = 64  # bytes a voxel of a block full of foreground
_COARSE = 7  # times the bytes of a coarse shard: two threads, a slab of the level below
_TABLES, _MERGED = "tables", "merged"
_AT_ONCE = 2**20  # rows


@dataclass(frozen=True, slots=True)
class Labelled:
    """Outcome of ``blockseg label``."""

    result: JobResult
    """Blocks that were done, and those that were not."""

    objects: int = 0
    """Objects in ``labels/components``."""

    clean: int = 0
    """Those of them in ``labels/foreground_clean``."""

    length_um: float | None = None
    """Estimated length of the clean ones, in µm; None where the voxel size is unknown."""

    notes: tuple[str, ...] = ()
    """Notes for the user, a line each."""

    @property
    def complete(self) -> bool:
        """Whether everything is written."""
        return self.result.complete


def label(
    out: str,
    settings: LabelSettings | None = None,
    execution: RunSettings | None = None,
    *,
    overwrite: bool = False,
    on_event: OnJobEvent = ignore,
    command: str = "",
) -> Labelled:
    """Label the objects of a finished run, or go on with what was stopped.

    Writes ``labels/components`` with all objects, ``labels/foreground_clean`` with those
    that pass, and ``tables/objects.csv`` with what is known of each.

    Parameters
    ----------
    out
        Output of :func:`blockseg.run`.
    settings
        What is an object, and which are clean.
    execution
        Of these, those of execution count.
    overwrite
        Start anew where OUT holds earlier labels.
    on_event
        Told what happens.
    command
        What the user typed, for the record.

    Raises
    ------
    BlocksegError
        With one line, before anything is written, if OUT or a setting does not fit.
    """
    settings = settings or LabelSettings()
    execution = execution or RunSettings()
    with derived_from(out, PART, allow_partial=settings.allow_partial) as finished:
        labelling = _Labelling.of(finished, settings, execution, on_event, command)
        return labelling.run(overwrite=overwrite)


@dataclass(frozen=True, slots=True)
class _Labelling:
    finished: FinishedRun
    settings: LabelSettings
    execution: RunSettings
    on_event: OnJobEvent
    command: str
    source: Source | None
    background: Background | None
    made: Provenance

    @classmethod
    def of(
        cls,
        finished: FinishedRun,
        settings: LabelSettings,
        execution: RunSettings,
        on_event: OnJobEvent,
        command: str,
    ) -> _Labelling:
        if settings.min_length and finished.space.unit is None:
            message = (
                f"--min-length {settings.min_length:g}: the voxel size of "
                f"{finished.out} is not known; run again with --voxel-size Z,Y,X"
            )
            raise ConfigError(message)
        background = Background.of(finished) if settings.image else None
        pair = settings.hysteresis
        made = finished.provenance(
            connectivity=settings.connectivity,
            hysteresis=None if pair is None else f"{pair[0]:g},{pair[1]:g}",
            image=settings.image,
            min_length=settings.min_length,
            min_probability=settings.min_probability,
            min_size=settings.min_size,
        )
        source = None
        if background is not None:
            source = source_of(finished, "--no-image labels without contrast and SNR")
        return cls(
            finished,
            settings,
            execution,
            on_event,
            command,
            source,
            background,
            made,
        )

    def run(self, *, overwrite: bool) -> Labelled:
        """Do what is left of it."""
        labels = Paths(
            self.finished.out,
            PART,
            owns=(f"labels/{COMPONENTS}", f"labels/{CLEAN}", FOLDER),
        )
        begun = self._begin(labels, overwrite=overwrite)
        pieces = Paths(self.finished.out, PIECES)
        merged = pieces.folder / _MERGED
        if overwrite or not is_merged(merged, self.made):
            stopped = self._merge(pieces, overwrite=overwrite)
            if stopped is not None:
                return Labelled(stopped)
        components, clean = (
            self.finished.label_image(name, dtype, self.made, checked=begun.checked)
            for name, dtype in _IMAGES
        )
        foreground = self._foreground()
        job = begun.job(
            WriteLabels(foreground, str(merged), components, clean),
            *self._layout(foreground, _coarse_bytes(components)),
            candidates=self._candidates(),
        )
        result = run(job, self.on_event, engine="writing labels")
        if not result.complete:
            return Labelled(result)
        return self._tables(result, pieces, job.ledger, job.record.fingerprint)

    def _merge(self, pieces: Paths, *, overwrite: bool) -> JobResult | None:
        """Find the pieces of blocks and merge them; return what stopped that, if anything."""
        scratch = Scratch(str(pieces.folder / "pieces"))
        # Without these files there is nothing to go on with.
        lost = pieces.record.exists() and not (pieces.folder / "pieces").is_dir()
        begun = self._begin(pieces, overwrite=overwrite or lost)
        weights = length_weights(self.finished.space.voxel_size).tobytes()
        foreground = self._foreground()
        candidates = self._candidates()
        task = LabelPieces(
            foreground,
            self.finished.image(),
            scratch,
            weights,
            None if self.source is None else source_reading(self.finished, self.source),
            self.background,
        )
        match = MatchPieces(
            self.finished.grid, self.settings.connectivity, scratch, weights
        )
        layout, traversal = self._layout(foreground)
        seams = Phase(match, workers=layout.workers, only=self._behind(candidates))
        job = begun.job(task, layout, traversal, candidates=candidates, then=(seams,))
        result = run(
            job,
            self.on_event,
            engine="finding components of blocks",
            notes=self.finished.notes,
        )
        if not result.complete:
            return result
        self.on_event(Message("merging the components of blocks"))
        merging = Merging(
            self.finished.grid,
            scratch,
            pieces.folder / _MERGED,
            self._strong,
            self._passes,
        )
        with Ledger.read(job.ledger, job.record.fingerprint) as ledger:
            merging.run(ledger, self.made)
        within = merging.folder.relative_to(self.finished.out).as_posix()
        with Ledger.open(job.ledger, job.record.fingerprint) as ledger:
            ledger.written.put(_MERGED, stored_below(self.finished.out, within))
        return None

    def _tables(
        self,
        result: JobResult,
        pieces: Paths,
        ledger_path: Path,
        fingerprint: str,
    ) -> Labelled:
        """Write the tables, unless they are there, and drop what is not needed any more."""
        objects = open_objects(pieces.folder / _MERGED)
        out, notes = self.finished.out, self.finished.notes
        with Ledger.open(ledger_path, fingerprint) as ledger:
            known = list(ledger.written.of(_TABLES))
            if not known or any(damaged_files(out, known)):
                columns = self._columns
                notes += write_tables(out / FOLDER, objects, columns, self.made)
                ledger.written.put(_TABLES, stored_below(out, FOLDER))
        shutil.rmtree(pieces.folder / "pieces", ignore_errors=True)
        clean = length = 0
        for start in range(0, len(objects), _AT_ONCE):
            rows = objects[start : start + _AT_ONCE]
            rows = rows[rows["clean"] > 0]
            clean += len(rows)
            length += int(rows["length"].sum())
        unit = length_unit(self.finished.space.voxel_size)
        metric = self.finished.space.unit is not None
        return Labelled(
            result, len(objects), clean, length * unit if metric else None, notes
        )

    def _begin(self, paths: Paths, *, overwrite: bool) -> OpenedJob:
        return open_derived(
            self.finished,
            paths,
            self.made,
            self.execution,
            source=self.source,
            overwrite=overwrite,
            on_event=self.on_event,
            command=self.command,
        )

    def _foreground(self) -> Foreground:
        pair = self.settings.hysteresis
        if pair is None:
            mask = self.finished.image("labels/foreground")
            return Foreground(mask, 1, self.settings.connectivity)
        return Foreground(
            self.finished.image(), _byte(pair[0]), self.settings.connectivity
        )

    @property
    def _strong(self) -> int:
        pair = self.settings.hysteresis
        return 0 if pair is None else _byte(pair[1])

    @property
    def _columns(self) -> ObjectColumns:
        noise = None if self.background is None else self.background.sd
        return ObjectColumns(
            self.finished.grid.volume_shape, self.finished.space, noise
        )

    def _passes(self, rows: NDArray[np.void]) -> NDArray[np.bool_]:
        settings = self.settings
        long = self._columns.lengths(rows) >= settings.min_length
        least = 255 * settings.min_probability
        likely = rows["probability"] >= least * rows["voxels"]
        passes: NDArray[np.bool_] = (
            (rows["voxels"] >= settings.min_size) & long & likely
        )
        return passes

    def _candidates(self) -> NDArray[np.int64]:
        """Return the blocks that may hold something: no other is looked at."""
        known = self.finished.foreground
        if self.settings.hysteresis is not None:
            known = self.finished.nonzero
        return np.flatnonzero(known).astype(np.int64)

    def _behind(self, candidates: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return these blocks and those behind them, which look at the seams between."""
        grid = self.finished.grid
        some = np.zeros(len(grid), bool)
        some[candidates] = True
        some = some.reshape(grid.counts)
        for axis in range(3):
            after = some.copy()
            later, earlier = [slice(None)] * 3, [slice(None)] * 3
            later[axis], earlier[axis] = slice(1, None), slice(None, -1)
            after[tuple(later)] |= some[tuple(earlier)]
            some = after
        return np.flatnonzero(some).astype(np.int64)

    def _layout(
        self, foreground: Foreground, held_bytes: int = 0
    ) -> tuple[Layout, TraversalOrder]:
        return reading_layout(
            self.execution,
            self.finished.grid,
            foreground.image.open(),
            copies=_COPIES,
            held_bytes=held_bytes,
        )


def _coarse_bytes(image: PyramidSpec) -> int:
    """Return what a worker needs to make the coarse levels of an image: two at a time."""
    shards = (prod(level.shard) for level in image.levels if not level.inline)
    return _COARSE * max(shards, default=0) * np.dtype(image.dtype).itemsize


def _byte(probability: float) -> int:
    """Return the smallest byte that counts, by the rule of ``run``."""
    return max(1, round(255 * probability))

"""Steps of labelling: pieces of blocks, their merging, the images, the table."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.blockwise.derived.job import open_derived
from blockseg.blockwise.derived.source import source_of, source_reading
from blockseg.blockwise.planning.light_tasks import reading_layout
from blockseg.blockwise.record.record import Paths
from blockseg.blockwise.run import run
from blockseg.blockwise.task import Phase
from blockseg.core.errors import ConfigError
from blockseg.core.text import exact
from blockseg.io.output.written_files import damaged_files, stored_below, stored_file
from blockseg.labelling.assigned import open_clean, open_objects
from blockseg.labelling.background import Background
from blockseg.labelling.components import MERGED, Merging, is_merged, write_clean
from blockseg.labelling.earlier import components_lost, goes_on_filtering, others_pass
from blockseg.labelling.scratch import Scratch
from blockseg.labelling.tables import FILES, FOLDER, ObjectColumns, write_tables
from blockseg.labelling.task import (
    FilterLabels,
    Foreground,
    LabelPieces,
    MatchPieces,
    WriteLabels,
)
from blockseg.morphology.tube_length import length_unit, length_weights
from blockseg.runtime.events import Message
from blockseg.runtime.ledger.ledger import Ledger

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from blockseg.blockwise.derived.finished import FinishedRun
    from blockseg.blockwise.events import OnJobEvent
    from blockseg.blockwise.job import JobResult
    from blockseg.blockwise.run import OpenedJob
    from blockseg.blockwise.sources.inputs import Source
    from blockseg.config.label_settings import LabelSettings
    from blockseg.config.settings import RunSettings
    from blockseg.core.traversal import TraversalOrder
    from blockseg.io.output.provenance import Provenance
    from blockseg.io.output.pyramid import PyramidSpec
    from blockseg.runtime.memory import Layout

PART, PIECES = "label", "label-pieces"
"""Names of the two derived jobs."""

COMPONENTS, CLEAN = "components", "foreground_clean"
"""Names of the images."""

_COPIES = 64  # bytes a voxel of a block full of foreground
_COARSE = 7  # times the bytes of a coarse shard: two threads, a slab of the level below
_TABLES = "tables"
_AT_ONCE = 2**20  # rows
_WHOLE = "whole_chunks"


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over all objects."""

    objects: int
    """Objects in ``labels/components``."""

    clean: int
    """Those of them that pass."""

    length: float | None
    """Estimated length of these, in µm; None where the voxel size is unknown."""

    notes: tuple[str, ...]
    """Notes for the user, a line each."""


@dataclass(frozen=True, slots=True)
class _Facts:
    """Fact that tells the images of a job from those that earlier versions began."""

    def to_plain(self) -> dict[str, Any]:
        return {_WHOLE: True}


@dataclass(frozen=True, slots=True)
class Labelling:
    """A finished run, and how its objects are labelled."""

    finished: FinishedRun
    settings: LabelSettings
    execution: RunSettings
    on_event: OnJobEvent
    command: str
    source: Source | None
    background: Background | None
    objects: Provenance
    """Everything that determines the objects."""

    made: Provenance
    """And which of them pass."""

    @classmethod
    def of(
        cls,
        finished: FinishedRun,
        settings: LabelSettings,
        execution: RunSettings,
        on_event: OnJobEvent,
        command: str,
    ) -> Labelling:
        """Return it, if run and settings fit.

        Raises
        ------
        BlocksegError
            With one line, if they do not.
        """
        if settings.min_length and finished.space.unit is None:
            message = (
                f"--min-length {settings.min_length:g}: the voxel size of "
                f"{finished.out} is not known; give --voxel-size Z,Y,X"
            )
            raise ConfigError(message)
        background = Background.of(finished) if settings.image else None
        pair = settings.hysteresis
        objects = {
            "connectivity": settings.connectivity,
            "hysteresis": None if pair is None else ",".join(map(exact, pair)),
            "image": settings.image,
        }
        filters = {
            name: getattr(settings, name)
            for name in ("min_length", "min_probability", "min_size")
        }
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
            finished.provenance(**objects),
            finished.provenance(**objects, **filters),
        )

    def do(self, *, overwrite: bool) -> tuple[JobResult, Sums | None]:
        """Do the remaining work; return no sums if it was not completed."""
        begun, filtering, anew = self._begun(overwrite=overwrite)
        pieces = Paths(self.finished.out, PIECES)
        merged = pieces.folder / "merged"
        if anew or not is_merged(merged, self.objects):
            stopped = self._merge(pieces, overwrite=anew)
            if stopped is not None:
                return stopped, None
        write_clean(merged, self._passes, self.made)
        clean = self.finished.label_image(
            CLEAN, "uint8", self.made, checked=begun.checked
        )
        task: FilterLabels | WriteLabels
        if filtering:
            labels = self.finished.image(f"labels/{COMPONENTS}")
            task = FilterLabels(labels, str(merged), clean)
        else:
            task = WriteLabels(
                self._foreground(),
                str(merged),
                Scratch(str(pieces.folder / "pieces")),
                self._components(begun),
                clean,
            )
        job = begun.job(
            task, *self._layout(), facts=_Facts(), candidates=self._candidates()
        )
        result = run(job, self.on_event, engine="writing labels")
        if not result.complete:
            return result, None
        with Ledger.open(job.ledger, job.record.fingerprint) as ledger:
            if filtering and not any(ledger.written.of(COMPONENTS)):
                files = stored_below(self.finished.out, f"labels/{COMPONENTS}")
                ledger.written.put(COMPONENTS, files)
            notes = self._tables(ledger, merged)
        shutil.rmtree(pieces.folder / "pieces", ignore_errors=True)
        return result, self._sums(merged, notes)

    def _begun(self, *, overwrite: bool) -> tuple[OpenedJob, bool, bool]:
        """Return the job, whether components stay, and whether all else starts over."""
        out = self.finished.out
        components, clean = (out / "labels" / name for name in (COMPONENTS, CLEAN))
        tables = tuple(f"{FOLDER}/{name}" for name in FILES)
        owns = (f"labels/{CLEAN}", *tables)
        paths = Paths(out, PART, (f"labels/{COMPONENTS}", *owns))
        merged = Paths(out, PIECES).folder / "merged"
        if overwrite:
            stay = others_pass(
                paths, (components, clean), merged, self.objects, self.made
            )
            paths = Paths(out, PART, owns) if stay else paths
            return self._begin(paths, self.made, overwrite=True), stay, not stay
        begun = self._begin(paths, self.made, overwrite=False)
        if not goes_on_filtering(begun):
            return begun, False, False
        if components_lost(begun, COMPONENTS):
            self.on_event(Message("labels/components is damaged and remade"))
            return self._begin(paths, self.made, overwrite=True), False, True
        return begun, True, False

    def _merge(self, pieces: Paths, *, overwrite: bool) -> JobResult | None:
        """Find the pieces of blocks and merge them; return what stopped that, if anything."""
        scratch = Scratch(str(pieces.folder / "pieces"))
        # Without these files there is nothing to go on with.
        lost = pieces.record.exists() and not (pieces.folder / "pieces").is_dir()
        begun = self._begin(pieces, self.objects, overwrite=overwrite or lost)
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
        layout, traversal = self._layout()
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
            self.finished.grid, scratch, pieces.folder / "merged", self._strong
        )
        with Ledger.read(job.ledger, job.record.fingerprint) as ledger:
            merging.run(ledger, self.objects)
        within = merging.folder.relative_to(self.finished.out).as_posix()
        files = [stored_file(self.finished.out, f"{within}/{name}") for name in MERGED]
        with Ledger.open(job.ledger, job.record.fingerprint) as ledger:
            ledger.written.put("merged", files)
        return None

    def _tables(self, ledger: Ledger, merged: Path) -> tuple[str, ...]:
        """Write the tables, unless they are there; return notes."""
        out, notes = self.finished.out, self.finished.notes
        known = list(ledger.written.of(_TABLES))
        if not known or any(damaged_files(out, known)):
            objects, clean = open_objects(merged), open_clean(merged)
            notes += write_tables(
                out / FOLDER, objects, clean, self._columns, self.made
            )
            there = [name for name in FILES if (out / FOLDER / name).exists()]
            files = [stored_file(out, f"{FOLDER}/{name}") for name in there]
            ledger.written.put(_TABLES, files)
        return notes

    def _sums(self, merged: Path, notes: tuple[str, ...]) -> Sums:
        objects, clean = open_objects(merged), open_clean(merged)
        count = length = 0
        for start in range(0, len(objects), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            passing = np.asarray(clean[part]) > 0
            count += int(passing.sum())
            length += int(objects["length"][part][passing].sum())
        unit = length_unit(self.finished.space.voxel_size)
        metric = self.finished.space.unit is not None
        return Sums(len(objects), count, length * unit if metric else None, notes)

    def _begin(self, paths: Paths, made: Provenance, *, overwrite: bool) -> OpenedJob:
        return open_derived(
            self.finished,
            paths,
            made,
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

    def _components(self, begun: OpenedJob | None = None) -> PyramidSpec:
        """Return the image of all objects, as the job began it."""
        earlier = None if begun is None else begun.earlier
        return self.finished.label_image(
            COMPONENTS,
            "uint64",
            self.objects,
            checked=begun is None or begun.checked,
            whole_chunks=earlier is None or earlier.facts.get(_WHOLE) is True,
        )

    def _layout(self) -> tuple[Layout, TraversalOrder]:
        """Return one layout for all passes, so that they can share their workers."""
        return reading_layout(
            self.execution,
            self.finished.grid,
            self._foreground().image.open(),
            copies=_COPIES,
            held_bytes=_coarse_bytes(self._components()),
        )


def _coarse_bytes(image: PyramidSpec) -> int:
    """Return what a worker needs to make the coarse levels of an image: two at a time."""
    shards = (prod(level.shard) for level in image.levels if not level.inline)
    return _COARSE * max(shards, default=0) * np.dtype(image.dtype).itemsize


def _byte(probability: float) -> int:
    """Return the smallest byte that counts, by the rule of ``run``."""
    return max(1, round(255 * probability))

"""``blockseg skeletonize``: traces of the clean objects of a run, resumable."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.blockwise.derived.finished import derived_from
from blockseg.blockwise.derived.job import fresh_image, fresh_part, open_derived
from blockseg.blockwise.events import OnJobEvent, ignore
from blockseg.blockwise.outputs import writable
from blockseg.blockwise.planning.light_tasks import layout_for
from blockseg.blockwise.record.record import Paths, RunRecord
from blockseg.blockwise.run import run
from blockseg.config.skeletonize_settings import SkeletonizeSettings
from blockseg.core.errors import ConfigError, LedgerError, VolumeError
from blockseg.core.geometry import to_zyx
from blockseg.core.grid import BlockGrid
from blockseg.core.text import blockseg_command
from blockseg.io.output.written_files import stored_file
from blockseg.reports.write import end_with_report
from blockseg.runtime.ledger.ledger import Ledger
from blockseg.runtime.memory import Need
from blockseg.skeletonization.dimness import Dimness
from blockseg.skeletonization.lines import LINES, LinesTask, contents_from
from blockseg.skeletonization.shares import VOXELS, shares_of
from blockseg.skeletonization.tables import FILES, Traced, write_tables
from blockseg.skeletonization.traces import JoinedLines, TipsTask, TracesTask, relative
from blockseg.skeletons.block_lines import HALOS
from blockseg.skeletons.bridges import Bridges, Tips, find_bridges
from blockseg.skeletons.swc_text import TraceHeader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from blockseg.blockwise.derived.finished import FinishedRun
    from blockseg.blockwise.job import Job, JobResult
    from blockseg.blockwise.run import OpenedJob
    from blockseg.config.settings import RunSettings
    from blockseg.io.output.provenance import Provenance
    from blockseg.runtime.memory import Layout

PART = "skeletonize"
"""Name of the derived job; its second and third passes add to it."""

_CLEAN, _COMPONENTS = "labels/foreground_clean", "labels/components"
_LABEL, _LAYER = "label", "neuroglancer"
_BYTES_A_VOXEL = 28  # of a block with all that is read around it, measured
_BYTES_HELD = 2**27  # neighbourhoods
_BYTES_A_LINE_VOXEL = 600  # of a share
_FEW = 3  # shares that need no workers


@dataclass(frozen=True, slots=True)
class Skeletonized:
    """Outcome of a skeletonization."""

    job: JobResult
    """Outcome of the last pass that was run."""

    folder: Path
    """Folder of the traces."""

    traced: Traced | None
    """Sums over objects; None if a pass is not complete."""

    bridges: int = 0
    """Gaps that were closed."""

    @property
    def complete(self) -> bool:
        """Whether all traces are written."""
        return self.traced is not None

    def to_plain(self) -> dict[str, Any]:
        """Return the outcome as JSON values."""
        traced = None if self.traced is None else asdict(self.traced)
        return {"traces": str(self.folder), "bridges": self.bridges, "traced": traced}

    def lines(self) -> Iterator[str]:
        """Yield a summary, line by line."""
        if self.traced is None:
            return
        found, mm = self.traced, 1e-3
        if self.bridges:
            yield f"Closed {self.bridges} gap{'s' * (self.bridges != 1)}."
        yield (
            f"Done: {found.objects} object{'s' * (found.objects != 1)}, "
            f"{mm * found.length:.4g} mm of lines; {found.written} long enough, "
            f"{mm * found.written_length:.4g} mm, written as SWC."
        )
        yield f"Traces: {self.folder}"


def skeletonize(
    out: str,
    traces: str | None = None,
    chosen: SkeletonizeSettings | None = None,
    settings: RunSettings | None = None,
    *,
    overwrite: bool = False,
    on_event: OnJobEvent = ignore,
    command: str = "",
) -> Skeletonized:
    """Trace the clean objects of a run: SWC files, a layer for Neuroglancer, a table.

    Parameters
    ----------
    out
        Output of ``blockseg run`` that ``blockseg label`` was run on.
    traces
        Folder to write; ``OUT/traces`` if not given.
    chosen
        What is traced, and how.
    settings
        Of these, those of execution count.
    overwrite
        Start over if there are traces already.
    on_event
        Told what happens.
    command
        What the user typed, for the record.

    Raises
    ------
    BlocksegError
        With one line, before anything is written, if the input is bad.
    """
    from blockseg.config.settings import RunSettings

    chosen = chosen or SkeletonizeSettings()
    settings = settings or RunSettings()
    with derived_from(out, PART, allow_partial=chosen.allow_partial) as finished:
        if finished.space.unit is None:
            message = (
                f"the voxel size of {finished.out} is not known, and traces are in µm; "
                "give --voxel-size Z,Y,X"
            )
            raise ConfigError(message)
        work = _Work(
            finished,
            _folder(finished, traces, overwrite=overwrite),
            chosen,
            settings,
            overwrite,
            on_event,
            command,
        )
        traced = work.do()
    end_with_report(traced.job.out, on_event, wanted=settings.report)
    return traced


def _folder(finished: FinishedRun, traces: str | None, *, overwrite: bool) -> Path:
    """Return where the traces go, after checking that nothing is lost there."""
    folder = writable(traces or finished.out / "traces", "TRACES")
    if not folder.parent.is_dir():
        message = f"TRACES {folder} cannot be made: {folder.parent} is no folder"
        raise VolumeError(message)
    names = sorted(p.name for p in folder.iterdir()) if folder.exists() else []
    strange = [name for name in names if name.removesuffix(".part") not in FILES]
    if strange:
        message = (
            f"TRACES {folder} holds {strange[0]}, which blockseg skeletonize did not "
            "make; name another folder with -o"
        )
        raise VolumeError(message)
    ours = Paths(finished.out, f"{PART}-traces").record.exists()
    if names and not ours and not overwrite:
        message = (
            f"TRACES {folder} holds traces that were not made from {finished.out}; name "
            "another folder with -o, or --overwrite to replace them"
        )
        raise VolumeError(message)
    return folder


@dataclass(frozen=True, slots=True)
class _Work:
    finished: FinishedRun
    folder: Path
    chosen: SkeletonizeSettings
    settings: RunSettings
    overwrite: bool
    on_event: OnJobEvent
    command: str

    def do(self) -> Skeletonized:
        redo = blockseg_command("label", self.finished.out)
        clean = fresh_image(self.finished, _CLEAN, redo)
        fresh_image(self.finished, _COMPONENTS, redo)
        labels = fresh_part(self.finished, _LABEL, redo)
        made = self.finished.provenance(labels=labels)
        folder = relative(self.folder, self.finished.out)
        whole = replace(
            made, parameters=(*made.parameters, *self._deciding(), ("traces", folder))
        )
        # Refused before any work, if it is.
        self._open(f"{PART}-traces", whole, self.settings, (folder,))
        job, result = self._lines(made)
        if not result.complete:
            return Skeletonized(result, self.folder, None)
        lines = self._joined(job, None)
        bridges = None
        if self.chosen.bridge and len(lines.shares):
            result, bridges = self._bridges(lines, made)
            if bridges is None:
                return Skeletonized(result, self.folder, None)
            lines = self._joined(job, bridges)
        result, traced = self._traces(lines, whole, clean, folder)
        count = 0 if bridges is None else len(bridges.pairs)
        return Skeletonized(result, self.folder, traced, count)

    def _deciding(self) -> Iterator[tuple[str, float | bool | str]]:
        for name in ("bridge", "min_length", "spacing", "swc_soma"):
            yield name.replace("_", "-"), getattr(self.chosen, name)
        if self._sharded:
            yield _LAYER, "sharded"

    @property
    def _sharded(self) -> bool:
        """Whether skeletons share files: not in what was begun before they did."""
        earlier = RunRecord.of(Paths(self.finished.out, f"{PART}-traces"))
        known = earlier is None or _LAYER in earlier.request["settings"]
        return known or self.overwrite

    def _open(
        self,
        part: str,
        made: Provenance,
        settings: RunSettings,
        owns: tuple[str, ...] = (),
    ) -> OpenedJob:
        """Open one pass; one that is as it should be is kept under --overwrite too."""
        paths = Paths(self.finished.out, part, owns)

        def opened(*, overwrite: bool) -> OpenedJob:
            return open_derived(
                self.finished,
                paths,
                made,
                settings,
                overwrite=overwrite,
                on_event=self.on_event,
                command=self.command,
            )

        try:
            return opened(overwrite=self.overwrite and bool(owns))
        except LedgerError:
            if not self.overwrite:
                raise
            return opened(overwrite=True)

    def _lines(self, made: Provenance) -> tuple[Job, JobResult]:
        finished = self.finished
        shape = finished.grid.volume_shape
        block = to_zyx(min(n, b) for n, b in zip(shape, self.chosen.block, strict=True))
        # Where a job goes on, its blocks stay as they are.
        begun = self._open(PART, made, self.settings)
        if begun.earlier is not None:
            block = begun.earlier.block
        grid = BlockGrid(shape, block)
        window = grid.numbered(0).write_roi.grown((HALOS[1],) * 3).size
        task = LinesTask(
            finished.image(_COMPONENTS),
            finished.image(_CLEAN),
            grid,
            finished.space.voxel_size,
            str(finished.out),
            f"{Paths(finished.out, PART).folder.relative_to(finished.out)}/{LINES}",
        )
        job = begun.job(
            task,
            layout_for(self.settings, Need(_BYTES_A_VOXEL * window, _BYTES_HELD)),
            candidates=_not_empty(grid, finished),
        )
        return job, run(
            job, self.on_event, engine="lines of objects", notes=finished.notes
        )

    def _joined(self, job: Job, bridges: Bridges | None) -> JoinedLines:
        contents = (
            (number, *contents_from(packed)) for number, packed in job.payloads()
        )
        space, task = self.finished.space, job.main.task
        within = task.within if isinstance(task, LinesTask) else ""
        return JoinedLines(
            shares_of(contents, bridges, sharded=self._sharded),
            self.finished.grid.volume_shape,
            space.voxel_size,
            space.translation,
            str(self.finished.out),
            within,
        )

    def _for(self, lines: JoinedLines) -> tuple[RunSettings, Layout]:
        """Return settings and layout of a pass over shares."""
        settings = self.settings
        shares = lines.shares
        if (
            settings.scheduler is None
            and not settings.elsewhere
            and len(shares) <= _FEW
            and shares.voxels <= VOXELS
        ):
            # Done before a worker would have started.
            settings = replace(settings, scheduler="serial")
        need = Need(_BYTES_A_LINE_VOXEL * lines.shares.voxels, _BYTES_HELD)
        return settings, layout_for(settings, need)

    def _bridges(
        self, lines: JoinedLines, made: Provenance
    ) -> tuple[JobResult, Bridges | None]:
        settings, layout = self._for(lines)
        job = self._open(f"{PART}-tips", made, settings).job(TipsTask(lines), layout)
        result = run(job, self.on_event, engine="ends of lines")
        if not result.complete:
            return result, None
        tips = Tips.from_bytes(packed for _, packed in job.payloads())
        dim = Dimness(self.finished.image().open(), self.finished.space)
        return result, find_bridges(tips, self.chosen.bridge, dim)

    def _traces(
        self, lines: JoinedLines, made: Provenance, clean: Provenance, folder: str
    ) -> tuple[JobResult, Traced | None]:
        settings, layout = self._for(lines)
        begun = self._open(f"{PART}-traces", made, settings, (folder,))
        space = self.finished.space
        header = TraceHeader(
            _source_name(self.finished),
            space.voxel_size,
            space.translation,
            f"{_CLEAN}, made by {clean.to_text()}",
            self.chosen.swc_soma,
        )
        task = TracesTask(
            lines, header, folder, self.chosen.min_length, self.chosen.spacing
        )
        job = begun.job(task, layout)
        result = run(job, self.on_event, engine="traces of objects")
        if not result.complete:
            return result, None
        rows = (packed for _, packed in job.payloads())
        paths, traced = write_tables(
            self.folder,
            rows,
            header,
            made,
            self.chosen.min_length,
            lines.shares.sharding,
        )
        with Ledger.open(job.ledger, job.record.fingerprint) as ledger:
            names = (f"{folder}/{p.relative_to(self.folder).as_posix()}" for p in paths)
            out = self.finished.out
            ledger.written.put("tables", [stored_file(out, name) for name in names])
        return result, traced


def _source_name(finished: FinishedRun) -> str:
    source = finished.record.request.get("source") or {}
    return Path(str(source.get("spec", {}).get("uri", "unknown"))).name


def _not_empty(grid: BlockGrid, finished: FinishedRun) -> NDArray[np.int64]:
    """Return the blocks in which the run found any probability at all."""
    there = finished.nonzero.reshape(finished.grid.counts) > 0
    edge = finished.grid.block_shape
    found = []
    for block in grid:
        roi = block.write_roi
        z, y, x = (
            slice(a // n, -(-b // n))
            for a, b, n in zip(roi.start, roi.stop, edge, strict=True)
        )
        if there[z, y, x].any():
            found.append(block.number)
    return np.array(found, np.int64)

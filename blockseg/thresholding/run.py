"""``blockseg threshold``: another mask of a finished run, without inference."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from blockseg.blockwise.begun_anew import ledger_of
from blockseg.blockwise.derived.finished import content_of
from blockseg.blockwise.derived.staleness import MADE_FROM, what_is_stale
from blockseg.blockwise.events import OnJobEvent, ignore
from blockseg.blockwise.outputs import absolute
from blockseg.blockwise.planning.decisions import decisions_from
from blockseg.blockwise.planning.light_tasks import reading_layout
from blockseg.blockwise.record.record import Paths, RunRecord
from blockseg.blockwise.record.request import Request
from blockseg.blockwise.record.settings import recorded_settings
from blockseg.blockwise.run import OpenedJob
from blockseg.blockwise.run import run as run_job
from blockseg.blockwise.sources.block_reading import BlockReading
from blockseg.blockwise.sources.watched import look_at
from blockseg.config.label_settings import LabelSettings
from blockseg.config.view_settings import ThresholdSettings
from blockseg.core.errors import LedgerError
from blockseg.core.grid import BlockGrid
from blockseg.core.text import blockseg_command, counted, exact
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.io.output.provenance import Provenance
from blockseg.labelling.run import label
from blockseg.labelling.work import PART as LABEL
from blockseg.measurement.grey_scale import measured_cubes
from blockseg.measurement.images import write_cube_images
from blockseg.networks.receptive_field import FIELDS
from blockseg.reports.write import end_with_report
from blockseg.runtime.ledger.ledger import Ledger
from blockseg.runtime.run_lock import RunLock
from blockseg.segmentation.images import run_images
from blockseg.thresholding.change import PURPOSE, begin, record_of, restored, sources_of
from blockseg.thresholding.task import Counting, Thresholding

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from blockseg.blockwise.job import Job, JobResult
    from blockseg.blockwise.planning.decisions import Decisions
    from blockseg.config.settings import RunSettings
    from blockseg.core.geometry import Roi, Zyx
    from blockseg.core.space import Space
    from blockseg.io.protocol import Volume
    from blockseg.labelling.run import Labelled

_COPIES = 24  # bytes a voxel of a block, counting included
_ENGINE = "thresholding what is stored"


@dataclass(frozen=True, slots=True)
class Thresholded:
    """Outcome of ``blockseg threshold``."""

    result: JobResult
    """Blocks whose mask was made, and those whose was not."""

    threshold: float
    """Probability from which a voxel counts now."""

    stale: tuple[str, ...] = ()
    """Results that were made by another threshold: ``label``, ``skeletonize``."""

    labelled: Labelled | None = None
    """Objects, where ``min_size`` asked for them."""

    notes: tuple[str, ...] = ()
    """Notes for the user, a line each."""

    @property
    def complete(self) -> bool:
        """Whether everything is written."""
        done = self.labelled is None or self.labelled.complete
        return self.result.complete and done


def threshold(
    out: str,
    probability: float,
    settings: ThresholdSettings | None = None,
    execution: RunSettings | None = None,
    *,
    on_event: OnJobEvent = ignore,
    command: str = "",
) -> Thresholded:
    """Give a finished run another threshold, or go on with what was stopped.

    ``OUT`` is then what :func:`blockseg.run` with that threshold would have written: mask,
    its coarse levels and metrics. The network is not asked again.

    Parameters
    ----------
    out
        Output of :func:`blockseg.run`.
    probability
        Probability from which a voxel is foreground, 1/255 to 1.
    settings
        Whether to label as well, and to count metrics.
    execution
        Of these, those of execution count.
    on_event
        Told what happens.
    command
        What the user typed, for the record.

    Raises
    ------
    BlocksegError
        With one line, before anything is written, if OUT or a setting does not fit.
    """
    settings = settings or ThresholdSettings()
    paths = Paths(absolute(out))
    again = blockseg_command("threshold", paths.out, exact(probability))
    if not settings.metrics:
        again += " --no-metrics"
    begin(paths, probability, again, metrics=settings.metrics)
    result = _go_on(paths, execution, on_event, command or again)
    record = record_of(paths)
    report = execution is None or execution.report
    notes = tuple(_notes(record, settings))
    stale = tuple(_stale(paths, record))
    if settings.min_size is None or not result.complete:
        end_with_report(result.out, on_event, wanted=report, notes=notes)
        return Thresholded(result, probability, stale, notes=notes)
    labelled = label(
        str(paths.out),
        LabelSettings(min_size=settings.min_size, image=settings.metrics),
        execution,
        overwrite=_labelled_otherwise(paths, stale, settings.min_size),
        on_event=on_event,
        command=command or again,
    )
    left = tuple(part for part in stale if not part.startswith(LABEL))
    return Thresholded(result, probability, left, labelled, notes)


def go_on_thresholding(
    paths: Paths, execution: RunSettings | None, on_event: OnJobEvent, command: str
) -> JobResult:
    """Go on with another threshold that was begun on an output.

    Parameters
    ----------
    paths
        Of the run.
    execution, on_event, command
        As of :func:`threshold`.
    """
    with RunLock(paths.lock, PURPOSE):
        restored(paths)
    return _go_on(paths, execution, on_event, command)


def _go_on(
    paths: Paths, execution: RunSettings | None, on_event: OnJobEvent, command: str
) -> JobResult:
    """Make what is left of the mask, and join it to the rest of the run."""
    record = record_of(paths)
    decisions = decisions_from(record.decisions)
    settings = replace(recorded_settings(record, execution), verify=False)
    job, space = _job(paths, record, decisions, settings, on_event, command)
    result = run_job(job, on_event, engine=_ENGINE)
    if result.stopped:
        return result
    with Ledger.open(job.ledger, job.record.fingerprint) as ledger:
        wrong = ledger.aside.finish(job.main.name)
    write_cube_images(job, settings, space, decisions.field, record.gain)
    if not wrong:
        if result.complete:
            return result
        blocks = counted(result.blocks - result.done, "block")
        again = blockseg_command("retry", paths.out)
        stopped = f"{blocks} failed; infer what is missing again with: {again}"
        return replace(result, stopped=stopped)
    blocks = counted(len(wrong), "block")
    stopped = (
        f"the probability of {blocks} is not as it was written; infer what is damaged "
        f"again with: {blockseg_command('retry', paths.out)}"
    )
    return replace(result, done=result.done - len(wrong), stopped=stopped)


def _job(
    paths: Paths,
    record: RunRecord,
    decisions: Decisions,
    settings: RunSettings,
    on_event: OnJobEvent,
    command: str,
) -> tuple[Job, Space]:
    """Return the job that makes the mask, and the space of the source."""
    kept, roi, shape = record.source, record.roi, record.volume_shape
    if kept is None or roi is None or shape is None:
        message = f"{paths.record} does not say what was segmented"
        raise LedgerError(message)
    grid = _grid(record, shape, roi)
    probability, foreground = run_images(
        paths.out,
        roi,
        record.block,
        kept.space,
        zarr_format=record.zarr_format,
        codec=record.codec,
        checked=record.checked,
    )
    measured = measured_cubes(record)
    sources = {} if measured is None else sources_of(paths, record)
    counting = None
    if measured is not None:
        reading = BlockReading.of_run(
            grid, decisions, sources["source"], sources.get("mask")
        )
        counting = Counting(reading, measured.scale)
    path = ledger_of(paths, record)
    opened = OpenedJob(
        paths,
        Request(record.request["settings"], sources.get("source")),
        settings,
        record,
        None if path == paths.ledger else path,
        look_at(sources, on_event),
        on_event,
        command=command,
    )
    task = Thresholding(grid, decisions.threshold, probability, foreground, counting)
    read = sources["source"].volume if sources else _stored_volume(paths)
    layout, order = reading_layout(settings, grid, read, copies=_COPIES)
    blocks = _blocks(path, record, len(grid))
    job = opened.job(task, layout, order, candidates=blocks)
    # The probability is as it was, and so are its coarse levels.
    ours = [one for one in job.coarse if one.stored[0].pyramid == foreground]
    return replace(job, coarse=tuple(ours)), kept.space


def _grid(record: RunRecord, shape: Zyx, roi: Roi) -> BlockGrid:
    """Return the blocks of a run."""
    network = record.facts.get("network") or {}
    field = FIELDS[network.get("architecture", "sdasn")]
    halo = record.request["settings"].get("halo")
    reach = field.reach if halo is None else int(halo)
    return BlockGrid(shape, record.block, (reach,) * 3, roi, field.alignment)


def _stored_volume(paths: Paths) -> Volume:
    """Open the probability of a run."""
    return open_volume(find(str(paths.out), mask=True))


def _blocks(ledger_path: Path, record: RunRecord, count: int) -> NDArray[np.int64]:
    """Return the blocks that the run had to do: those entered, and those set aside."""
    main = record.phases[0].name
    with Ledger.read(ledger_path, record.fingerprint) as ledger:
        entered = np.flatnonzero(ledger.states(main, count))
        return np.union1d(entered, ledger.aside.blocks(main)).astype(np.int64)


def _notes(record: RunRecord, settings: ThresholdSettings) -> list[str]:
    notes = []
    if record.decisions.get("sparse"):
        notes.append(
            "--sparse skipped what held no foreground at the run's first threshold: at a "
            "lower one what is fainter may be missing"
        )
    if not settings.metrics:
        notes.append("metrics are left out; run, or threshold with metrics, has them")
    return notes


def _stale(paths: Paths, record: RunRecord) -> list[str]:
    """Return the names of derived jobs that were made by another threshold."""
    main = record.phases[0]
    found = []
    with Ledger.read(ledger_of(paths, record)) as ledger:
        count = int(np.prod(main.grid))
        now = Provenance(
            record.fingerprint,
            content_of(ledger, count),
            decisions_from(record.decisions).threshold,
        )
    for folder in sorted(path for path in paths.folder.iterdir() if path.is_dir()):
        part = RunRecord.of(Paths(paths.out, folder.name))
        if part is None:
            continue
        made = Provenance.from_plain(part.request["settings"].get(MADE_FROM))
        if what_is_stale(made, now):
            found.append(folder.name)
    return found


def _labelled_otherwise(paths: Paths, stale: tuple[str, ...], min_size: int) -> bool:
    record = RunRecord.of(Paths(paths.out, LABEL))
    if record is None:
        return False
    return LABEL in stale or record.request["settings"].get("min-size") != min_size

"""``blockseg train``: a network trained or fine-tuned, resumably."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from blockseg.blockwise.sources.doubts import warn_of
from blockseg.config.train_settings import TrainSettings
from blockseg.core.errors import MissingExtraError
from blockseg.core.places import local_path
from blockseg.training.checkpoint import load_checkpoint
from blockseg.training.events import ignore
from blockseg.training.facts import record_facts, report_facts, started
from blockseg.training.folder import RunFolder
from blockseg.training.learning.arithmetic import arithmetic, arithmetic_note
from blockseg.training.learning.distributed import ProcessGroup, open_process_group
from blockseg.training.learning.loop import train as loop
from blockseg.training.plan import make_plan
from blockseg.training.record import TrainSession
from blockseg.training.reports.html import Report
from blockseg.training.reports.tensorboard import TensorBoard
from blockseg.training.run_lock import TrainFolder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blockseg.training.events import OnTrainingEvent, TrainingResult
    from blockseg.training.plan import TrainPlan
    from blockseg.training.record import TrainRecord
    from blockseg.training.reports.html import ReportFacts
    from blockseg.training.reports.watcher import Watcher


def train(
    sources: Sequence[str],
    out: str,
    settings: TrainSettings | None = None,
    *,
    overwrite: bool = False,
    resume: bool = False,
    on_event: OnTrainingEvent = ignore,
    command: str = "",
) -> TrainingResult:
    """Train a network into the folder ``out``, or go on with a training there.

    Under torchrun several processes train one network, a GPU each; the first writes.

    Parameters
    ----------
    sources
        Folders with ``image/`` and ``label/``, OME-Zarr images with labels, or
        ``synth:NAME``; at least one.
    out
        Folder; made if it is not there.
    settings
        What to do; the defaults if not given.
    overwrite
        Start over if ``out`` holds an earlier training.
    resume
        Refuse to start a new one.
    on_event
        Told what happens, in this thread.
    command
        What the user typed, for the record.

    Returns
    -------
    TrainingResult
        ``complete`` is False where a full disk stopped it.

    Raises
    ------
    BlocksegError
        With one line, before anything is written, if data or settings are bad, or
        ``out`` holds another training; TrainingError if the loss is no number any
        more.
    KeyboardInterrupt
        After Ctrl-C and a checkpoint; the same call goes on.
    """
    folder = TrainFolder(Path(local_path(out)).expanduser())
    settings = settings or TrainSettings()
    with open_process_group(settings.device) as ranks, ExitStack() as stack:
        if ranks.first:
            folder.refuse_foreign()
            if resume:
                folder.refuse_nothing()
        begun_in = folder.begun_in(overwrite=overwrite)
        settings = folder.as_begun(settings, overwrite=overwrite)
        plan = make_plan(sources, folder.path, settings, ranks, begun_in)
        files = RunFolder(folder.path, plan.info)
        watchers: list[Watcher] = []
        if ranks.first:
            warn_of(plan.data.doubts)
            fresh = folder.is_fresh(plan.request, overwrite=overwrite)
            stack.enter_context(folder.locked(fresh=fresh))
            record = folder.start(
                plan.request,
                record_facts(plan),
                TrainSession.begun(settings, command),
            )
            found = load_checkpoint(files.checkpoint)
            step = 0 if found is None else found.standing.step
            facts = report_facts(plan, ranks, sources, _typed(record))
            watchers, notes = _watchers(plan, files, step, ranks, facts)
            on_event(started(plan, ranks, step, notes))
        ranks.barrier()
        try:
            result = loop(
                plan.network,
                plan.data,
                plan.loss,
                plan.config,
                files,
                ranks=ranks,
                watchers=watchers,
                on_event=on_event,
            )
        except BaseException as error:
            if ranks.first:
                stopped = isinstance(error, KeyboardInterrupt)
                folder.end(record, "interrupted" if stopped else str(error))
            raise
        if ranks.first:
            folder.end(record, "complete" if result.complete else result.stopped)
        return result


def _typed(record: TrainRecord) -> tuple[str, ...]:
    return tuple(start.command for start in record.sessions if start.command)


def _watchers(
    plan: TrainPlan,
    files: RunFolder,
    step: int,
    ranks: ProcessGroup,
    facts: ReportFacts,
) -> tuple[list[Watcher], tuple[str, ...]]:
    watchers: list[Watcher] = [Report(files.report, facts)]
    notes = list(plan.data.remarks)
    if plan.settings.tensorboard:
        try:
            watchers.append(TensorBoard(files.tensorboard, step))
        except MissingExtraError as error:
            notes.append(f"No TensorBoard files: {error}.")
    if plan.settings.time is not None:
        notes.append("--time ends it by the clock: repeating it gives other weights.")
    decided = arithmetic(plan.config.precision, ranks.device)
    if note := arithmetic_note(plan.settings.precision, decided, ranks.device):
        notes.append(note)
    if not plan.data.validation:
        notes.append("Nothing is held out: best.safetensors will be the last weights.")
    return watchers, tuple(notes)

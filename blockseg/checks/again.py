"""Jobs of an output resumed by their records, as if their commands were given again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from blockseg.blockwise.begun_anew import begun_anew
from blockseg.blockwise.derived.staleness import MADE_FROM
from blockseg.blockwise.derived.together import MADE_TOGETHER
from blockseg.blockwise.events import OnJobEvent, ignore
from blockseg.blockwise.record.settings import execution_settings, recorded_settings
from blockseg.blockwise.sources.recorded import recorded_inputs
from blockseg.config.declare import declared
from blockseg.config.label_settings import LabelSettings
from blockseg.config.merging import read_settings
from blockseg.config.skeletonize_settings import SkeletonizeSettings
from blockseg.core.errors import LedgerError

if TYPE_CHECKING:
    from blockseg.blockwise.job import JobResult
    from blockseg.blockwise.record.record import RunRecord
    from blockseg.checks.jobs import StoredJob
    from blockseg.config.settings import RunSettings

_Settings = TypeVar("_Settings", LabelSettings, SkeletonizeSettings)

LABEL = MADE_TOGETHER["label"]
"""Parts that ``blockseg label`` makes; the last one says with which options."""

SOMATA = ("somata",)
"""Part that ``blockseg label --somata`` adds."""

TRACES = MADE_TOGETHER["skeletonize"]
"""Parts that ``blockseg skeletonize`` makes."""


_RUNS = ("segment", "copy", "metrics")
"""Main passes of ``run``, ``convert`` and ``metrics``."""


@dataclass(frozen=True, slots=True)
class Again:
    """Way in which a job is resumed."""

    execution: RunSettings | None = None
    """Settings of execution; where they say nothing, as it was run last."""

    overwrite: bool = False
    """Whether to start afresh."""

    restored: bool = False
    """Whether the ledger of the run was lost: what OUT holds is taken where its
    checksums prove it."""

    on_event: OnJobEvent = ignore
    """Told what happens."""

    command: str = ""
    """Command line as the user typed it, for the record."""


def can_go_on(job: StoredJob) -> bool:
    """Say whether :func:`go_on` knows how to."""
    if job.part:
        return job.part in (*LABEL, *SOMATA, *TRACES)
    return job.record is not None and job.record.phases[0].name in _RUNS


def go_on(job: StoredJob, how: Again) -> JobResult:
    """Resume a job, or start it afresh.

    Parameters
    ----------
    job
        The run itself, or the last part that its command makes.
    how
        How.

    Raises
    ------
    BlocksegError
        As the job's own command.
    """
    record = job.record
    if record is None or not can_go_on(job):
        message = f"{job.paths.name} can only be resumed by its own command: {job.command or '?'}"
        raise LedgerError(message)
    command = how.command or job.command
    if job.part in LABEL:
        from blockseg.labelling.run import label

        return label(
            str(job.paths.out),
            _settings(LabelSettings, record),
            _execution(record, how),
            overwrite=how.overwrite,
            on_event=how.on_event,
            command=command,
        ).result
    if job.part in SOMATA:
        from blockseg.labelling.somata.run import list_somata

        return list_somata(
            str(job.paths.out),
            _settings(LabelSettings, record, ("soma-radius", "soma-snr")),
            _execution(record, how),
            overwrite=how.overwrite,
            on_event=how.on_event,
            command=command,
        ).result
    if job.part in TRACES:
        from blockseg.skeletonization.run import skeletonize

        folder = record.request["settings"].get("traces", "traces")
        return skeletonize(
            str(job.paths.out),
            str(job.paths.out / folder),
            _settings(SkeletonizeSettings, record),
            _execution(record, how),
            overwrite=how.overwrite,
            on_event=how.on_event,
            command=command,
        ).job
    return _run(job, record, how, command)


def _run(job: StoredJob, record: RunRecord, how: Again, command: str) -> JobResult:
    """Go on with a job that reads a volume."""
    if begun_anew(job.ledger):
        from blockseg.thresholding.run import go_on_thresholding

        return go_on_thresholding(job.paths, how.execution, how.on_event, command)
    settings = replace(recorded_settings(record, how.execution), verify=False)
    inputs = recorded_inputs(job.paths, record, settings)
    main = record.phases[0].name
    if main == "copy":
        from blockseg.conversion import copy

        return copy(
            inputs.source,
            job.paths.out,
            settings,
            overwrite=how.overwrite,
            on_event=how.on_event,
            command=command,
        )
    if main == "metrics":
        from blockseg.measurement.run import measure

        return measure(
            inputs,
            overwrite=how.overwrite,
            on_event=how.on_event,
            command=command,
        )
    from blockseg.segmentation.run import segment
    from blockseg.segmentation.workers import prepare_workers

    prepare_workers(settings)
    return segment(
        inputs,
        overwrite=how.overwrite,
        on_event=how.on_event,
        command=command,
        restored=how.restored,
    )


def _execution(record: RunRecord, how: Again) -> RunSettings:
    return replace(execution_settings(record, how.execution), verify=False)


def _settings(
    kind: type[_Settings], record: RunRecord, some: tuple[str, ...] = ()
) -> _Settings:
    """Return the options that a derived job was begun with, or some of them."""
    kept = record.request["settings"]
    names = set(some) or {name.replace("_", "-") for name in declared(kind)}
    partial = {"allow-partial": bool(kept[MADE_FROM]["missing"])}
    chosen = {key: value for key, value in kept.items() if key in names}
    return read_settings(kind, chosen, partial)

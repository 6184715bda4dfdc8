"""Opening of derived jobs, and what they read of each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockseg.blockwise.derived.staleness import MADE_FROM, what_is_stale
from blockseg.blockwise.events import OnJobEvent, ignore
from blockseg.blockwise.record.record import Paths, RunRecord
from blockseg.blockwise.record.request import Request
from blockseg.blockwise.run import open_job
from blockseg.core.errors import LedgerError, VolumeError
from blockseg.io.output.create import image_provenance
from blockseg.io.output.provenance import Provenance

if TYPE_CHECKING:
    from blockseg.blockwise.derived.finished import FinishedRun
    from blockseg.blockwise.run import OpenedJob
    from blockseg.blockwise.sources.inputs import Source
    from blockseg.config.settings import RunSettings


def open_derived(
    run: FinishedRun,
    paths: Paths,
    provenance: Provenance,
    settings: RunSettings,
    *,
    source: Source | None = None,
    overwrite: bool = False,
    on_event: OnJobEvent = ignore,
    command: str = "",
) -> OpenedJob:
    """Compare a derived job with what OUT holds of it; nothing is written.

    Parameters
    ----------
    run
        Run that it works on, which the caller holds.
    paths
        Of the derived job: its part of the run's output, and what it owns there.
    provenance
        What it makes its result from: the run, and all parameters that decide it.
    settings
        Of these, those of execution count.
    source
        Volume that it reads besides, if any; it is watched for changes.
    overwrite
        Start over if OUT holds an earlier result of it.
    on_event
        Told before what takes long.
    command
        What the user typed, for the record.

    Raises
    ------
    LedgerError
        If OUT holds the result of other parameters, or one of another state of the run.
    """
    earlier = None if overwrite else RunRecord.of(paths)
    if earlier is not None:
        made = Provenance.from_plain(earlier.request["settings"].get(MADE_FROM))
        what = f"{paths.part} of OUT {run.out}"
        _refuse_stale(made, run, what, "--overwrite makes it anew")
    bare = Provenance(
        provenance.run, provenance.content, provenance.threshold, provenance.missing
    )
    request = Request(
        {"part": paths.part, **dict(provenance.parameters), MADE_FROM: bare.to_plain()},
        source,
    )
    return open_job(
        paths,
        request,
        settings,
        overwrite=overwrite,
        on_event=on_event,
        command=command,
    )


def fresh_image(run: FinishedRun, within: str, redo: str) -> Provenance:
    """Return the provenance of a derived image of OUT if it fits the run as it is now.

    Parameters
    ----------
    run
        Run of the output, which the caller holds.
    within
        Where in the output the image lies: ``labels/foreground_clean``.
    redo
        Command that makes it.

    Raises
    ------
    VolumeError
        If it is not there.
    LedgerError
        If it was made from another state of the run.
    """
    group = run.out / within
    if not group.is_dir():
        message = f"OUT {run.out} has no {within}; make it with: {redo}"
        raise VolumeError(message)
    made = image_provenance(group)
    what = f"{within} of OUT {run.out}"
    _refuse_stale(made, run, what, f"remake it with: {redo} --overwrite")
    if made is None:  # which is refused above
        message = f"{group} does not say what it was made from"
        raise LedgerError(message)
    return made


def fresh_part(run: FinishedRun, part: str, redo: str) -> str:
    """Return the fingerprint of another derived job that is complete and not stale.

    Parameters
    ----------
    run
        Run of the output, which the caller holds.
    part
        Name of the derived job.
    redo
        Command that makes its result.

    Raises
    ------
    VolumeError
        If it was never started.
    LedgerError
        If it is not complete, damaged, or was made from another state of the run.
    """
    from blockseg.blockwise.status import part_status

    paths = Paths(run.out, part)
    record = RunRecord.of(paths)
    if record is None:
        message = f"OUT {run.out} has no result of {part}; make it with: {redo}"
        raise VolumeError(message)
    made = Provenance.from_plain(record.request["settings"].get(MADE_FROM))
    what = f"{part} of OUT {run.out}"
    _refuse_stale(made, run, what, f"remake it with: {redo} --overwrite")
    state = part_status(paths, record).state
    if state != "complete":
        message = f"{what} is {state}; finish it with: {redo}"
        raise LedgerError(message)
    return record.fingerprint


def _refuse_stale(
    made: Provenance | None, run: FinishedRun, what: str, redo: str
) -> None:
    why = what_is_stale(made, run.provenance())
    if why:
        message = f"{what} is stale: it {why}; {redo}"
        raise LedgerError(message)

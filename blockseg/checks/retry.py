"""``blockseg retry``: blocks in quarantine tried again, without the run's command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockseg.blockwise.events import OnJobEvent, ignore
from blockseg.checks.again import LABEL, SOMATA, TRACES, Again, can_go_on, go_on
from blockseg.checks.jobs import output_paths, stored_jobs
from blockseg.core.errors import LedgerError
from blockseg.core.text import blockseg_command

if TYPE_CHECKING:
    from blockseg.blockwise.job import JobResult
    from blockseg.checks.jobs import StoredJob
    from blockseg.config.settings import RunSettings


def retry(
    out: str,
    execution: RunSettings | None = None,
    *,
    on_event: OnJobEvent = ignore,
    command: str = "",
) -> tuple[JobResult, ...]:
    """Try the blocks in quarantine again, and whatever else is not written.

    What a run given again does; what is asked of it, and where its source lies, stand in
    its record.

    Parameters
    ----------
    out
        Output of ``blockseg run``.
    execution
        How it is run; as it was run last, where this says nothing.
    on_event
        Told what happens.
    command
        What the user typed, for the record.

    Returns
    -------
    tuple of JobResult
        Of the run and of its labels and traces, as far as any of their blocks was left;
        empty if there was none. One that is incomplete is the last.

    Raises
    ------
    BlocksegError
        As of the run given again.
    """
    jobs = {job.part: job for job in stored_jobs(output_paths(out))}
    for job in jobs.values():
        if problem := job.record_problem or job.ledger_problem:
            mend = blockseg_command("verify", out, "--repair")
            message = f"{problem}; mend it with: {mend}"
            raise LedgerError(message)
    how = Again(execution, on_event=on_event, command=command)
    results: list[JobResult] = []
    for names in (("",), LABEL, SOMATA, TRACES):
        parts = [jobs[name] for name in names if name in jobs]
        if not any(map(_left, parts)):
            continue
        if not can_go_on(parts[-1]):
            message = (
                f"{parts[-1].paths.name} can only be resumed by its own command: "
                f"{parts[-1].command}"
            )
            raise LedgerError(message)
        results.append(go_on(parts[-1], how))
        if not results[-1].complete:
            break
    return tuple(results)


def _left(job: StoredJob) -> bool:
    """Say whether any block of a job is not written."""
    if job.record is None:
        return False
    with job.open() as ledger:
        return any(
            ledger.summary(phase.name).done < phase.blocks
            for phase in job.record.phases
        )

"""``blockseg finalize``: the parts of a run put together, and what is made of them all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockseg.blockwise.events import OnJobEvent, ignore
from blockseg.blockwise.shares.merge import merge_shares
from blockseg.blockwise.shares.plan import shared_plan
from blockseg.checks.again import Again, go_on
from blockseg.checks.jobs import output_paths, run_of
from blockseg.core.errors import VolumeError
from blockseg.runtime.events import Message
from blockseg.runtime.run_lock import RunLock

if TYPE_CHECKING:
    from blockseg.blockwise.job import JobResult
    from blockseg.config.settings import RunSettings


def finalize(
    out: str,
    execution: RunSettings | None = None,
    *,
    on_event: OnJobEvent = ignore,
    command: str = "",
) -> JobResult:
    """Put together a run that several drivers did, a part each.

    Their ledgers become one; coarse levels, images of metrics and the report are made of
    all blocks. The result is the same to the byte as that of one driver. Given again, it
    goes on where it was stopped.

    Parameters
    ----------
    out
        Output of ``blockseg run --part I/N``, for each I.
    execution
        How it is run; as the first part was, where this says nothing.
    on_event
        Told what happens.
    command
        What the user typed, for the record.

    Raises
    ------
    VolumeError
        If OUT was not done in parts.
    LedgerError
        If a part is missing or has blocks left, and names each.
    BlocksegError
        As of the run given again.
    """
    paths = output_paths(out)
    plan = shared_plan(paths.out)
    if plan is None:
        message = (
            f"OUT {paths.out} was not done in parts: there is nothing to put together"
        )
        raise VolumeError(message)
    with RunLock(paths.lock, "finalize"):
        if not paths.record.exists():
            on_event(Message(f"putting together the ledgers of {plan.count} parts"))
            merge_shares(paths.out, plan)
    return go_on(run_of(out), Again(execution, on_event=on_event, command=command))

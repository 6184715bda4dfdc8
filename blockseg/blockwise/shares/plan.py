"""The plan that the drivers of a run's shares have in common, and their folders.

Whoever comes first decides, and publishes its decisions in one step; all others take
them. From then on no driver waits for another, or looks at what it does.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from blockseg.blockwise.record.record import FOLDER, Paths, RunRecord
from blockseg.blockwise.record.request import what_differs
from blockseg.core.errors import DISK_FULL, LedgerError, NoSpaceError, VolumeError
from blockseg.core.untrusted.files import RECORD_BYTES, read_text
from blockseg.core.work_ranges import Share

if TYPE_CHECKING:
    from pathlib import Path

    from blockseg.blockwise.job import Job
    from blockseg.blockwise.record.request import Request

SHARES = "shares"
"""Folder of the plan and of the shares, in ``OUT/.blockseg/``."""

_PLAN = "plan.json"
_COUNT = "shares"  # among the facts of the plan


@dataclass(frozen=True, slots=True)
class SharedPlan:
    """Request and decisions of a run that is done in shares."""

    record: RunRecord
    """Record of the whole run, without sessions."""

    count: int
    """Into how many shares it is cut."""

    @property
    def shares(self) -> tuple[Share, ...]:
        """All of them."""
        return tuple(Share(i + 1, self.count) for i in range(self.count))


def share_paths(out: Path, share: Share) -> Paths:
    """Return the paths of the own files of the driver of a share."""
    return Paths(out, f"{SHARES}/{share.number:04d}-of-{share.count:04d}", share=True)


def plan_path(out: Path) -> Path:
    """Return the file of the plan."""
    return out / FOLDER / SHARES / _PLAN


def shared_plan(out: Path) -> SharedPlan | None:
    """Return the plan of a run in shares; None if there is none.

    Raises
    ------
    LedgerError
        If it is damaged.
    """
    path = plan_path(out)
    try:
        text = read_text(path, RECORD_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        message = f"the plan {path} cannot be read: {error}; put it back from a copy"
        raise LedgerError(message) from error
    record = RunRecord.from_text(text, path)
    count = record.facts.get(_COUNT)
    if not isinstance(count, int) or count < 1:
        message = f"the plan {path} does not say how many parts there are"
        raise LedgerError(message)
    return SharedPlan(record, count)


def plan_for(out: Path, share: Share, request: Request) -> SharedPlan | None:
    """Return the plan that a share belongs to; None if it is the first to come.

    Raises
    ------
    LedgerError
        If OUT holds a whole run, or shares of another request or number.
    VolumeError
        If OUT holds something that blockseg did not make.
    """
    if Paths(out).record.exists():
        message = (
            f"OUT {out} holds a run that is not done in parts, or was put together "
            "already; leave --part out to go on with it, or name another OUT"
        )
        raise LedgerError(message)
    plan = shared_plan(out)
    if plan is None:
        # What a whole run needs to be told, too, before anything is made there.
        strange = out.exists() and (
            not out.is_dir() or any(one.name != FOLDER for one in out.iterdir())
        )
        # Another driver may have published its plan, and begun, since.
        plan = shared_plan(out)
        if plan is None and strange:
            message = (
                f"OUT {out} exists and holds no part of a run; choose another place or "
                "remove it yourself"
            )
            raise VolumeError(message)
    if plan is None:
        return None
    if plan.count != share.count:
        message = (
            f"OUT {out} is done in {plan.count} parts, not in {share.count}: give "
            f"--part I/{plan.count}, or name another OUT"
        )
        raise LedgerError(message)
    if found := what_differs(plan.record.request, request.to_plain()):
        message = (
            f"the parts of OUT {out} belong to another run: {'; '.join(found)}; use the "
            "same settings for all of them, or name another OUT"
        )
        raise LedgerError(message)
    return plan


def publish(out: Path, record: RunRecord, count: int) -> SharedPlan:
    """Publish a plan, unless another driver was faster; return the one that holds.

    Raises
    ------
    NoSpaceError, VolumeError
        If it cannot be written.
    """
    path = plan_path(out)
    facts = {**record.facts, _COUNT: count}
    plan = replace(record, facts=facts, execution={}, sessions=())
    mine = path.with_name(f".{path.name}.{os.uname().nodename}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        plan.save(mine)
        # Of all who do this at once, on any machine, one succeeds.
        with suppress(FileExistsError):
            os.link(mine, path)
        mine.unlink(missing_ok=True)
    except OSError as error:
        kind = NoSpaceError if error.errno in DISK_FULL else VolumeError
        message = f"the plan {path} cannot be written: {error.strerror or error}"
        raise kind(message) from error
    found = shared_plan(out)
    if found is None:
        message = f"the plan {path} is gone; nobody else may write to OUT"
        raise VolumeError(message)
    return found


def share_of(job: Job, plan: SharedPlan, share: Share) -> Job:
    """Return a share of a job: its blocks alone, and no levels above them.

    Parameters
    ----------
    job
        The whole, with the paths of the share.
    plan
        Of the run.
    share
        Which.
    """
    candidates = share.of(job.candidates)
    facts: dict[str, Any] = {**plan.record.facts, "part": str(share)}
    main = {**facts["phases"][0], "blocks": len(candidates)}
    record = job.record
    if not job.resumed:
        record = replace(
            plan.record,
            facts={**facts, "phases": [main]},
            execution=job.record.execution,
        )
    return replace(job, record=record, candidates=candidates, coarse=())

"""Ledgers of shares put together into that of the whole run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blockseg.blockwise.record.record import Paths, RunRecord
from blockseg.blockwise.shares.plan import share_paths
from blockseg.core.errors import LedgerError
from blockseg.runtime.ledger.ledger import Ledger
from blockseg.runtime.ledger.merging import merge_ledgers
from blockseg.runtime.run_lock import RunLock

if TYPE_CHECKING:
    from blockseg.blockwise.shares.plan import SharedPlan
    from blockseg.core.work_ranges import Share

_NAMED = 8


@dataclass(frozen=True, slots=True)
class ShareState:
    """Progress of the driver of a share."""

    share: Share
    """Share that it does."""

    record: RunRecord | None
    """Its record; None if it was never begun."""

    ledger: Path
    """Its ledger."""

    blocks: int = 0
    """Blocks that it has to do; 0 if it was never begun."""

    done: int = 0
    """Blocks of these that are written."""

    failed: int = 0
    """Blocks of these in quarantine."""

    running: bool = False
    """Whether its driver is at work."""

    @property
    def settled(self) -> bool:
        """Whether nothing of it is left to do."""
        return (
            self.record is not None
            and not self.running
            and self.done + self.failed == self.blocks
        )

    def __str__(self) -> str:
        if self.record is None:
            return f"{self.share} (not begun)"
        if self.running:
            return f"{self.share} (at work)"
        left = self.blocks - self.done - self.failed
        return f"{self.share} ({left} of {self.blocks} blocks left)"


def share_states(out: Path, plan: SharedPlan) -> list[ShareState]:
    """Return the progress of each share, also while drivers are at work.

    Raises
    ------
    LedgerError
        If a record or a ledger cannot be read, or belongs to another run.
    """
    return [_state(share_paths(out, share), share, plan) for share in plan.shares]


def _state(paths: Paths, share: Share, plan: SharedPlan) -> ShareState:
    record = RunRecord.of(paths)
    if record is None:
        return ShareState(share, None, paths.ledger)
    ledger = Path(record.execution.get("ledger") or paths.ledger)
    with Ledger.read(ledger, plan.record.fingerprint) as opened:
        summary = opened.summary(record.phases[0].name)
    blocks = record.phases[0].blocks
    running = RunLock(paths.lock).is_held()
    return ShareState(
        share, record, ledger, blocks, summary.done, summary.failed, running
    )


def merge_shares(out: Path, plan: SharedPlan) -> None:
    """Make record and ledger of the whole run; again where that was not ended.

    The record comes last: without it nothing has been put together.

    Raises
    ------
    LedgerError
        If a share is not there or has blocks left, and names each.
    NoSpaceError
        If the disk is full.
    """
    states = share_states(out, plan)
    missing = [state for state in states if not state.settled]
    if missing:
        named = ", ".join(map(str, missing[:_NAMED]))
        more = len(missing) - _NAMED
        message = (
            f"OUT {out} lacks part{'s' * (len(missing) > 1)} {named}"
            f"{f' and {more} more' if more > 0 else ''}: run each with its --part, then "
            "finalize again"
        )
        raise LedgerError(message)
    paths = Paths(out)
    merge_ledgers(
        paths.ledger,
        [state.ledger for state in states],
        fingerprint=plan.record.fingerprint,
        owner=paths.owner,
    )
    records = [state.record for state in states if state.record is not None]
    replace(
        plan.record,
        execution={**records[0].execution, "part": None, "ledger": None},
        sessions=_sessions(states),
    ).save(paths.record)


def _sessions(states: list[ShareState]) -> tuple[dict[str, Any], ...]:
    """Return the starts of all shares, in their order in time."""
    found = [
        {**session, "part": str(state.share)}
        for state in states
        if state.record is not None
        for session in state.record.sessions
    ]
    return tuple(sorted(found, key=lambda session: str(session.get("started", ""))))

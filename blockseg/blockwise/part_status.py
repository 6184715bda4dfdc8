"""States of passes, and of what was derived from a run, as ``blockseg status`` has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from blockseg.blockwise.derived.together import MADE_TOGETHER
from blockseg.core.text import blockseg_command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blockseg.blockwise.record.record import RunRecord


@dataclass(frozen=True, slots=True)
class PhaseStatus:
    """State of one pass."""

    name: str
    """Name of the pass."""

    blocks: int
    """Blocks to do, all sessions together."""

    done: int
    """Blocks written."""

    failed: int
    """Blocks in quarantine."""


@dataclass(frozen=True, slots=True)
class FailedBlockStatus:
    """A block in quarantine."""

    phase: str
    """Name of the pass."""

    index: tuple[int, int, int]
    """Position in the grid, (z, y, x)."""

    attempts: int
    """Number of attempts."""

    error: str
    """One line."""

    traceback: str
    """Traceback of the last attempt."""


@dataclass(frozen=True, slots=True)
class PartStatus:
    """State of what one command derived from the result of the run."""

    name: str
    """Name of the derived job: ``label``, for instance."""

    state: str
    """As of the run; ``stale`` where it is complete, but was made from another state of
    the run."""

    command: str
    """The last command, which also resumes it."""

    phases: tuple[PhaseStatus, ...]
    """In the order in which they run, those of the jobs that it needs included."""

    failures: tuple[FailedBlockStatus, ...]
    """Blocks in quarantine."""

    damaged: tuple[str, ...] = ()
    """Files that are gone or of another size than when they were written, and how."""

    stale: str = ""
    """Difference of the run when it was made from the present one; empty if none."""

    anew: str = ""
    """Command that updates it, where it is stale."""


_WORST_FIRST = ("running", "damaged", "stopped", "incomplete", "stale")


def together(
    name: str, jobs: Sequence[tuple[RunRecord, PartStatus]], out: str, *, running: bool
) -> PartStatus:
    """Return the state of what one command derived, of the jobs that it consists of.

    Parameters
    ----------
    name
        Name by which users know it.
    jobs
        Record and state of each job that was begun; one at least.
    out
        The output.
    running
        Whether the command is at work, perhaps between two of its jobs.
    """
    order = MADE_TOGETHER.get(name, (name,))
    parts = sorted((part for _, part in jobs), key=lambda part: order.index(part.name))
    states = {part.state for part in parts} | ({"running"} if running else set())
    state = next((word for word in _WORST_FIRST if word in states), "")
    if not state:
        state = "complete" if parts[-1].name == order[-1] else "stopped"
    command, _ = max(
        ((part.command, _started(record)) for record, part in jobs),
        key=lambda each: each[1],
    )
    stale = next((part.stale for part in parts if part.stale), "")
    return PartStatus(
        name=name,
        state=state,
        command=command,
        phases=tuple(phase for part in parts for phase in part.phases),
        failures=tuple(failure for part in parts for failure in part.failures),
        damaged=tuple(line for part in parts for line in part.damaged),
        stale=stale,
        anew=_anew(name, command, out) if stale else "",
    )


def _started(record: RunRecord) -> str:
    return str(record.sessions[-1]["started"]) if record.sessions else ""


def _anew(name: str, command: str, out: str) -> str:
    if not command or command.startswith("blockseg threshold"):  # which labelled too
        command = blockseg_command(name, out)
    return command if "--overwrite" in command else f"{command} --overwrite"

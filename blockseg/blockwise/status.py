"""``blockseg status``: how far a run is, read from its record and its ledger."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from blockseg.blockwise.begun_anew import command_again, ledger_of
from blockseg.blockwise.block_holes import hole_outcome
from blockseg.blockwise.derived.finished import content_of
from blockseg.blockwise.derived.staleness import MADE_FROM, what_is_stale
from blockseg.blockwise.derived.together import made_by
from blockseg.blockwise.events import ignore
from blockseg.blockwise.part_status import (
    FailedBlockStatus,
    PartStatus,
    PhaseStatus,
    together,
)
from blockseg.blockwise.planning.sparse_plan import sparse_from
from blockseg.blockwise.record.earlier import refuse_lost_record
from blockseg.blockwise.record.record import Paths, RunRecord
from blockseg.blockwise.record.skipping import SparseOutcome, sparse_outcome
from blockseg.blockwise.shares.merge import share_states
from blockseg.blockwise.shares.plan import shared_plan
from blockseg.blockwise.sources.damage import find_damage
from blockseg.blockwise.store_state import paths_of
from blockseg.core.errors import LedgerError, VolumeError
from blockseg.core.text import blockseg_command
from blockseg.io.output.provenance import Provenance
from blockseg.runtime.ledger.ledger import Ledger
from blockseg.runtime.run_lock import RunLock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from blockseg.blockwise.block_holes import FoundHoles
    from blockseg.blockwise.shares.plan import SharedPlan
    from blockseg.runtime.ledger.rows import PhaseSummary

_MOST_FILES = 100_000


@dataclass(frozen=True, slots=True)
class RunStatus:
    """State of a run."""

    out: str
    """The output."""

    state: str
    """``planning``, ``running``, ``complete``, ``incomplete`` (blocks failed),
    ``damaged`` (files are not as they were written), ``stopped``, or ``not put together``
    where all parts of a run in parts are done."""

    command: str
    """The last command, which also resumes the run."""

    phases: tuple[PhaseStatus, ...]
    """In the order in which they run."""

    failures: tuple[FailedBlockStatus, ...]
    """Blocks in quarantine."""

    totals: Mapping[str, int]
    """Sums over the blocks that are done."""

    sessions: tuple[dict[str, Any], ...]
    """One a start."""

    sparse: SparseOutcome | None = None
    """Savings of ``--sparse``, and at what loss; None without it."""

    damaged: tuple[str, ...] = ()
    """Files that are gone or of another size than when they were written, and how."""

    every: int = 1
    """Blocks in a row of which the files of one were looked at: more than 100,000 of a
    finished run would take long."""

    holes: FoundHoles | None = None
    """Parts of the source without data; None if nothing was found yet."""

    parts: tuple[PartStatus, ...] = ()
    """Results derived from the run, each by the command that made it."""


@dataclass(frozen=True, slots=True)
class _Looked:
    summaries: tuple[PhaseSummary, ...]
    phases: tuple[PhaseStatus, ...]
    failures: tuple[FailedBlockStatus, ...]
    damaged: tuple[str, ...]
    every: int


def status(out: str) -> RunStatus:
    """Say how far the run of ``out`` is, also while it runs.

    Raises
    ------
    VolumeError
        If there is no such output, or it is none of ours.
    LedgerError
        If its record or its ledger is gone or cannot be read.
    """
    paths = paths_of(out)
    if not paths.folder.is_dir():
        message = f"{paths.out} is no output of blockseg: it has no folder .blockseg"
        raise VolumeError(message)
    record = RunRecord.of(paths)
    if record is None:
        on_disk = paths.out if isinstance(paths.out, Path) else None
        if on_disk is not None and (plan := shared_plan(on_disk)):
            return _of_shares(on_disk, plan)
        if not _is_held(paths):
            refuse_lost_record(paths)
        return RunStatus(str(paths.out), "planning", "", (), (), {}, ())
    entries = record.phases
    with _ledger(paths, record) as ledger:
        looked = _look(paths, record, ledger)
        totals = looked.summaries[0].totals
        holes = hole_outcome(ledger.holes(entries[0].name), totals["written"])
        sparse = sparse_outcome(
            sparse_from(record.decisions.get("sparse")),
            ledger,
            [(entry.name, math.prod(entry.grid)) for entry in entries],
        )
        now = _provenance(record, ledger)
    return RunStatus(
        out=str(paths.out),
        state=_state(paths, looked),
        command=command_again(record, ledger_of(paths, record), paths.out),
        phases=looked.phases,
        failures=looked.failures,
        totals=cast("dict[str, int]", totals),
        sessions=record.sessions,
        sparse=sparse,
        damaged=looked.damaged,
        every=looked.every,
        holes=holes,
        parts=tuple(_parts(paths, now)),
    )


def _provenance(record: RunRecord, ledger: Ledger) -> Provenance | None:
    """Return the provenance of something made from a run now; None if it segmented nothing."""
    main = record.phases[0]
    if main.name != "segment":
        return None
    content = content_of(ledger, math.prod(main.grid))
    return Provenance(record.fingerprint, content, record.decisions["threshold"])


def _of_shares(out: Path, plan: SharedPlan) -> RunStatus:
    """Return the state of a run of which every part has a driver of its own."""
    name = plan.record.phases[0].name
    states = share_states(out, plan)
    parts = []
    for state in states:
        word = "not begun" if state.record is None else "stopped"
        if state.running:
            word = "running"
        elif state.settled:
            word = "incomplete" if state.failed else "complete"
        phase = PhaseStatus(name, state.blocks, state.done, state.failed)
        command = "" if state.record is None else _command(state.record)
        phases = () if state.record is None else (phase,)
        parts.append(PartStatus(f"part {state.share}", word, command, phases, ()))
    words = {part.state for part in parts}
    whole = "running" if "running" in words else "stopped"
    if words <= {"complete", "incomplete"}:
        whole = "not put together"
    return RunStatus(
        out=str(out),
        state=whole,
        command=blockseg_command("finalize", out)
        if whole == "not put together"
        else "",
        phases=(
            PhaseStatus(
                name,
                plan.record.phases[0].blocks,
                sum(state.done for state in states),
                sum(state.failed for state in states),
            ),
        ),
        failures=(),
        totals={},
        sessions=(),
        parts=tuple(parts),
    )


def _parts(run: Paths, now: Provenance | None) -> Iterator[PartStatus]:
    jobs: dict[str, list[tuple[RunRecord, PartStatus]]] = {}
    for folder in sorted(path for path in run.folder.iterdir() if path.is_dir()):
        paths = Paths(run.out, folder.name)
        record = RunRecord.of(paths)
        if record is None:
            continue
        part = part_status(paths, record)
        made = record.request["settings"].get(MADE_FROM)
        why = ""
        if now is not None and made is not None:
            why = what_is_stale(Provenance.from_plain(made), now)
        state = "stale" if why and part.state == "complete" else part.state
        found = replace(part, state=state, stale=why)
        jobs.setdefault(made_by(part.name), []).append((record, found))
    lock = RunLock(run.lock)
    at_work = lock.purpose_of_holder() if lock.is_held() else ""
    for name, members in jobs.items():
        yield together(name, members, str(run.out), running=at_work == name)


def part_status(paths: Paths, record: RunRecord) -> PartStatus:
    """Say how far a derived job is.

    Parameters
    ----------
    paths
        Of the derived job.
    record
        Its record.

    Raises
    ------
    LedgerError
        If its ledger is gone or cannot be read.
    """
    with _ledger(paths, record) as ledger:
        looked = _look(paths, record, ledger)
    return PartStatus(
        name=paths.part,
        state=_state(paths, looked),
        command=_command(record),
        phases=looked.phases,
        failures=looked.failures,
        damaged=looked.damaged,
    )


def _ledger(paths: Paths, record: RunRecord) -> Ledger:
    path = record.execution.get("ledger") or paths.ledger
    return Ledger.read(Path(path), record.fingerprint)


def _look(paths: Paths, record: RunRecord, ledger: Ledger) -> _Looked:
    damaged: tuple[str, ...] = ()
    every = 1
    if not _is_held(paths):  # else files are being written
        every = math.ceil(ledger.written.count() / _MOST_FILES) or 1
        found = find_damage(paths.out, ledger, ignore, every=every)
        damaged = tuple(f"{file.path} {file.what}" for file in found.files)
    phases: list[PhaseStatus] = []
    failures: list[FailedBlockStatus] = []
    summaries = tuple(ledger.summary(entry.name) for entry in record.phases)
    for entry, summary in zip(record.phases, summaries, strict=True):
        phases.append(
            PhaseStatus(entry.name, entry.blocks, summary.done, summary.failed)
        )
        failures += [
            FailedBlockStatus(
                entry.name,
                _index(row.block_id, entry.grid),
                row.attempts,
                row.error,
                row.traceback,
            )
            for row in ledger.failures(entry.name)
        ]
    return _Looked(summaries, tuple(phases), tuple(failures), damaged, every)


def _command(record: RunRecord) -> str:
    return str(record.sessions[-1]["command"]) if record.sessions else ""


def _state(paths: Paths, looked: _Looked) -> str:
    phases = looked.phases
    if _is_held(paths):
        return "running"
    if looked.damaged:
        return "damaged"
    if all(phase.done == phase.blocks for phase in phases):
        return "complete"
    settled = all(phase.done + phase.failed == phase.blocks for phase in phases)
    return "incomplete" if settled else "stopped"


def _is_held(paths: Paths) -> bool:
    """Say whether a process is at work on a run; or on a part, which holds both."""
    lock = RunLock(paths.lock)
    try:
        return lock.is_held() and not lock.purpose_of_holder()
    except (LedgerError, OSError):
        return False


def _index(block_id: int, counts: tuple[int, int, int]) -> tuple[int, int, int]:
    _, ny, nx = counts
    return (block_id // (ny * nx), block_id // nx % ny, block_id % nx)

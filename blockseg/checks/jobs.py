"""Jobs in an output: the run and what was derived from it, by their records and ledgers."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from blockseg.blockwise.begun_anew import command_again
from blockseg.blockwise.record.record import COPY, FOLDER, Paths, RunRecord
from blockseg.blockwise.shares.merge import share_states
from blockseg.blockwise.shares.plan import shared_plan
from blockseg.blockwise.store_state import paths_of
from blockseg.core.errors import LedgerError, VolumeError
from blockseg.core.text import blockseg_command
from blockseg.core.untrusted.files import RECORD_BYTES, read_text
from blockseg.io.output.create import has_data
from blockseg.runtime.ledger.integrity import ledger_problem
from blockseg.runtime.ledger.ledger import Ledger
from blockseg.runtime.run_lock import RunLock

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class StoredJob:
    """One job in an output, as far as it can be read."""

    paths: Paths
    """Paths of its files."""

    record: RunRecord | None
    """Its record: that on disk, or the ledger's copy of one that is gone or damaged."""

    ledger: Path
    """Path of its ledger, present or not."""

    record_problem: str = ""
    """Why the record on disk cannot be used; empty if it can."""

    ledger_problem: str = ""
    """Why the ledger cannot be used; empty if it can."""

    copy: str = ""
    """Content that the record on disk should have; empty if the ledger has no copy."""

    @property
    def part(self) -> str:
        """Name of the derived job; empty for the run itself."""
        return self.paths.part

    @property
    def usable(self) -> bool:
        """Whether record and ledger can both be read and belong to each other."""
        return not self.record_problem and not self.ledger_problem

    @property
    def command(self) -> str:
        """Command that does what is missing of it; empty if that is not known."""
        if self.record is None or not self.record.sessions:
            return ""
        if self.ledger_problem:
            return str(self.record.sessions[-1]["command"])
        return command_again(self.record, self.ledger, self.paths.out)

    def open(self) -> Ledger:
        """Open the ledger to read it.

        Raises
        ------
        LedgerError
            If it cannot be used.
        """
        record = self.record
        return Ledger.read(self.ledger, None if record is None else record.fingerprint)


def output_paths(out: str) -> Paths:
    """Return the paths of a run's files, if there is one.

    Raises
    ------
    VolumeError
        If there is no such output, or it is none of ours.
    """
    paths = paths_of(out)
    if not paths.folder.is_dir():
        message = f"{paths.out} is no output of blockseg: it has no folder {FOLDER}"
        raise VolumeError(message)
    return paths


def refuse_not_begun(paths: Paths) -> None:
    """Refuse an output that holds no run as a whole yet, and say how to get there.

    Parameters
    ----------
    paths
        Of the run.

    Raises
    ------
    VolumeError
        If its parts are not put together, or it was stopped before its first block.
    LedgerError
        If what its parts have written of themselves cannot be read.
    """
    out = paths.out
    if paths.record.exists() or paths.ledger.exists():
        return
    if isinstance(out, Path) and (plan := shared_plan(out)):
        states = share_states(out, plan)
        done, blocks = sum(one.done for one in states), plan.record.phases[0].blocks
        message = (
            f"{out} is a run in {plan.count} parts that are not put together: {done} of "
            f"{blocks} blocks are written; finish the parts "
            f"({blockseg_command('status', out)} has their commands), and then give: "
            f"{blockseg_command('finalize', out)}"
        )
        raise VolumeError(message)
    if not has_data(out, FOLDER):
        message = (
            f"{out} holds no block yet: its run was stopped before the first; give "
            "its command again"
        )
        raise VolumeError(message)


def stored_jobs(paths: Paths) -> list[StoredJob]:
    """Return the jobs in an output, the run itself first, then its parts by name.

    Ledgers are read whole, to see whether SQLite finds them intact.

    Parameters
    ----------
    paths
        Of the run.
    """
    return [_job(paths), *map(_job, _parts(paths))]


def run_of(out: str) -> StoredJob:
    """Return the run of an output whose record and ledger are as they should be.

    Raises
    ------
    VolumeError
        If there is no such output.
    LedgerError
        If record or ledger is gone or damaged; names the way out.
    """
    job = _job(output_paths(out))
    if problem := job.record_problem or job.ledger_problem:
        mend = blockseg_command("verify", job.paths.out, "--repair")
        message = f"{problem}; mend it with: {mend}"
        raise LedgerError(message)
    return job


@contextmanager
def held(paths: Paths, purpose: str) -> Iterator[None]:
    """Hold an output, so that nobody writes to it meanwhile; not one that is read-only.

    Parameters
    ----------
    paths
        Of the run.
    purpose
        How others call this process.

    Raises
    ------
    LedgerError
        If another process holds it.
    """
    if not os.access(paths.folder, os.W_OK):
        yield
        return
    with RunLock(paths.lock, purpose):
        yield


def _parts(run: Paths) -> Iterator[Paths]:
    for folder in sorted(run.folder.iterdir()):
        paths = Paths(run.out, folder.name)
        if folder.is_dir() and (paths.record.exists() or paths.ledger.exists()):
            yield paths


def _job(paths: Paths) -> StoredJob:
    problem, record = "", None
    try:
        record = RunRecord.of(paths)
        if record is None:
            problem = f"{paths.record} is gone"
    except LedgerError as error:
        problem = str(error).partition("; put it back")[0]
    place = None if record is None else record.execution.get("ledger")
    ledger = Path(place) if place else paths.ledger
    wrong = ledger_problem(ledger)
    text = "" if wrong else _copy(ledger)
    kept = _kept(text, paths)
    if wrong or record is None or kept is None:
        if record is not None and not wrong and not _same(ledger, record):
            problem = (
                f"{paths.record} and the ledger {ledger} do not belong to each other"
            )
        return StoredJob(paths, record or kept, ledger, problem, wrong, text)
    if not problem and not _agree(paths, text, record, kept):
        problem = f"{paths.record} is not as it was written"
    return StoredJob(paths, kept if problem else record, ledger, problem, wrong, text)


def _copy(ledger: Path) -> str:
    """Return the ledger's copy of the record; empty if it has none."""
    with Ledger.read(ledger) as opened:
        return opened.get(COPY) or ""


def _kept(text: str, paths: Paths) -> RunRecord | None:
    try:
        return RunRecord.from_text(text, paths.ledger) if text else None
    except LedgerError:
        return None


def _agree(paths: Paths, text: str, record: RunRecord, kept: RunRecord) -> bool:
    """Say whether a record and its copy are the same, or a kill came between the two."""
    if read_text(paths.record, RECORD_BYTES) == text:
        return True
    last = len(kept.sessions) - 1
    ended = [one.sessions[last:] for one in (record, kept)]
    if all(len(these) == 1 and "finished" in these[0] for these in ended):
        return False
    one, other = (
        (each.request, each.decisions, each.facts, each.version, each.sessions[:last])
        for each in (record, kept)
    )
    return one == other


def _same(ledger: Path, record: RunRecord) -> bool:
    with Ledger.read(ledger) as opened:
        return opened.fingerprint == record.fingerprint

"""Repair of an output: what is wrong is made again, as a run given again makes it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from blockseg.blockwise.record.record import FOLDER
from blockseg.blockwise.sources.damage import METADATA
from blockseg.checks.again import LABEL, SOMATA, TRACES, Again, can_go_on, go_on
from blockseg.checks.jobs import held, stored_jobs
from blockseg.checks.verification.findings import Finding, Kind
from blockseg.core.errors import LedgerError
from blockseg.io.output.atomic_files import replace_file
from blockseg.io.output.write_errors import write_error
from blockseg.runtime.events import Message
from blockseg.runtime.ledger.file import COMPANIONS
from blockseg.runtime.ledger.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from blockseg.blockwise.events import OnJobEvent
    from blockseg.blockwise.record.record import Paths
    from blockseg.checks.jobs import StoredJob
    from blockseg.checks.verification.findings import Verification
    from blockseg.config.settings import RunSettings

ASIDE = "set-aside"
"""Folder beside the record that takes what did not belong where it lay."""

_COARSE = "pyramid-"
_ANEW = (Kind.LEDGER, Kind.STALE)


def repair(
    paths: Paths,
    found: Verification,
    execution: RunSettings | None,
    on_event: OnJobEvent,
    command: str,
) -> list[str]:
    """Make again what a verification found wrong; nothing is deleted.

    Parameters
    ----------
    paths
        Of the run.
    found
        What is wrong.
    execution
        Settings of execution; as the jobs were run last, where they say nothing.
    on_event
        Told what happens.
    command
        What the user typed, for the record.

    Returns
    -------
    list of str
        What was done, a line each.

    Raises
    ------
    BlocksegError
        If it cannot begin, or what was asked of the run is known no more.
    """
    wrong = [one for one in found.findings if one.kind is not Kind.SOURCE]
    work = _Repair(paths, execution, on_event, command)
    others = sorted({one.part for one in wrong} - {"", *LABEL, *SOMATA, *TRACES})
    for names in (("",), LABEL, SOMATA, TRACES, *((part,) for part in others)):
        work.mend(names, [one for one in wrong if one.part in names])
    return work.done


@dataclass(slots=True)
class _Repair:
    paths: Paths
    execution: RunSettings | None
    on_event: OnJobEvent
    command: str
    done: list[str] = field(default_factory=list)

    def mend(self, names: tuple[str, ...], findings: list[Finding]) -> None:
        """Mend the run itself, or the parts that one command makes."""
        if not findings:
            return
        with held(self.paths, "verify"):
            for job in self._jobs(names):
                self._restore_record(job)
            jobs = self._jobs(names)
            last = jobs[-1]  # which knows all options of the command
            lost = not last.part and bool(last.ledger_problem)
            if lost:
                self._empty_ledger(last)
            anew = bool(last.part) and any(map(_from_the_start, findings))
            for job in jobs:
                mine = [one for one in findings if one.part == job.part]
                self._set_aside(one.file for one in mine if one.kind is Kind.FOREIGN)
                if job.usable and not anew:
                    _make_pending(job, mine)
        if not can_go_on(last):
            more = " --overwrite" if anew else ""
            self._say(
                f"what is wrong in {last.paths.name} can only be remade by its own command: "
                f"{last.command}{more}"
            )
            return
        what = last.part or "the run"
        self._say(f"{'remade' if anew else 'resumed'}: {what}")
        how = Again(self.execution, anew, lost, self.on_event, self.command)
        result = go_on(self._jobs(names)[-1], how)
        if not result.complete:
            self._say(f"{what} is not complete: {result.stopped or 'blocks failed'}")

    def _jobs(self, names: tuple[str, ...]) -> list[StoredJob]:
        """Return the existing jobs of these names, in this order."""
        there = {job.part: job for job in stored_jobs(self.paths)}
        return [there[name] for name in names if name in there]

    def _restore_record(self, job: StoredJob) -> None:
        if not job.record_problem:
            return
        if job.record is None or not job.copy or job.record.to_text() != job.copy:
            message = (
                f"{job.record_problem}, and {job.ledger} holds no copy of it: nothing "
                "tells any more what was asked; put the file back from a copy, or start "
                "anew with --overwrite"
            )
            raise LedgerError(message)
        if job.paths.record.exists():
            self._aside(job.paths.record)
        replace_file(job.paths.record, job.copy.encode())
        self._say(f"restored {job.paths.record} from the copy in the ledger")

    def _empty_ledger(self, job: StoredJob) -> None:
        """Begin a new ledger: what OUT proves by itself enters it block by block."""
        if job.record is None:
            message = f"{job.paths.record} cannot be read: {job.record_problem}"
            raise LedgerError(message)
        for end in ("", *COMPANIONS):
            path = job.ledger.with_name(job.ledger.name + end)
            if path.exists():
                self._aside(path)
        Ledger.create(job.ledger, job.record.fingerprint, job.paths.owner).close()
        self._say(
            "began a new ledger: blocks whose checksums prove what OUT holds are taken "
            "over, all others done again"
        )

    def _set_aside(self, files: Iterable[str]) -> None:
        for file in files:
            self._aside(self.paths.on_disk / file)

    def _aside(self, path: Path) -> None:
        """Move a file out of the way, where nothing reads it and nobody misses it."""
        folder = self.paths.folder / ASIDE
        try:
            name = path.relative_to(self.paths.on_disk).as_posix()
        except ValueError:  # a ledger elsewhere
            name = path.name
        flat = name.removeprefix(f"{FOLDER}/").replace("/", "_")
        try:
            folder.mkdir(exist_ok=True)
            number = 0
            while (target := folder / f"{flat}.{number}").exists():
                number += 1
            shutil.move(path, target)
        except OSError as error:
            raise write_error(error, str(path)) from error
        self._say(f"set aside {name}, as {target.relative_to(self.paths.on_disk)}")

    def _say(self, line: str) -> None:
        self.done.append(line)
        self.on_event(Message(line))


def _from_the_start(finding: Finding) -> bool:
    """Return whether a derived job has to start afresh for a finding."""
    # Of what pieces were merged from nothing is kept.
    return finding.kind in _ANEW or finding.part in LABEL[:1]


def _make_pending(job: StoredJob, findings: list[Finding]) -> None:
    """Make blocks pending whose files or voxels are wrong, and levels above them."""
    record = job.record
    if record is None:
        return
    names = {phase.name for phase in record.phases}
    with Ledger.open(job.ledger, record.fingerprint) as ledger:
        for one in findings:
            if one.kind not in (Kind.DAMAGED, Kind.VOXELS, Kind.LEVELS):
                continue
            if one.phase not in names:
                if one.phase != METADATA:  # which every start compares and writes
                    ledger.written.put(one.phase, ())
            elif one.block is not None and not one.phase.startswith(_COARSE):
                ledger.reset(one.phase, [one.block])
            else:
                for name in names:
                    if name.startswith(_COARSE):
                        ledger.reset(name)

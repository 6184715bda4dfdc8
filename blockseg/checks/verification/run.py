"""``blockseg verify``: every byte of OUT against what the ledgers say was written."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from blockseg.blockwise.events import OnJobEvent, ignore
from blockseg.blockwise.planning.decisions import decisions_from
from blockseg.checks.jobs import (
    held,
    output_paths,
    refuse_not_begun,
    stored_jobs,
)
from blockseg.checks.verification.files import (
    KnownFiles,
    compare_files,
    strange_files,
    unknown_blocks,
)
from blockseg.checks.verification.findings import (
    Finding,
    Kind,
    Unfinished,
    Verification,
)
from blockseg.checks.verification.images import JobImages
from blockseg.checks.verification.source import compare_source
from blockseg.checks.verification.stale import stale_parts
from blockseg.checks.verification.voxels import VoxelCheck, blocks_to_decode
from blockseg.config.checks_settings import VerifySettings
from blockseg.core.text import counted
from blockseg.runtime.events import Message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blockseg.blockwise.record.record import Paths
    from blockseg.checks.jobs import StoredJob
    from blockseg.config.settings import RunSettings
    from blockseg.runtime.ledger.ledger import Ledger

_PURPOSE = "verify"

_ROUNDS = 3
"""Repairs in a row: a record, a ledger or metadata that are mended show what they hid."""


def verify(
    out: str,
    settings: VerifySettings | None = None,
    execution: RunSettings | None = None,
    *,
    on_event: OnJobEvent = ignore,
    command: str = "",
) -> Verification:
    """Compare an output with its ledgers, and repair what is wrong if asked to.

    Parameters
    ----------
    out
        Output of any command that has a ledger.
    settings
        What is compared, and whether to repair.
    execution
        How a repair is run; as the run was, where it says nothing.
    on_event
        Told what takes long, and what a repair does.
    command
        What the user typed, for the record of a repair.

    Raises
    ------
    BlocksegError
        If there is no such output, another process writes to it, or a repair cannot
        begin.
    """
    from blockseg.checks.verification.repair import repair

    settings = settings or VerifySettings()
    paths = output_paths(out)
    refuse_not_begun(paths)
    with held(paths, _PURPOSE):
        found = _look(paths, settings, on_event)
    if not settings.repair:
        return found
    done: list[str] = []
    known: set[Finding] = set()
    for _ in range(_ROUNDS):
        new = set(found.findings) - known
        if not new:
            break
        known |= new
        done += repair(paths, found, execution, on_event, command)
        with held(paths, _PURPOSE):
            found = _look(paths, settings, on_event)
    return replace(found, repaired=tuple(done))


def _look(paths: Paths, settings: VerifySettings, on_event: OnJobEvent) -> Verification:
    with ExitStack() as stack:
        return _Verifying(paths, settings, on_event, stack).run()


@dataclass(slots=True)
class _Verifying:
    paths: Paths
    settings: VerifySettings
    on_event: OnJobEvent
    stack: ExitStack
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unfinished: list[Unfinished] = field(default_factory=list)
    blocks: int = 0

    def run(self) -> Verification:
        # 1. Records and ledgers: without them nothing else can be told.
        jobs = stored_jobs(self.paths)
        for job in jobs:
            self._usable(job)
        opened = [self._open(job) for job in jobs if job.usable]
        # 2. Blocks that are not written, or in quarantine.
        for job, ledger, _ in opened:
            if missing := list(_unfinished(job, ledger)):
                self.findings += missing
                self.unfinished.append(_how_far(job, ledger))
        # 3. Every file that a ledger tells of, and those that none does.
        self.on_event(
            Message("reading every file of OUT to compare it with the ledger")
        )
        known, began = KnownFiles(), time.monotonic()
        for job, ledger, _ in opened:
            self.findings += compare_files(job, ledger, known, self.on_event)
        seconds = time.monotonic() - began
        if all(job.usable for job in jobs):  # else nobody knows whose a file is
            strange, notes = strange_files(self.paths.out, opened, known)
            self.findings += strange
            self.notes += notes
        # 4. Voxels: against the ledger, the mask, the level below.
        for job, ledger, images in opened:
            self._voxels(job, ledger, images)
        # 5. Derived parts, and the source.
        if opened and not opened[0][0].part:
            run, ledger, _ = opened[0]
            parts = [job for job in jobs if job.part]
            self.findings += stale_parts(run, ledger, parts)
            if self.settings.source:
                self.on_event(Message("reading the source again, block by block"))
                self.findings += compare_source(run, ledger, self.on_event, self.notes)
        return Verification(
            self.paths.out,
            tuple(self.findings),
            tuple(self.notes),
            known.looked_at,
            known.bytes,
            seconds,
            self.blocks,
            unfinished=tuple(self.unfinished),
        )

    def _usable(self, job: StoredJob) -> None:
        if job.record_problem:
            self.findings.append(Finding(Kind.RECORD, job.record_problem, job.part))
        if job.ledger_problem:
            self.findings.append(Finding(Kind.LEDGER, job.ledger_problem, job.part))
        if job.usable and not job.copy:
            self.notes.append(
                f"{job.paths.record} has no copy in its ledger: a blockseg that made "
                "none wrote it last, and could not be compared"
            )

    def _open(self, job: StoredJob) -> tuple[StoredJob, Ledger, JobImages]:
        if job.record is None:  # which a usable job has
            raise AssertionError(job)
        images = JobImages.of(self.paths.out, job.record)
        return job, self.stack.enter_context(job.open()), images

    def _voxels(self, job: StoredJob, ledger: Ledger, images: JobImages) -> None:
        unknown = unknown_blocks(ledger, images)
        blocks = blocks_to_decode(ledger, images, unknown, deep=self.settings.deep)
        if not images.images:
            return
        if len(unknown):
            self.notes.append(
                "a blockseg that kept no checksums of files wrote "
                f"{counted(len(unknown), 'block')} of {job.part or 'the run'}: the voxels "
                "were decoded and compared with the checksums of voxels in the ledger"
            )
        if images.lost:
            self.notes.append(
                f"the metadata of {' and '.join(images.lost) or 'OUT'} cannot be read: "
                "its voxels were not decoded"
            )
        check = VoxelCheck(
            self.paths.out,
            images,
            job.part,
            _threshold(images),
            ledger.column(images.main, "digest", len(images.grid(images.images[0]))),
            frozenset(
                phase.name
                for phase in images.record.phases
                if ledger.summary(phase.name).done == phase.blocks
            ),
        )
        whole = self.settings.deep or len(unknown) > 0
        self.findings += check.run(blocks, whole=whole)
        self.blocks += len(blocks)


def _threshold(images: JobImages) -> int | None:
    if images.main != "segment":
        return None
    return decisions_from(images.record.decisions).threshold


def _unfinished(job: StoredJob, ledger: Ledger) -> Iterator[Finding]:
    if job.record is None:
        return
    for phase in job.record.phases:
        summary = ledger.summary(phase.name)
        left = phase.blocks - summary.done - summary.failed
        if summary.failed:
            what = f"{summary.failed} of {phase.blocks} blocks failed"
            yield Finding(
                Kind.UNFINISHED, f"{phase.name}: {what}", job.part, phase.name
            )
        if left > 0:
            what = f"{left} of {phase.blocks} blocks are not written"
            yield Finding(
                Kind.UNFINISHED, f"{phase.name}: {what}", job.part, phase.name
            )


def _how_far(job: StoredJob, ledger: Ledger) -> Unfinished:
    phases = () if job.record is None else job.record.phases
    summaries = [ledger.summary(phase.name) for phase in phases]
    return Unfinished(
        job.part,
        sum(summary.done for summary in summaries),
        sum(summary.failed for summary in summaries),
        sum(phase.blocks for phase in phases),
        job.command,
    )

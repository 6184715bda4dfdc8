"""Repair of an earlier session's work: what failed, is gone or damaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from blockseg.blockwise.events import ignore
from blockseg.blockwise.sources.damage import find_damage
from blockseg.core.blocks import BlockState
from blockseg.core.text import counted
from blockseg.io.output.create import missing_files
from blockseg.runtime.events import Message
from blockseg.runtime.ledger.ledger import STATE_CODES, Ledger

if TYPE_CHECKING:
    from collections.abc import Iterable

    from blockseg.blockwise.events import OnJobEvent
    from blockseg.blockwise.job import Job
    from blockseg.blockwise.task import Phase

_FEW_FILES = 100_000  # which are looked at in seconds


def try_again(job: Job, ledger: Ledger, on_event: OnJobEvent) -> None:
    """Make pending what failed before, and what is called done but is not on disk so.

    Sizes of files are always compared with those that the ledger keeps, their contents
    where the user asks for it.

    Raises
    ------
    LedgerError
        If the ledger cannot be read.
    """
    if job.settings.verify:
        on_event(Message("reading every file of OUT to compare it with the ledger"))
    damage = find_damage(job.paths.out, ledger, on_event, contents=job.settings.verify)
    if damage.files:
        on_event(
            Message(f"{damage.counted()} damaged and made again: {damage.described()}")
        )
    elif job.settings.verify:
        on_event(
            Message(f"all {damage.looked_at} files of OUT are as they were written")
        )
    unknown = 0
    for phase in (job.main, *job.coarse):
        _reset(ledger, phase, (row.block_id for row in ledger.failures(phase.name)))
        again = damage.blocks.get(phase.name, set())
        gone, unsure = _without_files(ledger, phase)
        unknown += unsure
        if _reset(ledger, phase, again | gone):
            _reset_above(job, ledger, phase)
    if unknown and job.settings.verify:
        on_event(
            Message(
                "a blockseg that kept no checksums wrote "
                f"{counted(unknown, 'block')}: there it was only looked whether the files "
                "exist"
            )
        )


def nothing_left(job: Job) -> bool:
    """Say whether every block of a job is done and its files lie on disk, as far as known.

    False where a look would take long: it only saves the start of workers.

    Raises
    ------
    LedgerError
        If the ledger cannot be read.
    """
    if not job.resumed or job.settings.verify or not job.ledger.exists():
        return False
    with Ledger.read(job.ledger, job.record.fingerprint) as ledger:
        if ledger.written.count() > _FEW_FILES:
            return False
        for phase in (job.main, *job.coarse):
            blocks = job.candidates if phase is job.main else phase.blocks
            states = ledger.states(phase.name, len(phase.grid))[blocks]
            if (states != STATE_CODES[BlockState.DONE]).any():
                return False
        return not find_damage(job.paths.out, ledger, ignore).files


def _without_files(ledger: Ledger, phase: Phase) -> tuple[set[int], int]:
    """Return the blocks whose files are gone, of those whose files are not known.

    And how many of these are there: an earlier blockseg wrote them.
    """
    known = ledger.written.known(phase.name, len(phase.grid))
    gone: set[int] = set()
    unknown = 0
    for stored in phase.stored:
        if stored.column is None:
            continue
        nonzero = ledger.column(phase.name, stored.column, len(phase.grid))
        blocks = np.flatnonzero((nonzero > 0) & ~known).tolist()
        gone.update(missing_files(stored.pyramid, blocks, stored.level))
        unknown = max(unknown, len(blocks))
    return gone, unknown


def _reset(ledger: Ledger, phase: Phase, ids: Iterable[int]) -> bool:
    blocks = sorted(ids)
    if blocks:
        ledger.reset(phase.name, blocks)
    return bool(blocks)


def _reset_above(job: Job, ledger: Ledger, phase: Phase) -> None:
    """Remake coarser levels: they may have been made from what was damaged."""
    for stored in phase.stored:
        for coarse in job.coarse:
            if any(
                other.pyramid == stored.pyramid and other.level > stored.level
                for other in coarse.stored
            ):
                ledger.reset(coarse.name)

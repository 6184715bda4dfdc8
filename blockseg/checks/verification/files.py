"""Files of an output: as they were written, missing, and those that nobody wrote."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from blockseg.blockwise.record.record import FOLDER
from blockseg.blockwise.sources.damage import find_damage
from blockseg.checks.verification.findings import Finding, Kind
from blockseg.core.blocks import BlockState
from blockseg.io.output.written_files import DOCUMENTS, LEFT_BEHIND
from blockseg.io.stores.location import RemotePath
from blockseg.reports.write import FILE as REPORT
from blockseg.runtime.ledger.ledger import STATE_CODES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from blockseg.blockwise.events import OnJobEvent
    from blockseg.checks.jobs import StoredJob
    from blockseg.checks.verification.images import JobImages
    from blockseg.io.stores.location import Location
    from blockseg.runtime.ledger.ledger import Ledger

_SHOWN = 3


@dataclass(slots=True)
class KnownFiles:
    """Files that the ledgers of an output tell of, and others that were met."""

    known: set[str] = field(default_factory=set)
    """Below the output, '/'-separated."""

    looked_at: int = 0
    """Number of files that were compared."""

    bytes: int = 0
    """Bytes in them."""


def compare_files(
    job: StoredJob, ledger: Ledger, found: KnownFiles, on_event: OnJobEvent
) -> Iterator[Finding]:
    """Yield the files of a job that are not as they were written; read in parallel.

    Parameters
    ----------
    job, ledger
        The job.
    found
        Takes what is known of files.
    on_event
        Told from time to time how far it is.

    Raises
    ------
    LedgerError
        If the ledger cannot be read.
    """
    written = ledger.written
    for phase in written.phases():
        for _, file in written.of(phase):
            found.known.add(file.path)
            found.bytes += file.size
    damage = find_damage(job.paths.out, ledger, on_event, contents=True)
    found.looked_at += damage.looked_at
    for name, one in zip(damage.phases, damage.files, strict=True):
        yield Finding(
            Kind.DAMAGED,
            f"{one.path} {one.what}",
            job.part,
            name,
            one.block_id,
            one.path,
        )


def strange_files(
    out: Location,
    jobs: list[tuple[StoredJob, Ledger, JobImages]],
    found: KnownFiles,
) -> tuple[list[Finding], list[str]]:
    """Return files among a job's voxels that no job wrote, and notes on other strangers.

    A file that lies where a block of zeros has none would be read as voxels.

    Parameters
    ----------
    out
        The output.
    jobs
        All jobs that can be read, with their ledgers and images.
    found
        Files that the ledgers tell of.
    """
    findings: list[Finding] = []
    strangers: list[str] = []
    left: list[str] = []
    passes: dict[tuple[str, str], _Blocks] = {}
    for file in _walk(out):
        if file in found.known or file == REPORT:
            continue
        if file.endswith(LEFT_BEHIND):
            left.append(file)
            continue
        for job, ledger, images in jobs:
            if images.is_array(file):
                findings += _among_voxels(job, ledger, images, file, passes)
                break
        else:
            if not file.endswith(DOCUMENTS):
                strangers.append(file)
    notes = []
    if left:
        notes.append(
            f"{_named(left)} left by a writer that was killed: harmless, and removed or "
            "replaced when the run is given again"
        )
    if strangers:
        notes.append(f"{_named(strangers)} no ledger tells of, and left alone")
    return findings, notes


@dataclass(frozen=True, slots=True)
class _Blocks:
    """State of the blocks of one pass."""

    done: NDArray[np.bool_]
    empty: NDArray[np.bool_]
    known: NDArray[np.bool_]
    complete: bool

    @classmethod
    def of(cls, ledger: Ledger, images: JobImages, phase: str) -> _Blocks:
        count = math.prod(images.counts(phase))
        done = ledger.states(phase, count) == STATE_CODES[BlockState.DONE]
        (wanted,) = (p.blocks for p in images.record.phases if p.name == phase)
        return cls(
            done,
            ledger.column(phase, "nonzero", count) == 0,
            ledger.written.known(phase, count),
            int(done.sum()) == wanted,
        )


def _among_voxels(
    job: StoredJob,
    ledger: Ledger,
    images: JobImages,
    file: str,
    passes: dict[tuple[str, str], _Blocks],
) -> Iterator[Finding]:
    if file.endswith(DOCUMENTS):
        return  # of an earlier blockseg, which kept no checksums of them
    writer = images.writer_of(file)
    if writer is None:
        what = f"{file} lies among the voxels of OUT, and blockseg did not write it"
        yield Finding(Kind.FOREIGN, what, job.part, file=file)
        return
    phase, block = writer
    place = (job.part, phase)
    if place not in passes:
        passes[place] = _Blocks.of(ledger, images, phase)
    blocks = passes[place]
    if not (blocks.done[block] or blocks.complete):
        return  # written when the run was killed, and done again
    if not blocks.known[block] and not blocks.empty[block]:
        return  # of an earlier blockseg, which kept no checksums
    what = f"{file} holds voxels where the run wrote none"
    yield Finding(Kind.FOREIGN, what, job.part, phase, block, file)


def _walk(out: Location) -> Iterator[str]:
    """Yield every file below an output, its own notes aside."""
    if isinstance(out, RemotePath):
        keys = (key for key, _ in out.below())
        yield from (key for key in keys if not key.startswith(f"{FOLDER}/"))
        return
    for place, folders, names in os.walk(out):
        if Path(place) == out and FOLDER in folders:
            folders.remove(FOLDER)
        folders.sort()
        within = Path(place).relative_to(out).as_posix()
        before = "" if within == "." else f"{within}/"
        yield from (f"{before}{name}" for name in sorted(names))


def _named(files: list[str]) -> str:
    shown = ", ".join(files[:_SHOWN])
    more = len(files) - _SHOWN
    return f"{shown} and {more} more files:" if more > 0 else f"{shown}:"


def unknown_blocks(ledger: Ledger, images: JobImages) -> NDArray[np.int64]:
    """Return the written blocks of a job's main pass of which no files are known.

    Parameters
    ----------
    ledger, images
        Of the job.
    """
    if not images.images:
        return np.empty(0, np.int64)
    blocks = _Blocks.of(ledger, images, images.main)
    return np.flatnonzero(blocks.done & ~blocks.empty & ~blocks.known)

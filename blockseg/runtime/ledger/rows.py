"""The ledger's tables, and its rows as values."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict, cast

from blockseg.core.blocks import BlockState
from blockseg.runtime.ledger.holes import HOLES, HOLES_BY_BLOCK
from blockseg.runtime.ledger.reads import SOURCE_TABLES
from blockseg.runtime.ledger.written import FILES

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping
    from typing import Self

    from blockseg.core.blocks import BlockReport

VERSION = "2"
"""Version of the schema; a ledger of another one is refused."""


class BlockSums(TypedDict):
    """Sums over blocks, by the columns that are added up."""

    written: int
    computed: int
    skipped: int
    read_bytes: int
    decoded_bytes: int
    foreground: int
    nonzero: int
    nonfinite: int


SUMMED = tuple(BlockSums.__annotations__)
"""Columns of whole numbers that add up over blocks."""

COLUMNS = (
    "phase",
    "block_id",
    "state",
    "attempts",
    *SUMMED,
    "digest",
    "seconds",
    "note",
    "error",
    "traceback",
    "finished",
)
"""Columns of the table ``blocks``, in order."""

SCHEMA = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID",
    """
    CREATE TABLE blocks (
        phase TEXT NOT NULL,
        block_id INTEGER NOT NULL,
        state TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        written INTEGER NOT NULL,
        computed INTEGER NOT NULL,
        skipped INTEGER NOT NULL,
        read_bytes INTEGER NOT NULL,
        decoded_bytes INTEGER NOT NULL,
        foreground INTEGER NOT NULL,
        nonzero INTEGER NOT NULL,
        nonfinite INTEGER NOT NULL,
        digest INTEGER NOT NULL,
        seconds TEXT NOT NULL,
        note TEXT NOT NULL,
        error TEXT NOT NULL,
        traceback TEXT NOT NULL,
        finished REAL NOT NULL,
        PRIMARY KEY (phase, block_id)
    ) WITHOUT ROWID
    """,
    # States are asked for by themselves, over a million rows: keep them together.
    "CREATE INDEX by_state ON blocks (phase, state, block_id)",
    # Kept as a sum: to add it up over a million rows takes seconds.
    """
    CREATE TABLE spent (
        phase TEXT NOT NULL,
        activity TEXT NOT NULL,
        seconds REAL NOT NULL,
        PRIMARY KEY (phase, activity)
    ) WITHOUT ROWID
    """,
    # Apart from the rows, which are scanned whole.
    """
    CREATE TABLE payloads (
        phase TEXT NOT NULL,
        block_id INTEGER NOT NULL,
        payload BLOB NOT NULL,
        PRIMARY KEY (phase, block_id)
    )
    """,
)
"""Statements that make an empty ledger."""

ADDED = (FILES, HOLES, HOLES_BY_BLOCK, *SOURCE_TABLES)
"""Tables that came later: made where a ledger is written to that lacks them."""


@dataclass(frozen=True, slots=True)
class FailedBlock:
    """A block that was given up."""

    block_id: int
    """C-order number in the phase's grid."""

    attempts: int
    """Number of attempts."""

    error: str
    """One line."""

    traceback: str
    """Traceback of the last error."""


@dataclass(frozen=True, slots=True)
class PhaseSummary:
    """Sums over a phase's blocks."""

    done: int
    """Blocks done."""

    failed: int
    """Blocks given up."""

    totals: BlockSums
    """Sums over the blocks done."""

    seconds: Mapping[str, float]
    """Wall seconds by activity, of all workers; blocks done again count again."""

    noted: int
    """Blocks done otherwise than planned."""

    started: float
    """Time of the first entry, in seconds since the epoch; 0 if there is none."""

    finished: float
    """Time of the last entry, in seconds since the epoch; 0 if there is none."""

    @classmethod
    def of(cls, connection: sqlite3.Connection, phase: str) -> Self:
        """Add up, over rows as they are now."""
        sums = ", ".join(f"TOTAL({name})" for name in SUMMED)
        row = connection.execute(
            f"SELECT COUNT(*), {sums}, COUNT(NULLIF(note, '')), "
            "MIN(finished), MAX(finished) FROM blocks WHERE phase = ? AND state = ?",
            (phase, BlockState.DONE),
        ).fetchone()
        (failed,) = connection.execute(
            "SELECT COUNT(*) FROM blocks WHERE phase = ? AND state = ?",
            (phase, BlockState.FAILED),
        ).fetchone()
        seconds = connection.execute(
            "SELECT activity, seconds FROM spent WHERE phase = ?", (phase,)
        ).fetchall()
        done, *totals, noted, started, finished = row
        return cls(
            done=done,
            failed=failed,
            totals=cast("BlockSums", dict(zip(SUMMED, map(int, totals), strict=True))),
            seconds=dict(seconds),
            noted=noted,
            started=started or 0.0,
            finished=finished or 0.0,
        )


def to_row(
    phase: str, report: BlockReport, attempts: int, now: float
) -> tuple[object, ...]:
    """Return the row of a report, in the order of COLUMNS."""
    return (
        phase,
        report.block_id,
        report.state,
        attempts,
        *(getattr(report, name) for name in SUMMED),
        report.digest,
        json.dumps(dict(report.seconds)),
        report.note,
        report.error,
        report.traceback,
        now,
    )


def counted_notes(connection: sqlite3.Connection, phase: str) -> dict[str, int]:
    """Return the ways in which blocks departed from the plan, with their numbers."""
    rows = connection.execute(
        "SELECT note, COUNT(*) FROM blocks "
        "WHERE phase = ? AND state = ? AND note != '' GROUP BY note ORDER BY note",
        (phase, BlockState.DONE),
    )
    return dict(rows.fetchall())


def recent_blocks(
    connection: sqlite3.Connection, phase: str, most: int
) -> list[tuple[float, int]]:
    """Return times in seconds since the epoch, and voxels, of the last blocks done."""
    rows = connection.execute(
        "SELECT finished, written FROM blocks WHERE phase = ? AND state = ? "
        "ORDER BY finished DESC LIMIT ?",
        (phase, BlockState.DONE, most),
    )
    return [(float(when), int(voxels)) for when, voxels in rows]

"""The ledger's table of holes: where blocks found no data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockseg.core.geometry import Roi
from blockseg.core.holes import Hole
from blockseg.runtime.ledger.file import forget, rows_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
    from pathlib import Path

    from blockseg.core.blocks import BlockReport

HOLES = """
    CREATE TABLE IF NOT EXISTS holes (
        phase TEXT NOT NULL,
        block_id INTEGER NOT NULL,
        voxels INTEGER NOT NULL,
        z0 INTEGER NOT NULL, y0 INTEGER NOT NULL, x0 INTEGER NOT NULL,
        z1 INTEGER NOT NULL, y1 INTEGER NOT NULL, x1 INTEGER NOT NULL
    )
    """
"""Makes the table."""

HOLES_BY_BLOCK = "CREATE INDEX IF NOT EXISTS holes_by_block ON holes (phase, block_id)"
"""Makes its index, without which each block that is entered looks at all holes."""


def enter_holes(
    cursor: sqlite3.Cursor, phase: str, reports: Iterable[BlockReport]
) -> None:
    """Enter the holes of blocks in place of those known of them before."""
    known = list(reports)
    forget(cursor, "holes", phase, (report.block_id for report in known))
    cursor.executemany(
        "INSERT INTO holes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (phase, report.block_id, hole.voxels, *hole.roi.start, *hole.roi.stop)
            for report in known
            for hole in report.holes
        ),
    )


def known_holes(path: Path, connection: sqlite3.Connection, phase: str) -> list[Hole]:
    """Return the holes of a phase's blocks, by ascending id; none of older ledgers."""
    query = (
        "SELECT voxels, z0, y0, x0, z1, y1, x1 FROM holes WHERE phase = ? "
        "ORDER BY block_id, z0, y0, x0"
    )
    rows = rows_of(path, connection, "holes", query, phase)
    return [
        Hole(Roi((z0, y0, x0), (z1, y1, x1)), voxels)
        for voxels, z0, y0, x0, z1, y1, x1 in rows
    ]

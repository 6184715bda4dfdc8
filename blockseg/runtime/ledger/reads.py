"""Sources of a run in the ledger: what blocks read, which files were damaged.

Tables of their own, made where they are missing: a ledger of an earlier version has none,
and its run goes on without. Rows stay when a block is made pending again, for then it is
read again.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from blockseg.runtime.ledger.file import (
    OpenRows,
    errors_of,
    forget,
    rows_of,
    transaction,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from blockseg.core.blocks import BlockReport

SOURCE_TABLES = (
    """
    CREATE TABLE IF NOT EXISTS reads (
        phase TEXT NOT NULL,
        block_id INTEGER NOT NULL,
        sums TEXT NOT NULL,
        PRIMARY KEY (phase, block_id)
    ) WITHOUT ROWID
    """,
    "CREATE TABLE IF NOT EXISTS damaged (file TEXT PRIMARY KEY) WITHOUT ROWID",
    """
    CREATE TABLE IF NOT EXISTS source_files (name TEXT PRIMARY KEY, content BLOB NOT NULL)
    """,
)
"""Statements that make the tables."""


def enter_reads(
    cursor: sqlite3.Cursor, phase: str, reports: Iterable[BlockReport]
) -> None:
    """Enter what blocks read and which files they found damaged, in a transaction."""
    known = list(reports)
    cursor.executemany(
        "INSERT OR REPLACE INTO reads VALUES (?, ?, ?)",
        (
            (phase, report.block_id, json.dumps(report.reads))
            for report in known
            if report.reads
        ),
    )
    cursor.executemany(
        "INSERT OR IGNORE INTO damaged VALUES (?)",
        ((report.damaged,) for report in known if report.damaged),
    )


class SourceRows(OpenRows):
    """The rows of one open ledger."""

    def reads(
        self, phase: str, *, unfinished: bool = False
    ) -> dict[int, tuple[int, ...]]:
        """Return the checksums of what blocks read, by block.

        Parameters
        ----------
        phase
            Whose blocks.
        unfinished
            Whether to leave out those that are done or given up.
        """
        rest = (
            "AND NOT EXISTS (SELECT 1 FROM blocks WHERE blocks.phase = reads.phase "
            "AND blocks.block_id = reads.block_id)"
        )
        query = f"SELECT block_id, sums FROM reads WHERE phase = ? {rest * unfinished}"
        with errors_of(self._path):
            rows = rows_of(self._path, self._connection, "reads", query, phase)
            return {block: tuple(json.loads(sums)) for block, sums in rows}

    def damaged(self) -> list[str]:
        """Return the files whose damage made blocks fail, in this session or before."""
        query = "SELECT file FROM damaged ORDER BY file"
        rows = rows_of(self._path, self._connection, "damaged", query)
        return [file for (file,) in rows]

    def files(self, name: str) -> bytes | None:
        """Return the stored state of a source's files; None if there is none."""
        query = "SELECT content FROM source_files WHERE name = ?"
        rows = rows_of(self._path, self._connection, "source_files", query, name)
        row = next(rows, None)
        return None if row is None else bytes(row[0])

    def settle(
        self,
        name: str,
        files: bytes,
        phase: str,
        unread: Sequence[int] = (),
        pending: Sequence[int] = (),
    ) -> None:
        """Take a source as it is now, and forget what blocks read of it before.

        Parameters
        ----------
        name
            Of the source.
        files
            What to keep of its files.
        phase
            Whose blocks the others are.
        unread
            Blocks that may read something else the next time.
        pending
            Blocks to make pending again.
        """
        with errors_of(self._path), transaction(self._connection) as cursor:
            cursor.execute(
                "INSERT OR REPLACE INTO source_files VALUES (?, ?)", (name, files)
            )
            for table, blocks in (
                ("reads", unread),
                ("blocks", pending),
                ("payloads", pending),
            ):
                forget(cursor, table, phase, blocks)

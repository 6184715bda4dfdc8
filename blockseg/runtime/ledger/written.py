"""The ledger's table of files: what each block wrote, by which damage is found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.blocks import BlockReport
from blockseg.core.stored_file import StoredFile
from blockseg.runtime.ledger.file import (
    OpenRows,
    errors_of,
    forget,
    rows_of,
    transaction,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

FILES = """
    CREATE TABLE IF NOT EXISTS files (
        phase TEXT NOT NULL,
        block_id INTEGER NOT NULL,
        path TEXT NOT NULL,
        size INTEGER NOT NULL,
        crc INTEGER NOT NULL,
        PRIMARY KEY (phase, block_id, path)
    ) WITHOUT ROWID
    """
"""Makes the table."""


def enter_files(
    cursor: sqlite3.Cursor, phase: str, reports: Iterable[BlockReport]
) -> None:
    """Enter what blocks wrote, in place of what they wrote before."""
    known = list(reports)
    forget(cursor, "files", phase, (report.block_id for report in known))
    cursor.executemany(
        "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)",
        (
            (phase, report.block_id, file.path, file.size, file.crc)
            for report in known
            for file in report.files
        ),
    )


class FileRows(OpenRows):
    """The files that one open ledger knows; none in a ledger from before there were."""

    def phases(self) -> list[str]:
        """Return the names under which files were entered, phases and others."""
        rows = self._rows("SELECT DISTINCT phase FROM files")
        return [str(phase) for (phase,) in rows]

    def count(self) -> int:
        """Return the number of entered files."""
        return sum(count for (count,) in self._rows("SELECT COUNT(*) FROM files"))

    def of(self, phase: str, every: int = 1) -> Iterator[tuple[int, StoredFile]]:
        """Yield what each block of a phase wrote, by ascending id.

        Parameters
        ----------
        phase
            Whose blocks.
        every
            Of so many blocks in a row the first alone.
        """
        rows = self._rows(
            "SELECT block_id, path, size, crc FROM files WHERE phase = ? "
            f"AND block_id % {every:d} = 0 ORDER BY block_id, path",
            phase,
        )
        for block_id, *row in rows:
            yield block_id, StoredFile(*row)

    def known(self, phase: str, count: int) -> NDArray[np.bool_]:
        """Return which blocks, 0 to ``count`` - 1, have entered files."""
        rows = self._rows("SELECT DISTINCT block_id FROM files WHERE phase = ?", phase)
        ids = np.fromiter((block_id for (block_id,) in rows), np.int64)
        known = np.zeros(count, bool)
        known[ids[ids < count]] = True
        return known

    def put(self, name: str, files: Iterable[StoredFile]) -> None:
        """Enter files that no block wrote, in place of those of the same name."""
        with errors_of(self._path), transaction(self._connection) as cursor:
            cursor.execute("DELETE FROM files WHERE phase = ?", (name,))
            enter_files(cursor, name, [BlockReport(0, files=tuple(files))])

    def _rows(self, query: str, *values: str) -> Iterator[tuple[Any, ...]]:
        return rows_of(self._path, self._connection, "files", query, *values)

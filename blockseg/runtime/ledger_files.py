"""The ledger's table of files: what each block wrote, by which damage is found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockseg.core.files import StoredFile

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

    from blockseg.core.blocks import BlockReport

__all__ = ["enter_files", "file_phases", "file_rows", "forget_files", "known_blocks"]

_INSERT = "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)"


def enter_files(
    cursor: sqlite3.Cursor, phase: str, reports: Iterable[BlockReport]
) -> None:
    """Enter what blocks wrote, in place of what they wrote before."""
    known = [(phase, report) for report in reports]
    forget_files(cursor, phase, (report.block_id for _, report in known))
    cursor.executemany(
        _INSERT,
        (
            (phase, report.block_id, file.path, file.size, file.crc)
            for phase, report in known
            for file in report.files
        ),
    )


def forget_files(
    cursor: sqlite3.Cursor, phase: str, ids: Iterable[int] | None = None
) -> None:
    """Remove the rows of some blocks, or of a whole phase."""
    if ids is None:
        cursor.execute("DELETE FROM files WHERE phase = ?", (phase,))
        return
    cursor.executemany(
        "DELETE FROM files WHERE phase = ? AND block_id = ?",
        ((phase, int(i)) for i in ids),
    )


def file_phases(connection: sqlite3.Connection) -> list[str]:
    """Return the phases that have files; none in a ledger from before there were."""
    if not _has_table(connection):
        return []
    return [
        str(phase)
        for (phase,) in connection.execute("SELECT DISTINCT phase FROM files")
    ]


def file_rows(
    connection: sqlite3.Connection, phase: str
) -> Iterator[tuple[int, StoredFile]]:
    """Yield the block and the file of each row of a phase, by ascending block."""
    if not _has_table(connection):
        return
    for block_id, *row in connection.execute(
        "SELECT block_id, path, size, crc FROM files WHERE phase = ? "
        "ORDER BY block_id, path",
        (phase,),
    ):
        yield block_id, StoredFile(*row)


def known_blocks(connection: sqlite3.Connection, phase: str) -> Iterator[int]:
    """Yield the blocks of a phase whose files are known."""
    if not _has_table(connection):
        return
    rows = connection.execute(
        "SELECT DISTINCT block_id FROM files WHERE phase = ?", (phase,)
    )
    yield from (block_id for (block_id,) in rows)


def _has_table(connection: sqlite3.Connection) -> bool:
    return bool(
        connection.execute(
            "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'files'"
        ).fetchone()
    )

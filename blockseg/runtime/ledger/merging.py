"""Several ledgers of one run, each of other blocks, put together into one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockseg.core.errors import LedgerError
from blockseg.runtime.ledger.file import (
    COMPANIONS,
    errors_of,
    open_to_write,
    transaction,
)
from blockseg.runtime.ledger.ledger import Ledger

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
    from pathlib import Path

_OF_BLOCKS = ("blocks", "payloads", "files", "holes", "reads")
"""The files of ``metadata`` are of no block, and the same in each."""

_ONCE = ("damaged", "source_files")


def merge_ledgers(
    target: Path, ledgers: Iterable[Path], *, fingerprint: str, owner: str
) -> None:
    """Write a ledger that holds what others do; it appears whole or not at all.

    SQLite copies row by row: memory does not grow with the number of blocks.

    Parameters
    ----------
    target
        The file; one that is there is replaced.
    ledgers
        Of one run, with no block in two of them.
    fingerprint
        Of the run.
    owner
        Output of the run.

    Raises
    ------
    LedgerError
        If one cannot be read, belongs to another run, or two have the same block.
    NoSpaceError
        If the disk is full.
    """
    made = target.with_name(f"{target.name}.merging")
    for name in (made.name, *(made.name + ending for ending in COMPANIONS)):
        made.with_name(name).unlink(missing_ok=True)
    Ledger.create(made, fingerprint, owner).close()
    with errors_of(made):
        connection = open_to_write(made, create=False)
        try:
            for path in ledgers:
                Ledger.open(path, fingerprint).close()  # adds what an old one lacks
                _take(connection, path)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            connection.close()
    for ending in COMPANIONS:
        target.with_name(target.name + ending).unlink(missing_ok=True)
    made.replace(target)


def _take(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("ATTACH DATABASE ? AS share", (str(path),))
    try:
        with errors_of(path), transaction(connection) as cursor:
            twice = cursor.execute(
                "SELECT block_id FROM share.blocks JOIN main.blocks "
                "USING (phase, block_id) LIMIT 1"
            ).fetchone()
            if twice is not None:
                message = (
                    f"the ledger {path} holds block {twice[0]}, which that of another "
                    "part holds, too"
                )
                raise LedgerError(message)
            for table, how in (
                *((table, "REPLACE") for table in _OF_BLOCKS),
                *((table, "IGNORE") for table in _ONCE),
            ):
                cursor.execute(
                    f"INSERT OR {how} INTO main.{table} SELECT * FROM share.{table}"
                )
            cursor.execute(
                "INSERT INTO main.spent SELECT * FROM share.spent WHERE true "
                "ON CONFLICT (phase, activity) "
                "DO UPDATE SET seconds = seconds + excluded.seconds"
            )
            cursor.execute(
                "INSERT OR IGNORE INTO main.meta SELECT * FROM share.meta "
                "WHERE key NOT IN ('owner', 'record')"
            )
    finally:
        connection.execute("DETACH DATABASE share")

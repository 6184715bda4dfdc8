"""The ledger's file: SQLite, opened so that no crash and no file system harms it."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from blockseg.core.errors import LedgerError, NoSpaceError, OutputGoneError
from blockseg.core.untrusted.files import kind_of_file
from blockseg.runtime.filesystem import filesystem_type, is_network

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

COMPANIONS = ("-wal", "-shm", "-journal")
"""Endings of the names of files that SQLite keeps beside its own."""

_BUSY_SECONDS = 60.0
_PRIMARY_CODE = 0xFF
_NO_SPACE_BYTES = 2**20
# A file without tables gives the plain error.
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
_WAYS_OUT = (
    "put it back from a copy, rebuild it with blockseg verify OUT --repair, or start over "
    "with --overwrite"
)


def check_ledger_there(path: Path) -> None:
    """Raise OutputGoneError if the file of an open ledger is not there any more."""
    # SQLite goes on in a file that was deleted, and all of it would be lost.
    if not path.exists():
        message = (
            f"the ledger {path} is gone: it was removed or unmounted while the "
            "run went on; bring it back and run the same command again"
        )
        raise OutputGoneError(message)


class OpenRows:
    """Some of the rows of an open ledger.

    Parameters
    ----------
    path
        The ledger's file, for messages.
    connection
        Open for reading or writing.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection


def rows_of(
    path: Path, connection: sqlite3.Connection, table: str, query: str, *values: str
) -> Iterator[tuple[Any, ...]]:
    """Yield rows of a table that ledgers of earlier versions lack; those have none."""
    with errors_of(path):
        found = connection.execute(
            "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)
        )
        if found.fetchone() is not None:
            yield from connection.execute(query, values)


def open_to_write(path: Path, *, create: bool) -> sqlite3.Connection:
    """Open the file for its one writer, with the journal that its place needs."""
    connection = _connect(path, "rwc" if create else "rw")
    # WAL shares memory between processes, which network file systems cannot. There a
    # commit must reach the disk by itself (FULL); a WAL is safe without: a power cut
    # costs the last blocks, which are then done again.
    network = is_network(filesystem_type(path.parent))
    journal, synchronous = ("DELETE", "FULL") if network else ("WAL", "NORMAL")
    connection.execute(f"PRAGMA journal_mode = {journal}")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    return connection


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open the file for one of its readers."""
    wal = path.with_name(path.name + "-wal")
    # Readers of a WAL write beside it. Where they may not, and nobody is writing as
    # there is none, the file cannot change.
    fixed = not os.access(path.parent, os.W_OK) and not wal.exists()
    return _connect(path, "ro&immutable=1" if fixed else "ro")


def copy_ledger(path: Path, target: Path) -> None:
    """Copy the file as of one moment, while its writer continues.

    Parameters
    ----------
    path, target
        The ledger, and a file that does not exist.

    Raises
    ------
    LedgerError
        If it cannot be read.
    """
    with (
        errors_of(path),
        closing(open_to_read(path)) as source,
        closing(sqlite3.connect(target)) as copy,
    ):
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Cursor]:
    """Do all that is inside, or nothing."""
    cursor = connection.cursor()
    cursor.execute("BEGIN IMMEDIATE")
    try:
        yield cursor
        cursor.execute("COMMIT")
    except BaseException:
        # Where the disk is full SQLite has rolled back by itself.
        with suppress(sqlite3.Error):
            cursor.execute("ROLLBACK")
        raise


def forget(
    cursor: sqlite3.Cursor, table: str, phase: str, blocks: Iterable[int]
) -> None:
    """Delete the rows of some blocks, in a transaction."""
    query = f"DELETE FROM {table} WHERE phase = ? AND block_id = ?"
    cursor.executemany(query, ((phase, int(block)) for block in blocks))


@contextmanager
def errors_of(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours.

    Raises
    ------
    NoSpaceError
        If the disk is full.
    LedgerError
        For any other, and where a damaged file gives values of another type.
    """
    try:
        yield
    except (TypeError, ValueError, OverflowError) as error:
        message = f"the ledger {path} is damaged ({error}); {_WAYS_OUT}"
        raise LedgerError(message) from error
    except sqlite3.Error as error:
        if _disk_is_full(error, path):
            message = f"no space left for the ledger {path}; free some and run again"
            raise NoSpaceError(message) from error
        code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE
        advice = f"; {_WAYS_OUT}" if code in _DAMAGED else ""
        message = f"the ledger {path} cannot be used: {error}{advice}"
        raise LedgerError(message) from error


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    for name in (path.name, *(f"{path.name}{ending}" for ending in COMPANIONS)):
        with suppress(FileNotFoundError, NotADirectoryError):
            kind = kind_of_file(path.with_name(name).stat().st_mode)
            if kind:  # SQLite would wait for the other end of a pipe
                message = (
                    f"the ledger {path} cannot be used: {name} is {kind}, not a file"
                )
                raise LedgerError(message)
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    # Transactions are explicit (isolation_level None): one a batch, never implied.
    return sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)


def _disk_is_full(error: sqlite3.Error, path: Path) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE
    if code != sqlite3.SQLITE_IOERR:
        return code == sqlite3.SQLITE_FULL
    # So it reports shared memory or a journal that it could not make longer.
    with suppress(OSError):
        return shutil.disk_usage(path.parent).free < _NO_SPACE_BYTES
    return False

"""Integrity of a ledger's file, looked at as a whole."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from blockseg.core.errors import LedgerError
from blockseg.runtime.ledger.file import errors_of, open_to_read
from blockseg.runtime.ledger.ledger import Ledger

if TYPE_CHECKING:
    from pathlib import Path

_NEEDED = {"meta", "blocks", "spent", "payloads"}


def ledger_problem(path: Path) -> str:
    """Return why a ledger cannot be used; empty if SQLite finds its structure intact.

    A value that was changed inside of an intact structure is not seen: SQLite keeps no
    checksums. It shows where it is compared with what it tells of.

    Parameters
    ----------
    path
        The file.
    """
    if not path.is_file():
        return f"the ledger {path} is gone"
    try:
        with errors_of(path), closing(open_to_read(path)) as connection:
            rows = connection.execute("SELECT name FROM sqlite_master")
            if missing := sorted(_NEEDED - {name for (name,) in rows}):
                return f"the ledger {path} is damaged (it has no table {missing[0]})"
            (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        Ledger.read(path).close()  # of this version
    except LedgerError as error:
        return str(error).partition("; put it back")[0]
    if found != "ok":
        return f"the ledger {path} is damaged ({' '.join(str(found).split())})"
    return ""

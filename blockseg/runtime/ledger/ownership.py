"""Ownership of ledgers: a fresh run takes none that another one needs."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from blockseg.core.errors import LedgerError
from blockseg.runtime.ledger.file import COMPANIONS, errors_of, open_to_read

if TYPE_CHECKING:
    from pathlib import Path


def refuse_taken(path: Path, owner: str, *, replace: bool) -> None:
    """Refuse a file that a fresh run may not have for its ledger.

    It may have one that does not exist or is empty; that it left itself when it was
    killed before its first block; and with ``replace`` any of the same owner.

    Parameters
    ----------
    path
        The file.
    owner
        Output of the fresh run.
    replace
        Whether the user gives up what an earlier run of the same owner did.

    Raises
    ------
    LedgerError
        If the file is something else; says what to do.
    """
    if not path.exists():
        return
    found = _look(path)
    if found is None:
        return
    theirs, used = found
    if theirs == owner and (replace or not used):
        return
    if theirs == owner:
        message = (
            f"the ledger {path} tells of blocks of {owner} that are not there; delete "
            "it, name another with --ledger, or replace it with --overwrite"
        )
        raise LedgerError(message)
    whose = f"is that of {theirs}" if theirs else "belongs to another run"
    message = (
        f"the ledger {path} {whose}; name another with --ledger, or delete it if "
        "nobody needs it"
    )
    raise LedgerError(message)


def tells_of_blocks(path: Path) -> bool:
    """Say whether a ledger is there in which any block was entered, or a damaged one."""
    if not path.exists():
        return False
    try:
        found = _look(path)
    except LedgerError:
        return True
    return found is not None and found[1]


def discard_ledger(path: Path, owner: str) -> None:
    """Remove what an earlier run of the same owner left, if anything.

    Raises
    ------
    LedgerError
        If the file is not that, or cannot be removed.
    """
    refuse_taken(path, owner, replace=True)
    try:
        for name in (path.name, *(path.name + end for end in COMPANIONS)):
            path.with_name(name).unlink(missing_ok=True)
    except OSError as error:
        message = (
            f"the ledger {path} cannot be replaced: {error.strerror or error}; "
            "name another with --ledger"
        )
        raise LedgerError(message) from error


def _look(path: Path) -> tuple[str, bool] | None:
    """Return whose it is and whether it tells of blocks; None if nothing is in it."""
    with errors_of(path), closing(open_to_read(path)) as connection:
        rows = connection.execute("SELECT name FROM sqlite_master")
        tables = {name for (name,) in rows}
        if not tables:
            return None
        if not tables >= {"meta", "blocks"}:
            message = f"{path} is no ledger; name another file with --ledger"
            raise LedgerError(message)
        owner = connection.execute(
            "SELECT value FROM meta WHERE key = 'owner'"
        ).fetchone()
        used = connection.execute("SELECT 1 FROM blocks LIMIT 1").fetchone()
    return ("" if owner is None else str(owner[0])), used is not None

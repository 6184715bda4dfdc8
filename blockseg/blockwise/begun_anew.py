"""Outputs of which one image is being remade, and which others leave alone until it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from blockseg.core.errors import LedgerError
from blockseg.core.text import blockseg_command
from blockseg.runtime.ledger.ledger import Ledger

if TYPE_CHECKING:
    from blockseg.blockwise.record.record import Paths, RunRecord
    from blockseg.blockwise.run import OpenedJob


def ledger_of(paths: Paths, record: RunRecord) -> Path:
    """Return the path of the ledger of a job."""
    return Path(record.execution.get("ledger") or paths.ledger)


def begun_anew(path: Path) -> str:
    """Return the command that continues what was begun; empty if there is none.

    Parameters
    ----------
    path
        The ledger; there may be none.

    Raises
    ------
    LedgerError
        If it cannot be read.
    """
    if not path.exists():
        return ""
    with Ledger.read(path) as ledger:
        return ledger.aside.begun


def refuse_begun_anew(begun: OpenedJob) -> None:
    """Refuse an output of which an image is only partly remade.

    Raises
    ------
    LedgerError
        Names the command that goes on.
    """
    if begun.earlier is None:
        return
    command = begun_anew(begun.ledger or begun.paths.ledger)
    if command:
        message = (
            f"the mask of {begun.paths.name} is being made anew, and that is not "
            f"finished; go on, without inference, with: {command}"
        )
        raise LedgerError(message)


def command_again(record: RunRecord, ledger: Path, out: object) -> str:
    """Return the command that does what is missing of a run; empty if it is not known.

    That is the last one, but for another threshold that has been joined to the run: of
    blocks that failed then, the probability itself is to be made again.

    Parameters
    ----------
    record
        Of the run.
    ledger
        Its ledger.
    out
        The output.
    """
    last = str(record.sessions[-1]["command"]) if record.sessions else ""
    if last.startswith("blockseg threshold ") and not begun_anew(ledger):
        return blockseg_command("retry", out)
    return last

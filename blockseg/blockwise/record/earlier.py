"""Record of an earlier start on the same output, and whether this one may resume it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockseg.blockwise.record.record import FOLDER, Paths, RunRecord
from blockseg.blockwise.record.request import what_differs
from blockseg.core.errors import LedgerError, VolumeError
from blockseg.core.text import blockseg_command, exact
from blockseg.io.output.create import has_data
from blockseg.runtime.ledger.ownership import tells_of_blocks

if TYPE_CHECKING:
    from blockseg.blockwise.record.request import Request


def earlier_record(
    paths: Paths, request: Request, *, overwrite: bool
) -> RunRecord | None:
    """Return the record of a run to resume, or None to start afresh.

    Raises
    ------
    LedgerError
        If OUT holds the result of another request, and names what differs; or a
        result of which the record is damaged or gone.
    VolumeError
        If OUT holds something that blockseg did not make.
    """
    if not paths.out.exists():
        return None
    ours = paths.folder.is_dir() or bool(paths.part)
    if not ours and (not paths.out.is_dir() or any(paths.out.iterdir())):
        message = (
            f"OUT {paths.out} exists and was not made by blockseg; "
            "choose another place or remove it yourself"
        )
        raise VolumeError(message)
    if overwrite:
        return None
    record = RunRecord.of(paths)
    if record is None:
        refuse_lost_record(paths)
        return None
    if found := what_differs(record.request, request.to_plain()):
        if hint := _another_threshold(paths, record, request, found):
            raise LedgerError(hint)
        message = (
            f"{paths.name} belongs to another run: {'; '.join(found)}; "
            f"use the same settings to resume it, {_another(paths)}or --overwrite to "
            "start over"
        )
        raise LedgerError(message)
    return record


def _another_threshold(
    paths: Paths, record: RunRecord, request: Request, found: list[str]
) -> str:
    """Return advice where only the threshold of a run differs."""
    was, now = (
        settings.get("threshold")
        for settings in (record.request["settings"], request.settings)
    )
    if len(found) > 1 or was == now:
        return ""
    if not (isinstance(was, int | float) and isinstance(now, int | float)):
        return ""  # of a rule of its own
    if not (0 <= was <= 1 and 0 <= now <= 1):
        return ""  # a record that was changed
    made = blockseg_command("threshold", paths.out, exact(now))
    return (
        f"{paths.name} has the threshold {exact(was)}, and {exact(now)} is asked for; a "
        f"mask of another threshold is made without inference: {made}; go on with this "
        f"run with --threshold {exact(was)}"
    )


def _another(paths: Paths) -> str:
    return "" if paths.part else "name another OUT, "


def refuse_lost_record(paths: Paths) -> None:
    """Refuse an output without a record that holds a result all the same.

    A run that was killed before its first block left neither.

    Raises
    ------
    LedgerError
        Names both ways out.
    """
    if not paths.part and (paths.folder / "shares").is_dir():
        message = (
            f"OUT {paths.out} is done in parts: give --part I/N as its other drivers "
            f"do, or put them together with {blockseg_command('finalize', paths.out)}"
        )
        raise LedgerError(message)
    told = tells_of_blocks(paths.ledger)
    if told or (not paths.part and has_data(paths.out, FOLDER)):
        message = (
            f"{paths.name} holds a result, but {paths.record} is gone: put that file "
            "back from a copy to go on, restore it with blockseg verify OUT --repair, or "
            "delete the result and start over with --overwrite"
        )
        raise LedgerError(message)

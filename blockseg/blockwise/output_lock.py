"""Lock of an output: one run at a time, and nothing of others is touched."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from blockseg.blockwise.record.record import FOLDER, Paths, RunRecord
from blockseg.blockwise.record.request import what_differs
from blockseg.core.errors import DISK_FULL, LedgerError, NoSpaceError, VolumeError
from blockseg.io.output.create import has_data
from blockseg.runtime.ledger.ownership import tells_of_blocks
from blockseg.runtime.run_lock import RunLock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

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
    ours = paths.folder.is_dir()
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
        message = (
            f"OUT {paths.out} belongs to another run: {'; '.join(found)}; "
            "use the same settings to resume it, name another OUT, or --overwrite to "
            "start anew"
        )
        raise LedgerError(message)
    return record


def refuse_lost_record(paths: Paths) -> None:
    """Refuse an output without a record that holds a result all the same.

    A run that was killed before its first block left neither.

    Raises
    ------
    LedgerError
        Names both ways out.
    """
    if tells_of_blocks(paths.ledger) or has_data(paths.out, FOLDER):
        message = (
            f"OUT {paths.out} holds a result, but {paths.record} is gone: put that file "
            "back from a copy to go on, or delete the result and start anew with "
            "--overwrite"
        )
        raise LedgerError(message)


@contextmanager
def locked_output(
    paths: Paths, *, fresh: bool, settle: Callable[[], None]
) -> Iterator[None]:
    """Hold OUT for this process; a fresh run finds it empty.

    Parameters
    ----------
    paths
        Of the run.
    fresh
        Whether nothing of an earlier run is to be kept.
    settle
        Waits for writers that a dead driver left behind; called under the lock, so
        that no live driver's are meant.

    Raises
    ------
    LedgerError
        If another run holds it, or started it in the meantime.
    VolumeError
        If it cannot be made.
    """
    existed = paths.record.exists()
    try:
        paths.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_make(paths, error) from error
    with RunLock(paths.lock):
        settle()
        if fresh:
            if paths.record.exists() and not existed:
                message = f"another run has just been started on {paths.out}"
                raise LedgerError(message)
            _clear(paths)
        yield


def _clear(paths: Paths) -> None:
    """Remove what an earlier run left, its record first.

    Without a record the next start is a fresh one again, so that a kill in the
    middle cannot mix old data with new.
    """
    try:
        paths.record.unlink(missing_ok=True)
        for entry in paths.folder.iterdir():
            if not entry.name.startswith(paths.lock.name):
                _remove(entry)
        for entry in paths.out.iterdir():
            if entry.name != FOLDER:
                _remove(entry)
    except OSError as error:
        raise _cannot_make(paths, error) from error


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        entry.unlink()


def _cannot_make(paths: Paths, error: OSError) -> VolumeError:
    kind = NoSpaceError if error.errno in DISK_FULL else VolumeError
    return kind(f"OUT {paths.out} cannot be written: {error.strerror or error}")

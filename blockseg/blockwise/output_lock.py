"""Lock of an output: one run at a time, and nothing of others is touched."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from blockseg.blockwise.record.record import FOLDER, Paths
from blockseg.blockwise.store_state import CLAIM, claimed
from blockseg.core.errors import DISK_FULL, LedgerError, NoSpaceError, VolumeError
from blockseg.io.stores.location import RemotePath
from blockseg.runtime.run_lock import RunLock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


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
    with RunLock(paths.lock), claimed(paths.out):
        settle()
        if fresh:
            if paths.record.exists() and not existed:
                message = f"another run has just been started on {paths.name}"
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
        if isinstance(paths.out, RemotePath):
            _clear_in_store(paths.out, paths)
            return
        owned = [paths.out / name for name in paths.owns]
        for entry in owned if paths.part else paths.out.iterdir():
            if entry.name != FOLDER and entry.exists():
                _remove(entry)
    except OSError as error:
        raise _cannot_make(paths, error) from error


def _clear_in_store(out: RemotePath, paths: Paths) -> None:
    """Delete the copy of the state first, as it is what a next start would go by."""
    (out / FOLDER / paths.part).delete_below(lambda name: name == CLAIM)
    for place in (out / name for name in paths.owns) if paths.part else (out,):
        place.delete_below(lambda name: name.startswith(f"{FOLDER}/"))
        if place.is_file():
            place.unlink()


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        entry.unlink()


def _cannot_make(paths: Paths, error: OSError) -> VolumeError:
    kind = NoSpaceError if error.errno in DISK_FULL else VolumeError
    return kind(f"OUT {paths.out} cannot be written: {error.strerror or error}")

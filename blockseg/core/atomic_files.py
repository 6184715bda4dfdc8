"""Files that are written all or nothing, and on the disk when it says so."""

from __future__ import annotations

import os
import platform
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def replaced(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """Give a path to write beside ``path``, which takes its place at the end.

    Whoever reads ``path``, at any time, sees the old file or the new one. An error
    leaves the old one as it was, and nothing beside it.

    Parameters
    ----------
    path
        File to write; its folder exists.
    shared
        Other processes, of this machine or another, may write the same file at the
        same time.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    # Without others always the same, so that a kill leaves one at most.
    own = f".{path.name}.{platform.node()}.{os.getpid()}.partial"
    part = path.with_name(own if shared else f"{path.name}.part")
    try:
        yield part
        with part.open("r+b") as file:
            os.fsync(file.fileno())
        part.replace(path)
        sync_folder(path.parent)
    except BaseException:
        with suppress(OSError):  # the first error tells more
            part.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Make a rename durable: sync the folder."""
    if os.name == "nt":  # which has no such call
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

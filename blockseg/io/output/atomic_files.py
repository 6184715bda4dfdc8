"""Small files, written all or nothing, and on the disk when it says so."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from blockseg.io.output.write_errors import write_error

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["replace_file", "sync_folder"]


def replace_file(path: Path, content: bytes) -> None:
    """Write a file; whoever reads it, at any time, sees the old one or the new one.

    Raises
    ------
    NoSpaceError
        If the disk is full; the old file is as it was.
    OutputGoneError
        If its folder is not there any more.
    VolumeError
        If it cannot be written for another reason.
    """
    # Always the same, so that a kill leaves one at most.
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):  # the first error tells more
            part.unlink(missing_ok=True)
        raise write_error(error, str(path)) from error


def sync_folder(folder: Path) -> None:
    """Bring a rename to the disk: it is there when its folder is."""
    if os.name == "nt":  # which has no such call
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

"""Write the files of a training: all or nothing, and on the disk when it says so."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from blockseg.core.errors import WeightsError
from blockseg.model.weights import save_weights
from blockseg.volume.write_errors import write_error

if TYPE_CHECKING:
    from pathlib import Path

    from blockseg.model.networks import Network
    from blockseg.model.weights_info import WeightsInfo

__all__ = ["replace_file", "replace_weights"]


def replace_file(path: Path, content: bytes) -> None:
    """Write a file; whoever reads it, at any time, sees the old one or the new one.

    Raises
    ------
    NoSpaceError
        If the disk is full; the old file is as it was.
    VolumeError
        If it cannot be written for another reason.
    """
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _sync(path.parent)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise write_error(error, str(path)) from error


def replace_weights(path: Path, network: Network, info: WeightsInfo) -> None:
    """Write a network as :func:`replace_file` writes.

    Raises
    ------
    NoSpaceError, VolumeError
        As there.
    """
    part = path.with_name(path.name + ".part")
    try:
        save_weights(part, network, info)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
        _sync(path.parent)
    except (OSError, WeightsError) as error:
        part.unlink(missing_ok=True)
        cause = error.__cause__ if isinstance(error, WeightsError) else error
        if not isinstance(cause, OSError):
            raise
        raise write_error(cause, str(path)) from error


def _sync(folder: Path) -> None:
    # A rename is on the disk when its folder is; Windows has no such call.
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

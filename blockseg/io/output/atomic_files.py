"""Files of an output, written all or nothing, with errors a user can act on."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from blockseg.core.atomic_files import replaced
from blockseg.io.output.write_errors import write_error
from blockseg.io.stores.location import RemotePath

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from blockseg.io.stores.location import Location


@contextmanager
def replacing(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """Give a path to write, as :func:`~blockseg.core.atomic_files.replaced` does.

    Raises
    ------
    NoSpaceError
        If the disk is full; the old file is as it was.
    OutputGoneError
        If its folder is not there any more.
    VolumeError
        If it cannot be written for another reason.
    """
    try:
        with replaced(path, shared=shared) as part:
            yield part
    except OSError as error:
        raise write_error(error, str(path)) from error


def replace_file(path: Location, content: bytes, *, shared: bool = False) -> None:
    """Write a file or an object in one step; errors as of :func:`replacing`."""
    if isinstance(path, RemotePath):
        try:
            path.write_bytes(content)
        except OSError as error:
            raise write_error(error, str(path)) from error
        return
    with replacing(path, shared=shared) as part:
        part.write_bytes(content)

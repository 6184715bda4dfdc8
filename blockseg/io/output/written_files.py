"""Files of an output: remembered when they are written, compared later."""

from __future__ import annotations

import os
import stat
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from blockseg.core.stored_file import StoredFile
from blockseg.core.untrusted.files import METADATA_BYTES, read_text
from blockseg.core.untrusted.json_text import parse_json
from blockseg.io.ahead import batches, map_ahead
from blockseg.io.output.atomic_files import replace_file
from blockseg.io.output.label_listing import is_whole_listing
from blockseg.io.output.write_errors import write_error
from blockseg.io.stores.address import Address, is_remote
from blockseg.io.stores.location import RemotePath, location

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from blockseg.io.stores.location import Location

_PIECE = 2**20  # bytes read at a time
_BATCH = 256  # files that a thread looks at before it answers
_WAITING = 4  # threads that ask for sizes: they wait for the disk and burn little
_MOST_READING = 32
_ASKING = 32  # threads that each wait for a store's answer
DOCUMENTS = ("zarr.json", ".zarray", ".zgroup", ".zattrs")
"""Names of the files that describe arrays and groups."""

LEFT_BEHIND = (".__lock", ".part", ".partial")
"""Endings of the names of files that writers leave behind when they are killed."""


@dataclass(frozen=True, slots=True)
class DamagedFile:
    """A file that is not as it was written."""

    path: str
    """Below the output, '/'-separated."""

    what: str
    """Damage to it, for a sentence: ``is gone``."""

    block_id: int
    """Block id of the block that wrote it."""


def stored_file(root: str | Location, path: str) -> StoredFile:
    """Return the facts to remember of a file that was just written.

    Parameters
    ----------
    root
        The output.
    path
        Of the file below it, '/'-separated.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    size, crc = _content(_place(f"{root}/{path}", remote=is_remote(str(root))))
    return StoredFile(path, size, crc)


def write_block_file(
    out: str, path: str, content: bytes, *, folders: int = 1
) -> StoredFile:
    """Write a file that a block leaves beside its images.

    Parameters
    ----------
    out
        The output, on a disk.
    path
        Of the file below it, '/'-separated.
    content
        All of it; other workers may write the same at the same time.
    folders
        Number of folders directly above the file that are made if they are missing. Not
        all of them: an output that was taken away is not made again.

    Raises
    ------
    NoSpaceError, OutputGoneError, VolumeError
        As :func:`~blockseg.io.output.atomic_files.replacing`.
    """
    target = Path(out, path)
    try:
        for folder in reversed(target.parents[:folders]):
            folder.mkdir(exist_ok=True)
    except OSError as error:
        raise write_error(error, str(target)) from error
    replace_file(target, content, shared=True)
    return StoredFile(path, len(content), zlib.crc32(content))


def stored_below(root: Location, folder: str) -> Iterator[StoredFile]:
    """Yield what is to be remembered of every file in a folder of an output.

    Raises
    ------
    OSError
        If one cannot be read.
    """
    if isinstance(root, RemotePath):
        for name, _ in (root / folder).below():
            yield stored_file(root, f"{folder}/{name}")
        return
    for place, _, names in os.walk(root / folder):
        for name in sorted(names):
            yield stored_file(root, Path(place, name).relative_to(root).as_posix())


def damaged_files(
    root: str | Location,
    files: Iterable[tuple[int, StoredFile]],
    *,
    contents: bool = False,
    on_progress: Callable[[int], None] | None = None,
) -> Iterator[DamagedFile]:
    """Yield, in their order, the files that are not as they were written.

    Parameters
    ----------
    root
        The output.
    files
        As they were written, each with the number of its block; taken as needed, in
        the calling thread.
    contents
        Whether to read them too; otherwise sizes are compared and nothing is read.
    on_progress
        Told after every few files how many more were looked at.
    """
    remote = is_remote(str(root))
    threads = min(_MOST_READING, 2 * (os.cpu_count() or 1)) if contents else _WAITING
    threads = _ASKING if remote else threads

    def look(some: list[tuple[int, StoredFile]]) -> tuple[int, list[DamagedFile]]:
        return len(some), [
            DamagedFile(file.path, what, block_id)
            for block_id, file in some
            if (
                what := _damage(
                    _place(f"{root}/{file.path}", remote=remote), file, contents
                )
            )
        ]

    size = 16 if contents or remote else _BATCH
    for count, found in map_ahead(look, batches(files, size), threads):
        yield from found
        if on_progress is not None:
            on_progress(count)


def _place(path: str, *, remote: bool) -> str | RemotePath:
    """Return a place to look at; of a disk its name, which is made a million times."""
    return RemotePath(Address.parse(path)) if remote else path


def _damage(path: str | RemotePath, file: StoredFile, contents: bool) -> str:
    try:
        size = _size(path)
        if size is None:
            return "is no file"
        if size != file.size:
            grown = size > file.size
            if grown and is_whole_listing(location(path)):
                return ""
            if not contents and grown and _is_document(path):
                return ""
            return f"has {size} bytes and had {file.size}"
        if contents and _content(path)[1] != file.crc:
            return "" if is_whole_listing(location(path)) else "has another content"
    except (FileNotFoundError, NotADirectoryError):
        return "is gone"
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"
    return ""


def _size(path: str | RemotePath) -> int | None:
    """Return the bytes of a file; None if it is something else."""
    if isinstance(path, RemotePath):
        return path.stat().st_size
    state = os.stat(path)  # noqa: PTH116  a million times
    return state.st_size if stat.S_ISREG(state.st_mode) else None


def _is_document(path: str | RemotePath) -> bool:
    """Say whether a file is metadata that can be read: other software adds to them."""
    if not str(path).endswith(DOCUMENTS):
        return False
    try:
        document = parse_json(read_text(path, METADATA_BYTES))
    except ValueError:
        return False
    return isinstance(document, dict)


def _content(path: str | RemotePath) -> tuple[int, int]:
    """Return size and CRC-32 of a file."""
    if isinstance(path, RemotePath):
        content = path.read_bytes()
        return len(content), zlib.crc32(content)
    size = crc = 0
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123  a million times
        while piece := file.read(_PIECE):
            size += len(piece)
            crc = zlib.crc32(piece, crc)
    return size, crc

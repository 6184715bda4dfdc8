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
from blockseg.io.output.label_listing import is_whole_listing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_PIECE = 2**20  # bytes read at a time
_BATCH = 256  # files that a thread looks at before it answers
_WAITING = 4  # threads that ask for sizes: they wait for the disk and burn little
_MOST_READING = 32
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


def stored_file(root: str | Path, path: str) -> StoredFile:
    """Return what is to be remembered of a file that was just written.

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
    size, crc = _content(f"{root}/{path}")
    return StoredFile(path, size, crc)


def stored_below(root: Path, folder: str) -> Iterator[StoredFile]:
    """Yield what is to be remembered of every file in a folder of an output.

    Raises
    ------
    OSError
        If one cannot be read.
    """
    for place, _, names in os.walk(root / folder):
        for name in sorted(names):
            yield stored_file(root, Path(place, name).relative_to(root).as_posix())


def damaged_files(
    root: str | Path,
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
    threads = min(_MOST_READING, 2 * (os.cpu_count() or 1)) if contents else _WAITING

    def look(some: list[tuple[int, StoredFile]]) -> tuple[int, list[DamagedFile]]:
        return len(some), [
            DamagedFile(file.path, what, block_id)
            for block_id, file in some
            if (what := _damage(f"{root}/{file.path}", file, contents))
        ]

    size = 16 if contents else _BATCH
    for count, found in map_ahead(look, batches(files, size), threads):
        yield from found
        if on_progress is not None:
            on_progress(count)


def _damage(path: str, file: StoredFile, contents: bool) -> str:
    try:
        state = os.stat(path)  # noqa: PTH116  a million times
        if not stat.S_ISREG(state.st_mode):
            return "is no file"
        if state.st_size != file.size:
            grown = state.st_size > file.size
            if grown and is_whole_listing(Path(path)):
                return ""
            if not contents and grown and _is_document(path):
                return ""
            return f"has {state.st_size} bytes and had {file.size}"
        if contents and _content(path)[1] != file.crc:
            return "" if is_whole_listing(Path(path)) else "has another content"
    except (FileNotFoundError, NotADirectoryError):
        return "is gone"
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"
    return ""


def _is_document(path: str) -> bool:
    """Say whether a file is metadata that can be read: other software adds to them."""
    if not path.endswith(DOCUMENTS):
        return False
    try:
        document = parse_json(read_text(path, METADATA_BYTES))
    except ValueError:
        return False
    return isinstance(document, dict)


def _content(path: str) -> tuple[int, int]:
    """Return size and CRC-32 of a file."""
    size = crc = 0
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123  a million times
        while piece := file.read(_PIECE):
            size += len(piece)
            crc = zlib.crc32(piece, crc)
    return size, crc

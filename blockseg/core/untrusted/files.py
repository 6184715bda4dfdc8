"""Files that somebody else wrote, read whole: regular ones only, and of bounded size.

What is wrong is raised as an OSError with the reason as its ``strerror``, as the system
raises it of a file that is not there: whoever tells the one tells the other.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

METADATA_BYTES = 16 * 2**20
"""Largest JSON document: a hundred times what the metadata of a brain take."""

RECORD_BYTES = 64 * 2**20
"""Largest document of our own: records, manifests of picks."""

SETTINGS_BYTES = 64 * 2**10
"""Largest YAML file of settings."""

TABLE_BYTES = 256 * 2**20
"""Largest table or text of lines: CSV, SWC, a log."""

LOG_BYTES = 16 * 2**30
"""Largest log of a session; of a million blocks it has a gigabyte."""

CHECKPOINT_BYTES = 4 * 2**30
"""Largest file of a network and of the state of its training."""

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def kind_of_file(mode: int) -> str:
    """Return the kind of a file that is not a regular one, in words; empty if it is regular.

    Parameters
    ----------
    mode
        ``st_mode`` of :func:`os.stat`.
    """
    return _KINDS.get(stat.S_IFMT(mode), "")


@runtime_checkable
class Bounded(Protocol):
    """A file that is no path of this machine, an object of a store."""

    def read_at_most(self, most: int) -> bytes:
        """Return its content; raise an OSError if it has more bytes, or none can be read."""
        ...


@contextmanager
def opened(
    path: str | os.PathLike[str] | Bounded, most: int
) -> Iterator[io.BufferedReader]:
    """Open a file to read its bytes.

    Parameters
    ----------
    path
        The file.
    most
        Bytes that it may have.

    Raises
    ------
    OSError
        If it is no regular file, larger, or cannot be opened.
    """
    if isinstance(path, Bounded):
        yield io.BufferedReader(io.BytesIO(path.read_at_most(most)))
        return
    try:
        # First by its name: to open a device may do something.
        _require_regular(os.stat(path), path, most)  # noqa: PTH116 - any path
        # What is a pipe by now is not waited for.
        handle = os.open(
            path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0)
        )
    except ValueError as error:  # a zero byte in the name
        raise OSError(errno.EINVAL, str(error), os.fspath(path)) from error
    try:
        _require_regular(os.fstat(handle), path, most)
    except OSError:
        os.close(handle)
        raise
    with os.fdopen(handle, "rb") as file:
        yield file


def read_bytes(path: str | os.PathLike[str] | Bounded, most: int) -> bytes:
    """Return the content of a file.

    Parameters
    ----------
    path, most
        As of :func:`opened`.

    Raises
    ------
    OSError
        As :func:`opened`.
    """
    with opened(path, most) as file:
        return file.read(most)


def read_text(
    path: str | os.PathLike[str] | Bounded,
    most: int,
    *,
    encoding: str = "utf-8",
    errors: str = "strict",
) -> str:
    """Return the text in a file, every line with the same end.

    Raises
    ------
    OSError
        As :func:`opened`.
    UnicodeDecodeError
        If it is not encoded so.
    """
    with text_of(path, most, encoding=encoding, errors=errors, newline=None) as lines:
        return lines.read()


@contextmanager
def text_of(
    path: str | os.PathLike[str] | Bounded,
    most: int,
    *,
    encoding: str = "utf-8",
    errors: str = "strict",
    newline: str | None = "",
) -> Iterator[TextIO]:
    """Open a file to read its text.

    Parameters
    ----------
    path, most
        As of :func:`opened`.
    encoding, errors, newline
        As of :func:`open`; the ends of lines are left as they are.

    Raises
    ------
    OSError
        As :func:`opened`.
    """
    with opened(path, most) as file:
        yield io.TextIOWrapper(file, encoding, errors, newline)


def _require_regular(
    state: os.stat_result, path: str | os.PathLike[str], most: int
) -> None:
    kind = kind_of_file(state.st_mode)
    if kind:
        raise OSError(errno.EINVAL, f"it is {kind}, not a file", os.fspath(path))
    if state.st_size > most:
        raise too_large(state.st_size, most, os.fspath(path))


def too_large(size: int, most: int, name: str) -> OSError:
    """Return the error to raise for a file of more bytes than it may have."""
    message = (
        f"it has {_mib(size)} MiB, and {_mib(most)} MiB are the most that such a file may "
        "have"
    )
    return OSError(errno.EFBIG, message, name)


def _mib(count: int) -> str:
    return f"{count / 2**20:.4g}"

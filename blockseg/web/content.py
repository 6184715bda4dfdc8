"""Contents that a server hands out: files of a folder, with no way out of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

_METADATA = frozenset({".zarray", ".zattrs", ".zgroup", ".zmetadata"})


class Content(Protocol):
    """Something that is handed out, whole or in part."""

    @property
    def size(self) -> int:
        """Bytes of it."""
        ...

    def read(self, start: int, stop: int) -> bytes:
        """Return some of its bytes."""
        ...


class Store(Protocol):
    """Contents by their keys, which are paths with '/'."""

    def open(self, key: str, wanted: Wanted) -> Content | None:
        """Return the content of a key; None if there is none, or nobody wants it.

        Parameters
        ----------
        key
            As the browser has it, and so not to be trusted.
        wanted
            Says whether the browser still waits for it.
        """
        ...


class Wanted(Protocol):
    """Whether somebody still waits for an answer that takes long."""

    def __call__(self) -> bool:
        """Return that."""
        ...


@dataclass(frozen=True, slots=True)
class Bytes:
    """Content in memory."""

    data: bytes
    """All of it."""

    @property
    def size(self) -> int:
        """Bytes of it."""
        return len(self.data)

    def read(self, start: int, stop: int) -> bytes:
        """Return some of its bytes."""
        return self.data[start:stop]


@dataclass(frozen=True, slots=True)
class File:
    """Content on disk."""

    path: Path
    """The file."""

    size: int
    """Bytes of it, when it was looked up."""

    def read(self, start: int, stop: int) -> bytes:
        """Return some of its bytes."""
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read(stop - start)


@dataclass(frozen=True, slots=True)
class Folder:
    """Files below a folder, of which only some are handed out.

    Neither ``..`` nor a link leads out of it, and what begins with a dot is only for its
    owner.
    """

    root: Path
    """The folder."""

    names: frozenset[str]
    """Names in it that are handed out, with all below them."""

    def open(self, key: str, wanted: Wanted) -> File | None:  # noqa: ARG002
        """Return a file of the folder; None if there is none to be handed out."""
        parts = key.split("/")
        if parts[0] not in self.names or not all(map(_plain, parts)):
            return None
        try:
            path = self.root.joinpath(*parts).resolve(strict=True)
            if not path.is_relative_to(self.root.resolve()) or not path.is_file():
                return None
            return File(path, path.stat().st_size)
        # Gone, a loop of links (RuntimeError until Python 3.13), a name that is none.
        except (OSError, RuntimeError, ValueError):
            return None


def _plain(part: str) -> bool:
    if part in _METADATA:
        return True
    return bool(part) and part[0] != "." and not {"\\", "\0", ":"} & {*part}

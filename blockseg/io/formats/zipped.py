"""Members of a ZIP archive as paths, so that a Zarr in one is read as one in a folder."""

from __future__ import annotations

import io
import os
import stat
import zipfile
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PosixPath
from typing import TYPE_CHECKING, Any

from blockseg.core.errors import VolumeError
from blockseg.core.text import first_line
from blockseg.core.untrusted.files import METADATA_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

_MARK = (b"PK\x03\x04", b"PK\x05\x06")
_DOCUMENTS = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")
_MOST_DOCUMENTS = 4_000
_MOST_BYTES = 64 * 2**20  # of all documents
_LARGEST_TABLE = 32 * 2**20  # of names: some 350,000 files
_END = 22  # bytes of the record at an archive's end, without its comment


@dataclass(frozen=True, slots=True)
class Archive:
    """Names in a ZIP archive, and the metadata among them."""

    documents: dict[str, bytes] = field(default_factory=dict)
    """Contents of metadata by their names."""

    inside: dict[str, dict[str, bool]] = field(default_factory=dict)
    """Names directly inside each folder, and whether each is a folder."""

    largest: int = 0
    """Bytes of the largest member once it is unpacked."""

    packed: bool = False
    """Whether members are compressed by the archive itself."""


class ZipPath(PosixPath):
    """A place inside a ZIP archive: the archive's own path, and below it its members.

    Pure functions of paths are those of :class:`~pathlib.Path`; only what is named here
    looks into the archive.
    """

    __slots__ = ()

    @property
    def archive(self) -> Path:
        """The archive itself."""
        return Path(_split(str(self))[0])

    @property
    def member(self) -> str:
        """Name inside the archive; empty for the archive."""
        return _split(str(self))[1]

    def is_file(self) -> bool:
        """Return whether a member that is read whole, or any other file, lies here."""
        archive, member = _split(str(self))
        folder, _, name = member.rpartition("/")
        return _archive(archive).inside.get(folder, {}).get(name) is False

    def is_dir(self) -> bool:
        """Return whether members lie below this place."""
        archive, member = _split(str(self))
        return not member or member in _archive(archive).inside

    def exists(self) -> bool:
        """Return whether anything lies here."""
        return self.is_dir() or self.is_file()

    def iterdir(self) -> Iterator[ZipPath]:  # type: ignore[override]
        """Yield what lies directly below."""
        archive, member = _split(str(self))
        for name in _archive(archive).inside.get(member, {}):
            yield self / name

    def read_bytes(self) -> bytes:
        """Return a document of metadata.

        Raises
        ------
        FileNotFoundError
            If none lies here.
        """
        archive, member = _split(str(self))
        try:
            return _archive(archive).documents[member]
        except KeyError as error:
            raise FileNotFoundError(str(self)) from error

    def open(self, *_: Any, **__: Any) -> io.BytesIO:  # type: ignore[override]
        """Return a document of metadata as a stream of bytes."""
        return io.BytesIO(self.read_bytes())

    @property
    def packed(self) -> bool:
        """Whether the archive itself compresses what it holds."""
        return _archive(_split(str(self))[0]).packed


def is_zip(path: str | os.PathLike[str]) -> bool:
    """Return whether a regular file begins like a ZIP archive."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - any path
            return False
        with Path(path).open("rb") as stream:
            return stream.read(4) in _MARK
    except OSError:
        return False


def archive_around(path: Path) -> Path | None:
    """Return the ZIP archive on the way to a path that is no file; None if there is none."""
    for parent in path.parents:
        if parent.exists():
            return parent if is_zip(parent) else None
    return None


def zarr_in_zip(archive: Path) -> str | None:
    """Return the folder of the outermost Zarr node in an archive; None if it holds none.

    Many archives hold one folder with everything in it.

    Raises
    ------
    VolumeError
        If the archive is damaged or is none that a Zarr store can be in.
    """
    documents = [
        name
        for name in _archive(str(archive)).documents
        if name.rpartition("/")[2] in _DOCUMENTS[:3]
    ]
    if not documents:
        return None
    folders = {name.rpartition("/")[0] for name in documents}
    nearest = min(folders, key=lambda name: (name.count("/") + bool(name), name))
    above = {
        n.rpartition("/")[0] for n in folders if n.count("/") == nearest.count("/")
    }
    return nearest if len(above) == 1 and len(_at_depth(folders, nearest)) == 1 else ""


def require_unpackable(path: ZipPath, most: int) -> None:
    """Refuse an archive with a member that unpacks to more than a chunk or shard can have.

    Parameters
    ----------
    path
        Inside the archive.
    most
        Bytes that a member may unpack to.

    Raises
    ------
    VolumeError
        If one does.
    """
    largest = _archive(str(path.archive)).largest
    if largest > most:
        message = (
            f"{path.archive} holds a member of {largest} bytes, more than any chunk of the "
            f"Zarr in it can have ({most}); unpack it with unzip, and give the folder"
        )
        raise VolumeError(message, str(path.archive))


def _at_depth(folders: set[str], nearest: str) -> set[str]:
    return {
        n
        for n in folders
        if n.count("/") == nearest.count("/") and bool(n) == bool(nearest)
    }


def _split(path: str) -> tuple[str, str]:
    """Return the archive and the member that a path names."""
    at = Path(path)
    for place in (*reversed(at.parents), at):
        try:
            mode = os.stat(place).st_mode  # noqa: PTH116 - of the system's own folders
        except OSError:
            break
        if stat.S_ISREG(mode):
            inner = at.relative_to(place).as_posix()
            return str(place), "" if inner == "." else inner
    message = f"{path} is inside no archive any more; bring it back"
    raise VolumeError(message, path)


def _archive(path: str) -> Archive:
    state = os.stat(path)  # noqa: PTH116 - the string is the key
    return _read(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=4)
def _read(path: str, size: int, changed: int) -> Archive:  # noqa: ARG001 - of its state
    try:
        _require_modest(path, size)
        with zipfile.ZipFile(path) as archive:
            return _contents(archive, path)
    except VolumeError:
        raise
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError,
            EOFError, LookupError, OverflowError, zipfile.zlib.error) as error:  # type: ignore[attr-defined]  # fmt: skip
        message = (
            f"{path} is a damaged ZIP archive ({first_line(error)}); copy it again"
        )
        raise VolumeError(message, path) from error


def _require_modest(path: str, size: int) -> None:
    """Refuse an archive whose table of names takes more memory than reading it is worth."""
    with Path(path).open("rb") as stream:
        stream.seek(max(0, size - _END - 2**16))
        tail = stream.read()
    at = tail.rfind(b"PK\x05\x06")
    table = int.from_bytes(tail[at + 12 : at + 16], "little") if at >= 0 else 0
    if table == 0xFFFFFFFF:
        long = tail.rfind(b"PK\x06\x06")
        table = (
            int.from_bytes(tail[long + 40 : long + 48], "little") if long >= 0 else 0
        )
    if table > _LARGEST_TABLE:
        message = (
            f"{path} holds too many files to be read as an archive (its list of names has "
            f"{table / 2**20:.4g} MiB); unpack it with unzip, and give the folder"
        )
        raise VolumeError(message, path)


def _contents(archive: zipfile.ZipFile, path: str) -> Archive:
    found = Archive({}, {"": {}})
    largest = total = 0
    packed = False
    for name, info in archive.NameToInfo.items():  # the last one of a name counts
        parts = name.split("/")
        if name.startswith("/") or ".." in parts or "\\" in name:
            message = (
                f"{path} holds a member {name[:80]!r} that leads out of the archive; it "
                "is none that a Zarr store is in"
            )
            raise VolumeError(message, path)
        is_folder = name.endswith("/")
        _enter(found.inside, [part for part in parts if part], is_folder=is_folder)
        if parts[-1] not in _DOCUMENTS:
            largest = max(largest, info.file_size)
            packed = packed or info.compress_type != zipfile.ZIP_STORED
            continue
        total += min(info.file_size, METADATA_BYTES)
        if info.file_size > METADATA_BYTES or total > _MOST_BYTES:
            message = f"{path} holds metadata of {max(total, info.file_size)} bytes, more than any store has"
            raise VolumeError(message, path)
        if len(found.documents) >= _MOST_DOCUMENTS:
            message = (
                f"{path} holds more than {_MOST_DOCUMENTS} arrays and groups; unpack it"
            )
            raise VolumeError(message, path)
        with archive.open(info) as stream:
            found.documents[name] = stream.read(METADATA_BYTES)
    return Archive(found.documents, found.inside, largest, packed)


def _enter(
    inside: dict[str, dict[str, bool]], parts: list[str], *, is_folder: bool
) -> None:
    folder = ""
    for depth, part in enumerate(parts, 1):
        last = depth == len(parts)
        known = inside.setdefault(folder, {})
        known[part] = known.get(part, False) or not last or is_folder
        folder = f"{folder}/{part}" if folder else part
        if not last or is_folder:
            inside.setdefault(folder, {})

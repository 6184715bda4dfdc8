"""Locations: a path of this machine, or a place in a store with what a path can do."""

from __future__ import annotations

import errno
import hashlib
import io
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, TypeAlias, TypeVar

from blockseg.core.untrusted.files import too_large
from blockseg.io.stores import clients
from blockseg.io.stores.address import Address, is_remote
from blockseg.io.stores.problems import store_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class ObjectState:
    """Size and version of an object, in the words of :func:`os.stat`."""

    st_size: int
    """Bytes."""

    st_mtime_ns: int
    """Number that changes with the content: of its ETag where it has one, which tells
    more than a time to the second, else the time of the last change in ns."""


@dataclass(frozen=True, slots=True)
class RemotePath:
    """A place in a store; errors are those of :class:`pathlib.Path`.

    A store has no folders: a place is one where an object lies below it. What cannot be
    asked without listing is asked for by name.
    """

    address: Address
    """Store, bucket and key."""

    def __str__(self) -> str:
        return str(self.address)

    def __truediv__(self, inner: object) -> RemotePath:
        key = str(PurePosixPath(self.address.key) / str(inner)).removeprefix("./")
        return replace(
            self, address=replace(self.address, key="" if key == "." else key)
        )

    def __lt__(self, other: RemotePath) -> bool:
        return str(self) < str(other)

    @property
    def name(self) -> str:
        """Last part; of a bucket its name."""
        return PurePosixPath(self.address.key).name or self.address.bucket

    @property
    def suffix(self) -> str:
        """Ending of the name."""
        return PurePosixPath(self.name).suffix

    @property
    def parent(self) -> RemotePath:
        """Place above; of a bucket itself."""
        return self._at(PurePosixPath(self.address.key).parent)

    @property
    def parents(self) -> tuple[RemotePath, ...]:
        """Places above, the nearest first."""
        return tuple(map(self._at, PurePosixPath(self.address.key).parents))

    def _at(self, key: PurePosixPath) -> RemotePath:
        text = "" if str(key) == "." else str(key)
        return replace(self, address=replace(self.address, key=text))

    def with_name(self, name: str) -> RemotePath:
        """Return the place beside it with another name."""
        return self.parent / name

    def relative_to(self, other: RemotePath) -> PurePosixPath:
        """Return the way from another place to this one."""
        if self.address.root != other.address.root:
            message = f"{self} is not below {other}"
            raise ValueError(message)
        return PurePosixPath(self.address.key).relative_to(other.address.key)

    def is_relative_to(self, other: RemotePath) -> bool:
        """Say whether it lies below another place."""
        key = PurePosixPath(self.address.key)
        same = self.address.root == other.address.root
        return same and key.is_relative_to(other.address.key)

    def absolute(self) -> RemotePath:
        """Return itself."""
        return self

    def resolve(self) -> RemotePath:
        """Return itself: a store has no links."""
        return self

    def stat(self) -> ObjectState:
        """Return size and version of the object.

        Raises
        ------
        OSError
            As every method that asks the store: FileNotFoundError, PermissionError, or
            another with the reason as its ``strerror``.
        """
        size, changed, tag = self._ask(lambda: clients.head(self.address))
        if tag:
            digest = hashlib.sha256(tag.encode()).digest()
            changed = int.from_bytes(digest[:8], "big") >> 1
        return ObjectState(size, changed)

    def changed_at(self) -> float:
        """Return when the object was written, in seconds since the epoch."""
        return self._ask(lambda: clients.head(self.address))[1] / 1e9

    def is_file(self) -> bool:
        """Say whether there is an object.

        To those who may not list, a store calls what is missing refused: so that is no
        object here, and an error where it is read.
        """
        if not self.address.key:
            return False
        try:
            self.stat()
        except (FileNotFoundError, PermissionError):
            return False
        return True

    def is_dir(self) -> bool:
        """Say whether an object lies below it; of a web server never."""
        if not self.address.listable:
            return False
        try:
            return any(self._ask(lambda: next(iter(clients.below(self.address)), [])))
        except FileNotFoundError:
            return False

    def exists(self) -> bool:
        """Say whether there is an object, or one below it."""
        return self.is_file() or self.is_dir()

    def read_bytes(self) -> bytes:
        """Return the object."""
        return self._ask(lambda: clients.get(self.address))

    def read_at_most(self, most: int) -> bytes:
        """Return the object, unless it is larger; one request tells both."""
        content = self._ask(lambda: clients.get_within(self.address, most))
        if isinstance(content, int):
            raise too_large(content, most, str(self))
        return content

    def read_range(self, start: int, stop: int) -> bytes:
        """Return some of its bytes."""
        return self._ask(lambda: clients.get(self.address, start, stop))

    def open(self, mode: str = "rb") -> IO[bytes]:
        """Return its content as a file to read."""
        if mode != "rb":
            raise OSError(errno.EROFS, "an object is written whole", str(self))
        return io.BytesIO(self.read_bytes())

    def write_bytes(self, content: bytes) -> int:
        """Write the object, whole or not at all: a reader sees the old one or the new."""
        self._writable()
        self._ask(lambda: clients.put(self.address, content))
        return len(content)

    def create(self, content: bytes) -> bool:
        """Write an object that does not exist yet; return whether it did not."""
        self._writable()

        def attempt() -> bool:
            try:
                clients.put(self.address, content, create=True)
            except Exception as error:
                if clients.is_taken(error):
                    return False
                raise
            return True

        return self._ask(attempt)

    def unlink(self, *, missing_ok: bool = False) -> None:
        """Delete the object; a store does not tell whether there was one."""
        del missing_ok
        self._writable()
        self._ask(lambda: clients.delete(self.address.root, [self.address.key]))

    def delete_below(self, keep: Callable[[str], bool] = lambda _: False) -> None:
        """Delete all objects below it but those whose key from here is to be kept."""
        self._writable()
        start = len(self.address.key) + 1 if self.address.key else 0

        def attempt() -> None:
            for page in clients.below(self.address):
                keys = [key for key, _ in page if not keep(key[start:])]
                if keys:
                    clients.delete(self.address.root, keys)

        self._ask(attempt)

    def mkdir(self, *, parents: bool = False, exist_ok: bool = False) -> None:
        """Do nothing: what is below makes a folder."""
        del parents, exist_ok
        self._writable()

    def iterdir(self) -> Iterator[RemotePath]:
        """Yield what is directly below, by one listing with a delimiter."""
        if not self.address.listable:
            reason = "a web server has no listing; give the path of the array itself"
            raise OSError(errno.ENOTSUP, reason, str(self))
        folders, files = self._ask(lambda: clients.children(self.address))
        for name in sorted({*folders, *files}):
            yield self / name

    def folders(self) -> list[str]:
        """Return the names of the prefixes directly below it, by the same listing."""
        if not self.address.listable:
            reason = "a web server has no listing; give the path of the array itself"
            raise OSError(errno.ENOTSUP, reason, str(self))
        return self._ask(lambda: clients.children(self.address))[0]

    def below(self) -> Iterator[tuple[str, int]]:
        """Yield key from here and size of every object below it, a page a request."""
        start = len(self.address.key) + 1 if self.address.key else 0
        pages = iter(clients.below(self.address))
        while (page := self._ask(lambda: next(pages, None))) is not None:
            yield from ((key[start:], size) for key, size in page)

    def _writable(self) -> None:
        if not self.address.writable:
            raise PermissionError(
                errno.EROFS, "a web server cannot be written to", str(self)
            )

    def _ask(self, request: Callable[[], _T]) -> _T:
        try:
            return request()
        except clients.errors() as error:
            raise store_error(error, self.address) from error


Location: TypeAlias = "Path | RemotePath"
"""Whatever holds files; what both kinds can do is what may be done with one."""


def inner_of(path: Location, container: Location) -> str:
    """Return the way from a container to a place in it, '/'-separated."""
    if isinstance(path, RemotePath) and isinstance(container, RemotePath):
        return path.relative_to(container).as_posix()
    if isinstance(path, Path) and isinstance(container, Path):
        return path.relative_to(container).as_posix()
    message = f"{path} is not below {container}"
    raise ValueError(message)


def lies_in(path: Location, container: Location) -> bool:
    """Say whether a place is another one, or below it."""
    try:
        inner_of(path, container)
    except ValueError:
        return False
    return True


def location(text: str | Path | RemotePath) -> Location:
    """Return the place that a path or an address names.

    Raises
    ------
    VolumeError
        If it is an address of a scheme that cannot be read, or carries credentials.
    """
    if isinstance(text, str) and is_remote(text):
        return RemotePath(Address.parse(text))
    return Path(text) if isinstance(text, str) else text

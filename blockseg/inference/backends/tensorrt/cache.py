"""Engines on disk: built once, found by all processes of a node.

A file's name follows from all that its engine depends on, and its header says it again: an
engine of other weights, of another library or for another card is never loaded.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import Timeout, UnixFileLock, WindowsFileLock

from blockseg.core.errors import BackendError
from blockseg.inference.backends.tensorrt.file import (
    EngineKey,
    Header,
    read_engine,
    write_atomically,
    write_engine,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_log = logging.getLogger("blockseg.tensorrt")

_PATIENCE_SECONDS = 0.2
"""Seconds to wait silently; after that, the reason for waiting is logged."""

_ABANDONED_SECONDS = 86400.0
"""Age from which a part of a file was left behind by a process that died."""


def cache_folder() -> Path:
    """Return the folder of the engines.

    ``BLOCKSEG_CACHE`` if set, else ``blockseg`` in ``XDG_CACHE_HOME`` or ``~/.cache``.
    """
    given = os.environ.get("BLOCKSEG_CACHE")
    if given:
        return Path(given).expanduser().absolute()
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "blockseg"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the cache."""

    path: Path
    """Path of the file."""

    size: int
    """Bytes of the file."""

    modified: float
    """Time at which it was written, in seconds since 1970."""

    header: Header | None
    """Header of its engine; None where it is damaged."""

    problem: str = ""
    """Problem with it then."""


class EngineCache:
    """A folder of engines.

    Parameters
    ----------
    folder
        Made when the first engine is built; :func:`cache_folder` if not given.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = (folder or cache_folder()) / "engines"

    def get(self, key: EngineKey, build: Callable[[], bytes]) -> bytes:
        """Return an engine; build it if it is not there or damaged.

        One process builds at a time: builds measure kernels, and two at once would
        disturb each other. The others wait, and find it built.

        Parameters
        ----------
        key
            Which.
        build
            Makes it.

        Raises
        ------
        BackendError
            If the folder cannot be written to or locked, and whatever ``build`` raises.
        """
        found = self._read(key)
        if found is not None:
            return found
        with self._building():
            found = self._read(key)  # somebody else may have built it meanwhile
            return self._build(key, build) if found is None else found

    def rebuild(
        self, key: EngineKey, build: Callable[[], bytes], refused: bytes
    ) -> bytes:
        """Return an engine in place of one that its library does not load.

        Parameters
        ----------
        key, build
            As for :meth:`get`.
        refused
            What :meth:`get` gave; if another is there meanwhile, it is taken.
        """
        with self._building():
            found = self._read(key)
            if found is not None and _digest(found) != _digest(refused):
                return found
            return self._build(key, build)

    def entries(self) -> list[Entry]:
        """Return the engines in the folder, by name, checked byte for byte."""
        return [_entry(path) for path in sorted(self.folder.glob("*.engine"))]

    def remove(self, paths: list[Path]) -> None:
        """Remove files of the folder, and leftovers of dead processes.

        Raises
        ------
        BackendError
            If one cannot be removed.
        """
        if not self.folder.is_dir():
            return
        with self._building():
            parts = [p for p in self.folder.glob(".*.partial") if _is_abandoned(p)]
            for path in (*paths, *parts):
                try:
                    path.unlink(missing_ok=True)
                except OSError as error:
                    message = f"{path} cannot be removed: {error.strerror or error}"
                    raise BackendError(message) from error

    def timings(self, name: str) -> bytes:
        """Return the measurements of earlier builds; empty if there are none."""
        with suppress(OSError):
            return (self.folder / f"{name}.timings").read_bytes()
        return b""

    def keep_timings(self, name: str, content: bytes) -> None:
        """Keep what a build measured, for the next; losing it costs time alone."""
        if content:
            with suppress(OSError):
                write_atomically(self.folder / f"{name}.timings", content)

    def _read(self, key: EngineKey) -> bytes | None:
        path = self.folder / key.filename
        if not path.is_file():
            return None
        try:
            header, engine = read_engine(path)
        except BackendError as error:
            _log.warning("%s; it is built again", error)
            return None
        if header.key != key:
            _log.warning("%s is of another engine; it is built again", path)
            return None
        return engine

    def _build(self, key: EngineKey, build: Callable[[], bytes]) -> bytes:
        start = time.monotonic()
        engine = build()
        seconds = time.monotonic() - start
        header = Header(key, _digest(engine), len(engine), time.time(), seconds)
        path = self.folder / key.filename
        try:
            write_engine(path, header, engine)
        except OSError as error:
            raise self._useless(error) from error
        _log.info("built %s in %.1f s", path, seconds)
        return engine

    @contextmanager
    def _building(self) -> Iterator[None]:
        """Hold the folder; the system lets go when the holder dies."""
        kind = WindowsFileLock if os.name == "nt" else UnixFileLock
        lock = kind(self.folder / "build.lock")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=_PATIENCE_SECONDS)
            except Timeout:
                _log.warning("another process builds an engine; waiting for it")
                lock.acquire()
        except (OSError, NotImplementedError) as error:
            raise self._useless(error) from error
        try:
            yield
        finally:
            lock.release()

    def _useless(self, error: Exception) -> BackendError:
        message = (
            f"engines cannot be kept in {self.folder}: {error}; name a folder on a "
            "local disk in BLOCKSEG_CACHE"
        )
        return BackendError(message)


def _entry(path: Path) -> Entry:
    stat = path.stat()
    try:
        return Entry(path, stat.st_size, stat.st_mtime, read_engine(path)[0])
    except BackendError as error:
        return Entry(path, stat.st_size, stat.st_mtime, None, str(error))


def _is_abandoned(path: Path) -> bool:
    with suppress(OSError):
        return time.time() - path.stat().st_mtime > _ABANDONED_SECONDS
    return False


def _digest(engine: bytes) -> str:
    return hashlib.sha256(engine).hexdigest()

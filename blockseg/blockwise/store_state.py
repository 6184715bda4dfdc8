"""State of an output in a store: kept on this machine, copied into the output as it grows.

Neither SQLite nor locks live in a store. Record, ledger and logs therefore lie in a folder
of this machine, and ``OUT/.blockseg/`` holds a copy, from which another machine goes on.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import tempfile
import threading
import time
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blockseg.blockwise.outputs import place
from blockseg.blockwise.record.record import FOLDER, Paths
from blockseg.core.errors import LedgerError, OutputGoneError, VolumeError
from blockseg.core.untrusted.files import SETTINGS_BYTES, read_text
from blockseg.core.untrusted.json_text import parse_json
from blockseg.io.stores.location import RemotePath
from blockseg.io.stores.state import local_state
from blockseg.runtime.ledger.file import copy_ledger
from blockseg.runtime.run_lock import RunLock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blockseg.io.stores.location import Location

_MARKER = "copied.json"
"""Identity of this copy: the same here and in the output unless one of them went ahead."""

CLAIM = "claim.json"
"""Says which machine is at work on the output; another leaves it alone meanwhile."""

_SECONDS_BETWEEN = 60.0
_PATIENCE = 20  # times the last copy's own duration that lie between two
_STALE_SECONDS = 600.0
_NOT_COPIED = ("-wal", "-shm", "-journal", ".part", ".partial", "lock", "lock.json")


def paths_of(out: str | Location) -> Paths:
    """Return the paths of a run's files; of one in a store with its state up to date.

    Raises
    ------
    VolumeError
        If OUT is no address that can be read, or the store cannot be asked.
    """
    paths = Paths(place(out))
    fetch_state(paths)
    return paths


def fetch_state(paths: Paths) -> None:
    """Bring the state of an output in a store to this machine, if another machine worked on it.

    Raises
    ------
    VolumeError
        If the store cannot be asked.
    """
    out = paths.out
    if not isinstance(out, RemotePath):
        return
    local = local_state(out)
    theirs = _read(out / FOLDER / _MARKER)
    ours = _read(local / _MARKER)
    if theirs == ours or _is_held(local):
        return
    if theirs is None:
        if local.is_dir() and not _is_there(out):  # what is known here is of nothing
            shutil.rmtree(local, ignore_errors=True)
        return
    part = local.with_name(f"{local.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        for name, _ in (out / FOLDER).below():
            if name == CLAIM or ".." in name.split("/"):
                continue
            target = part / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((out / FOLDER / name).read_bytes())
        shutil.rmtree(local, ignore_errors=True)
        part.replace(local)
    except OSError as error:
        message = (
            f"the state of OUT {out} cannot be brought to {local}: "
            f"{error.strerror or error}"
        )
        raise VolumeError(message) from error


@dataclass(slots=True)
class StateCopy:
    """Copies the state of a run into its output; of one on a disk there is nothing to do."""

    paths: Paths
    """Paths of the run, or of a part of it."""

    ledger: Path
    """Its ledger, wherever it lies."""

    _sent: dict[str, tuple[int, ...]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self) -> None:
        """Copy what changed since the last time, the marker last.

        Raises
        ------
        OSError, BlocksegError
            If the store does not take it, or the ledger cannot be read.
        """
        out = self.paths.out
        if not isinstance(out, RemotePath):
            return
        with self._lock:
            local, changed = local_state(out), False
            for name, path in self._files(local):
                state = _state(path)
                if not state or self._sent.get(name) == state:
                    continue
                content = _ledger_bytes(path) if name.endswith(".sqlite") else None
                (out / FOLDER / name).write_bytes(content or path.read_bytes())
                self._sent[name] = state
                changed = True
            if changed:
                marker = {"copy": uuid.uuid4().hex, "host": socket.gethostname()}
                text = json.dumps(marker)
                (out / FOLDER / _MARKER).write_bytes(text.encode())
                (local / _MARKER).write_text(text, encoding="utf-8")

    def _files(self, local: Path) -> Iterator[tuple[str, Path]]:
        usual = self.paths.ledger
        for path in sorted(p for p in local.rglob("*") if p.is_file()):
            passing = path.name.endswith(_NOT_COPIED) or path.name == _MARKER
            if not passing and (path != usual or self.ledger == usual):
                yield path.relative_to(local).as_posix(), path
        if self.ledger != usual and self.ledger.exists():
            yield usual.relative_to(local).as_posix(), self.ledger


@contextmanager
def copied_state(paths: Paths, ledger: Path) -> Iterator[StateCopy]:
    """Copy the state of a run into an output in a store, from time to time and at the end.

    Parameters
    ----------
    paths, ledger
        As of :class:`StateCopy`; the output is claimed.

    Raises
    ------
    OutputGoneError
        If the last copy cannot be made: all else is written, and the ledger is here.
    """
    copy = StateCopy(paths, ledger)
    if not isinstance(paths.out, RemotePath):
        yield copy
        return
    ended = threading.Event()
    keeper = threading.Thread(
        target=_keep, args=(copy, paths.out, ended), name="state-copy", daemon=True
    )
    keeper.start()
    try:
        yield copy
    except BaseException:
        _end(ended, keeper)
        with suppress(OSError, VolumeError, LedgerError):  # what ended it tells more
            copy.send()
        raise
    _end(ended, keeper)
    try:
        copy.send()
    except (OSError, VolumeError, LedgerError) as error:
        reason = getattr(error, "strerror", None) or error
        message = (
            f"the ledger cannot be copied into {paths.name}: {reason}; it lies in "
            f"{ledger}: run the same command again on this machine"
        )
        raise OutputGoneError(message) from error


@contextmanager
def claimed(out: Location) -> Iterator[None]:
    """Take an output in a store for this machine, whose own lock is held already.

    Raises
    ------
    LedgerError
        If another machine is at work on it.
    VolumeError
        If it cannot be written.
    """
    if not isinstance(out, RemotePath):
        yield
        return
    place = out / FOLDER / CLAIM
    try:
        if not place.create(_claim()):
            _refuse_claimed(place, out)
            place.write_bytes(_claim())
    except OSError as error:
        message = f"OUT {out} cannot be written: {error.strerror or error}"
        raise VolumeError(message) from error
    try:
        yield
    finally:
        with suppress(OSError):  # it ends by itself
            place.unlink(missing_ok=True)


def who_claims(out: Location) -> str:
    """Return the machine that is at work on an output in a store; empty if none says so."""
    if not isinstance(out, RemotePath):
        return ""
    claim = out / FOLDER / CLAIM
    who = _read(claim)
    if who is None or time.time() - claim.changed_at() > _STALE_SECONDS:
        return ""
    return str(who.get("host", ""))


def where_state_is(paths: Paths, ledger: Path) -> tuple[str, ...]:
    """Say where record and ledger of an output in a store lie, a line or none."""
    if not isinstance(paths.out, RemotePath):
        return ()
    return (f"ledger {ledger}, copied into OUT every minute and at the end",)


def _refuse_claimed(place: RemotePath, out: RemotePath) -> None:
    who = _read(place) or {}
    host = str(who.get("host", "another machine"))
    age = max(0.0, time.time() - place.changed_at())
    if host != socket.gethostname() and age < _STALE_SECONDS:
        message = (
            f"process {who.get('pid', 'unknown')} on {host} is writing OUT {out}, as it "
            f"said {age:.0f} s ago; wait for it, or for {_STALE_SECONDS / 60:.0f} minutes "
            "after it died, or choose another output"
        )
        raise LedgerError(message)


def _claim() -> bytes:
    return json.dumps({"host": socket.gethostname(), "pid": os.getpid()}).encode()


def _keep(copy: StateCopy, out: RemotePath, ended: threading.Event) -> None:
    """Copy and renew, from a thread of its own: a slow store delays no block."""
    wait = _SECONDS_BETWEEN
    while not ended.wait(wait):
        began = time.monotonic()
        with suppress(OSError, VolumeError, LedgerError):  # the next one may go
            (out / FOLDER / CLAIM).write_bytes(_claim())
            copy.send()
        wait = max(_SECONDS_BETWEEN, _PATIENCE * (time.monotonic() - began))
        wait = min(wait, _STALE_SECONDS / 2)


def _end(ended: threading.Event, keeper: threading.Thread) -> None:
    ended.set()
    keeper.join()


def _read(place: Location) -> dict[str, Any] | None:
    try:
        found = parse_json(read_text(place, SETTINGS_BYTES))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    except OSError as error:
        message = f"{place} cannot be read: {error.strerror or error}"
        raise VolumeError(message) from error
    return found if isinstance(found, dict) else None


def _state(path: Path) -> tuple[int, ...]:
    """Return size and time of a file, and of what SQLite keeps beside it; empty if gone."""
    found: list[int] = []
    for each in (path, path.with_name(f"{path.name}-wal")):
        with suppress(OSError):
            state = each.stat()
            found += [state.st_size, state.st_mtime_ns]
    return tuple(found)


def _ledger_bytes(path: Path) -> bytes:
    with tempfile.TemporaryDirectory(prefix="blockseg-") as folder:
        target = Path(folder, path.name)
        copy_ledger(path, target)
        return target.read_bytes()


def _is_there(out: RemotePath) -> bool:
    try:
        return out.is_dir()
    except OSError as error:
        message = f"OUT {out} cannot be read: {error.strerror or error}"
        raise VolumeError(message) from error


def _is_held(local: Path) -> bool:
    return local.is_dir() and RunLock(local / "lock").is_held()

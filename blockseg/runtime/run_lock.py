"""One run at a time on one output."""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from filelock import Timeout, UnixFileLock, WindowsFileLock

from blockseg.core.errors import DISK_FULL, LedgerError, NoSpaceError
from blockseg.core.untrusted.files import SETTINGS_BYTES, read_text
from blockseg.core.untrusted.json_text import parse_json

if TYPE_CHECKING:
    from pathlib import Path

_PATIENCE_SECONDS = 0.3
"""Longer than somebody who only looks whether the lock is held has it."""


class RunLock:
    """Hold an output; the system lets go when the holder dies, however it dies.

    Parameters
    ----------
    path
        The lock file, in an existing folder. Who holds it stands beside it, in the
        same name with ``.json`` added.
    purpose
        Of the holder, where it is not the run itself.
    """

    def __init__(self, path: Path, purpose: str = "") -> None:
        lock = WindowsFileLock if os.name == "nt" else UnixFileLock
        self._path = path
        self._purpose = purpose
        self._holder = path.with_name(path.name + ".json")
        self._lock = lock(path)

    def acquire(self) -> Self:
        """Take the lock now or not at all.

        Raises
        ------
        LedgerError
            If another run holds it, named by its process and machine, or if the
            file system cannot lock.
        NoSpaceError
            If the disk is full.
        """
        try:
            self._lock.acquire(timeout=_PATIENCE_SECONDS)
        except Timeout:
            message = (
                f"another {self.purpose_of_holder() or 'run'} ({self._who()}) is writing "
                "this output; wait for it or "
                "choose another output"
            )
            raise LedgerError(message) from None
        except (OSError, NotImplementedError) as error:
            raise self._refusal(error) from error
        who = {"pid": os.getpid(), "host": socket.gethostname()}
        if self._purpose:
            who["purpose"] = self._purpose
        try:
            self._holder.write_text(json.dumps(who), encoding="utf-8")
        except OSError as error:
            self.release()
            raise self._refusal(error) from error
        return self

    def is_held(self) -> bool:
        """Say whether another process holds the lock now; takes nothing itself."""
        if not self._holder.exists():
            return False
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            return True
        except (OSError, NotImplementedError):
            return False
        self._lock.release()
        return False

    def purpose_of_holder(self) -> str:
        """Return what another process holds the lock for; empty if for the run itself."""
        try:
            who = parse_json(read_text(self._holder, SETTINGS_BYTES))
            return str(who.get("purpose", ""))
        except (OSError, ValueError, AttributeError):
            return ""

    def host_of_holder(self) -> str:
        """Return the machine that holds the lock, or held it last; empty if unknown."""
        try:
            who = parse_json(read_text(self._holder, SETTINGS_BYTES))
            return str(who.get("host", ""))
        except (OSError, ValueError, AttributeError):
            return ""

    def release(self) -> None:
        """Let go."""
        if self._lock.is_locked:
            with suppress(OSError):
                self._holder.unlink(missing_ok=True)
            self._lock.release()

    def __enter__(self) -> Self:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def _refusal(self, error: Exception) -> LedgerError | NoSpaceError:
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            return NoSpaceError(
                f"no space left for {self._path}; free some, then run the same command "
                "again"
            )
        return LedgerError(
            f"cannot lock {self._path}: {error}; choose an output on a file system "
            "that has locks"
        )

    def _who(self) -> str:
        try:
            who = parse_json(read_text(self._holder, SETTINGS_BYTES))
            return f"process {who['pid']} on {who['host']}"
        except (OSError, ValueError, KeyError, TypeError):
            return "process unknown"  # between its lock and its name

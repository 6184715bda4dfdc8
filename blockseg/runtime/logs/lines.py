"""A file of JSON lines that never grows beyond a bound and never harms who writes it."""

from __future__ import annotations

import json
import os
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

ENDING = ".jsonl"
"""Ending of the files' names."""

_OLD = f".old{ENDING}"
_MOST_BYTES = 32 * 2**20

_encode = json.JSONEncoder(default=str).encode  # json.dumps makes an encoder each time


class LineFile:
    """One file of JSON lines, and the one before it; threads may share it.

    Nothing that goes wrong is raised: a log that cannot be written is given up, and
    whoever writes it goes on.

    Parameters
    ----------
    path
        The file, in an existing folder; lines are added to what is there.
    most_bytes
        Size at which a new file is begun; the one before it is kept, older ones are not.
    """

    def __init__(self, path: Path, most_bytes: int = _MOST_BYTES) -> None:
        self._path = path
        self._most = most_bytes
        self._lock = threading.Lock()
        self._handle: int | None = None
        self._size = 0
        self._given_up = False

    def write(self, event: str, **values: object) -> None:
        """Add a line: what happened, when, and what else is known of it.

        Parameters
        ----------
        event
            One word.
        **values
            Plain values; texts in place of anything else.
        """
        try:
            told = {"time": round(time.time(), 6), "event": event, **values}
            line = _encode(told).encode() + b"\n"
            with self._lock:
                if not self._given_up:
                    self._append(line)
        except Exception:  # noqa: BLE001 - a log must not end a run, whatever fails in it
            self._given_up = True

    def close(self) -> None:
        """Close the file; another line opens it again."""
        with self._lock:
            handle, self._handle = self._handle, None
            if handle is not None:
                os.close(handle)

    def _append(self, line: bytes) -> None:
        if self._handle is None:
            # In one call a line, to its end: lines of a process that dies stay whole.
            how = os.O_WRONLY | os.O_APPEND | os.O_CREAT
            self._handle = os.open(self._path, how, 0o666)
            self._size = os.fstat(self._handle).st_size
        os.write(self._handle, line)
        self._size += len(line)
        if self._size >= self._most:
            handle, self._handle = self._handle, None
            os.close(handle)
            name = self._path.name.removesuffix(ENDING)
            self._path.replace(self._path.with_name(name + _OLD))

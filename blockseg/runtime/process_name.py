"""Name of this process, by which logs tell workers apart."""

from __future__ import annotations

import os
import re
import socket

_given: dict[int, str] = {}
"""Names by process id: a forked process does not inherit the name."""


def name_process(name: str) -> None:
    """Call this process so from now on."""
    _given[os.getpid()] = name


def process_name() -> str:
    """Return the name of this process; host and number if nobody named it."""
    pid = os.getpid()
    return _given.get(pid) or f"{socket.gethostname()}:{pid}"


def file_name(name: str) -> str:
    """Return a process's name as a part of a file's name."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-")

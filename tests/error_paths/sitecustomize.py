"""Notes where errors of blockseg are made, in every Python process that has this on its path.

``BLOCKSEG_ERROR_PATHS`` names a folder; each process writes a file there, with a line
``file:line`` for each place.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any


def _note_places(folder: Path) -> None:
    try:
        from blockseg.core.errors import BlocksegError
    except ImportError:  # a Python of somebody else
        return
    seen: set[tuple[str, int]] = set()

    def noting(kind: type[BaseException], *arguments: Any, **_more: Any) -> Any:
        frame = sys._getframe(1)
        place = frame.f_code.co_filename, frame.f_lineno
        if place not in seen:
            seen.add(place)
            # Opened each time: a process may be killed, or be a fork of this one.
            with (folder / f"{os.getpid()}.txt").open("a") as file:
                file.write(f"{place[0]}:{place[1]}\n")
        return Exception.__new__(kind, *arguments)

    BlocksegError.__new__ = noting  # type: ignore[method-assign]


if _folder := os.environ.get("BLOCKSEG_ERROR_PATHS"):
    _note_places(Path(_folder))

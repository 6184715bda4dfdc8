"""State of the path of a file that may be missing."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MISSING = "missing"

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def why_no_file(path: str | Path) -> str:
    """Say what is at a path in place of a regular file; opens nothing.

    Returns
    -------
    Empty for a regular file, and where the storage library will say it itself;
    ``MISSING`` where there is nothing; else in words.
    """
    try:
        mode = stat.S_IFMT(os.stat(path).st_mode)  # noqa: PTH116 - once a chunk
    except FileNotFoundError:
        if os.path.islink(path):  # noqa: PTH114 - the same
            return f"a link to {os.readlink(path)}, where nothing is"  # noqa: PTH115
        return MISSING
    except NotADirectoryError:
        return "below a file"
    except OSError:
        return ""
    return _KINDS.get(mode, "")

"""State of the path of a file that may be missing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from blockseg.core.untrusted.files import kind_of_file
from blockseg.io.stores.location import RemotePath

if TYPE_CHECKING:
    from blockseg.io.stores.location import Location

MISSING = "missing"


def why_no_file(path: str | Location) -> str:
    """Say what is at a path in place of a regular file; opens nothing.

    Returns
    -------
    Empty for a regular file, and where the storage library will say it itself;
    ``MISSING`` where there is nothing; else in words.
    """
    if isinstance(path, RemotePath):
        try:
            return "" if path.is_file() else MISSING
        except OSError:
            return ""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - once a chunk
    except FileNotFoundError:
        if os.path.islink(path):  # noqa: PTH114 - the same
            return f"a link to {os.readlink(path)}, where nothing is"  # noqa: PTH115
        return MISSING
    except NotADirectoryError:
        return "below a file"
    except OSError:
        return ""
    return kind_of_file(mode)

"""Memory that is kept from step to step instead of being returned to the system."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Of malloc.h; GNU's C library alone has them.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -2, -3, -4
_KEEPING = {_MMAP_MAX: 0, _TRIM_THRESHOLD: 2**31 - 1, _TOP_PAD: 64 * 2**20}
_USUAL = {
    _MMAP_MAX: 65_536,
    _TRIM_THRESHOLD: 16 * 2**20,
    _TOP_PAD: 128 * 2**10,
    _MMAP_THRESHOLD: 4 * 2**20,
}


@contextmanager
def kept_memory() -> Iterator[bool]:
    """Keep memory that is freed inside, and return it to the system at the end.

    A feature map is larger than what GNU's malloc keeps, so that each one of each step
    would be fetched from the system and given back: a page fault for every 4 KiB, which
    costs as much as a pass over it. Yields whether anything was changed: not on other
    systems, and not where the environment already says how malloc shall behave.
    """
    library = _library()
    if library is None:
        yield False
        return
    for parameter, value in _KEEPING.items():
        library.mallopt(parameter, value)
    try:
        yield True
    finally:
        for parameter, value in _USUAL.items():
            library.mallopt(parameter, value)
        library.malloc_trim(0)


def _library() -> ctypes.CDLL | None:
    """Return the C library, if it is GNU's and nobody has told it what to do."""
    told = any(name.startswith("MALLOC_") for name in os.environ)
    if told or "GLIBC_TUNABLES" in os.environ or sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    known = all(hasattr(library, name) for name in ("mallopt", "malloc_trim"))
    return library if known else None

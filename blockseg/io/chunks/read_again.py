"""Reads that storage failed, done again: what passes by itself costs a moment, no block."""

from __future__ import annotations

import errno
import re
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")

PAUSES = (0.1, 0.3, 1.0, 3.0)
"""Seconds before each further try; after the last one the error counts."""

_PASSING = frozenset(
    getattr(errno, name)
    for name in (
        "EIO", "EAGAIN", "EBUSY", "EINTR", "ETIMEDOUT", "ESTALE", "EREMOTEIO",
        "ECONNRESET", "ECONNABORTED", "ECONNREFUSED", "EHOSTDOWN", "EHOSTUNREACH",
        "ENETDOWN", "ENETUNREACH", "ENOTCONN",
    )
    if hasattr(errno, name)
)  # fmt: skip


def read_again(
    read: Callable[[], _T], sleep: Callable[[float], None] = time.sleep
) -> _T:
    """Return the result of a read; retry where storage fails for the moment.

    Four times more at most, over four and a half seconds. What cannot be decoded, is not
    there or may not be read is the same on every try, and raised at once.

    Parameters
    ----------
    read
        Reads, as often as it is called.
    sleep
        Waits so many seconds.
    """
    for pause in PAUSES:
        try:
            return read()
        except Exception as error:
            if system_error(error) not in _PASSING:
                raise
        sleep(pause)
    return read()


def system_error(error: BaseException) -> int | None:
    """Return the number of the system's error; None if it was none of the system's.

    Of an OSError, or of tensorstore's, which tells it only in its text.
    """
    if isinstance(error, OSError):
        return error.errno
    found = re.search(r"os_error_code='(\d+)'", str(error))
    return int(found.group(1)) if found else None

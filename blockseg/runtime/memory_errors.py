"""Errors that want of memory, of address space or of processes raises."""

from __future__ import annotations

import errno
import sys

REMEDY = (
    "there is too little memory or address space (ulimit -v), or too few processes are "
    "allowed (ulimit -u): allow more"
)
"""Remedy for a user, as the end of a message."""

_TEXTS = (
    "can't start new thread",
    "Cannot allocate memory",
    "failed to map segment",
    "not enough memory",
)


_ADDRESS_SPACE = 3 * 2**29
"""Bytes without which libraries abort the process instead of raising an error."""


def too_little_address_space() -> str:
    """Return why work cannot begin in the address space of this process; empty if it can."""
    if sys.platform == "win32":  # which has no such limit
        return ""
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY or soft >= _ADDRESS_SPACE:
        return ""
    return (
        f"the address space of a process is limited to {soft / 2**30:.2f} GiB (ulimit -v), "
        f"and {_ADDRESS_SPACE / 2**30:.1f} GiB are needed at least: allow more"
    )


def lacks_memory(error: BaseException) -> bool:
    """Return whether an error says that the system gives no more memory or threads."""
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    kinds = RuntimeError | OSError | ImportError
    return isinstance(error, kinds) and any(text in str(error) for text in _TEXTS)

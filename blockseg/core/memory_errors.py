"""Errors that want of memory, of address space or of processes raises."""

from __future__ import annotations

import errno

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


def lacks_memory(error: BaseException) -> bool:
    """Return whether an error says that the system gives no more memory or threads."""
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    kinds = RuntimeError | OSError | ImportError
    return isinstance(error, kinds) and any(text in str(error) for text in _TEXTS)

"""Errors of the storage library, turned into ones that a user can act on."""

from __future__ import annotations

import errno
import os
import re

from blockseg.core.errors import (
    DISK_FULL,
    CorruptDataError,
    NoSpaceError,
    OutputGoneError,
    VolumeError,
)
from blockseg.io.chunks.read_again import system_error
from blockseg.io.stores.problems import why_unread

_GONE = (
    errno.ENOENT, errno.ESTALE, errno.ENODEV, errno.ENXIO, errno.ENOTCONN,
    errno.EHOSTUNREACH,
)  # fmt: skip
_CLOSED = (errno.EROFS, errno.EACCES, errno.EPERM)


def write_error(error: Exception, what: str, *, midway: bool = False) -> VolumeError:
    """Return the error to raise when ``what`` could not be written.

    Parameters
    ----------
    error
        An OSError, or a ValueError of tensorstore, which tells the number of the
        system's error only in its text.
    what
        File, or level and region, as a user finds them.
    midway
        Whether it could be written to before: then it cannot any more, and no other
        block can be written either.
    """
    reason = _reason(error)
    if system_error(error) in DISK_FULL or any(
        os.strerror(number) in str(error) for number in DISK_FULL
    ):
        return NoSpaceError(
            f"no space left to write {what}: {reason}; free some, "
            "then run the same command again"
        )
    if is_corrupt(error):
        return CorruptDataError(
            f"{what} is damaged: {reason}; run the same command again with --verify, "
            "which restores what is damaged"
        )
    if system_error(error) in _GONE:
        return OutputGoneError(
            f"cannot write {what}: {reason}; it was removed or unmounted while it was "
            "written: bring it back and run the same command again"
        )
    if midway and system_error(error) in _CLOSED:
        return OutputGoneError(
            f"cannot write {what}: {reason}; it could be written to before: make it "
            "writable again and run the same command again"
        )
    return VolumeError(
        f"cannot write {what}: {reason}; check that it exists and can be written"
    )


def closed_by(error: BaseException) -> OSError | None:
    """Return the system's error if something may not be written to; else None.

    Parameters
    ----------
    error
        Of ours, with that of the system among its causes.
    """
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__cause__
    return cause if cause is not None and cause.errno in _CLOSED else None


def closed_midway(error: VolumeError) -> VolumeError:
    """Return the error to raise where an output could be written to before."""
    cause = closed_by(error)
    if cause is None:
        return error
    return write_error(cause, str(cause.filename or "OUT"), midway=True)


def is_corrupt(error: Exception) -> bool:
    """Say whether stored data could be read but not decoded."""
    return (
        isinstance(error, ValueError)
        and "Error reading" in str(error)
        and system_error(error) is None
        and not why_unread(error)
    )


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    # What the system says of a disk is no answer of a store.
    stored = isinstance(error, ValueError) and system_error(error) is None
    if stored and (why := why_unread(error)):
        return why
    text = " ".join(str(error).split())
    return re.sub(r" \[(tensorstore_spec|os_error_code|source locations)=?.*", "", text)

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

_GONE = (errno.ENOENT, errno.ESTALE, errno.ENODEV, errno.ENXIO, errno.ENOTCONN)


def write_error(error: Exception, what: str) -> VolumeError:
    """Return the error to raise when ``what`` could not be written.

    Parameters
    ----------
    error
        An OSError, or a ValueError of tensorstore, which tells the number of the
        system's error only in its text.
    what
        File, or level and region, as a user finds them.
    """
    reason = _reason(error)
    if _number(error) in DISK_FULL or any(
        os.strerror(number) in str(error) for number in DISK_FULL
    ):
        return NoSpaceError(
            f"no space left to write {what}: {reason}; free some, "
            "then run the same command again"
        )
    if is_corrupt(error):
        return CorruptDataError(
            f"{what} is damaged: {reason}; run the same command again with --verify, "
            "which makes anew what is damaged"
        )
    if _number(error) in _GONE:
        return OutputGoneError(
            f"cannot write {what}: {reason}; it was removed or unmounted while it was "
            "written: bring it back and run the same command again"
        )
    return VolumeError(
        f"cannot write {what}: {reason}; check that it exists and can be written"
    )


def is_corrupt(error: Exception) -> bool:
    """Say whether stored data could be read but not decoded."""
    return (
        isinstance(error, ValueError)
        and "Error reading" in str(error)
        and _number(error) is None
    )


def _number(error: Exception) -> int | None:
    if isinstance(error, OSError):
        return error.errno
    found = re.search(r"os_error_code='(\d+)'", str(error))
    return int(found.group(1)) if found else None


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = " ".join(str(error).split())
    return re.sub(r" \[(tensorstore_spec|os_error_code|source locations)=?.*", "", text)

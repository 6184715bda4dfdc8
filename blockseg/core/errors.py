"""Errors that blockseg raises.

* BlocksegError
    * ConfigError        a setting is missing, unknown or out of range
    * GeometryError      shapes, halos or ROIs do not fit each other
    * VolumeError        a volume cannot be opened, read or written
        * CorruptDataError   stored data cannot be decoded; the same on every try
        * NoSpaceError       the output's disk is full; the run stops cleanly
        * OutputGoneError    the output was removed, unmounted or closed while it was written
    * WeightsError       a weights file is damaged, unsafe or of another network
    * BackendError       an engine cannot be built, loaded or run
        * DeviceMemoryError  a device has too little memory; a smaller window may fit
        * DeviceLostError    a device failed; the process that used it must end
        * MissingExtraError  an optional dependency is not installed; names the extra
    * TrainingError      a training cannot go on; its last checkpoint is intact
        * ProcessLostError   a process that made patches died; the same command goes on
    * LedgerError        the ledger does not belong to this run, or another run holds it
    * ClusterError       the scheduler cannot be reached, or workers cannot be started
        * ClusterLostError   it was lost while a run went on; the same command goes on
    * BlockError         one block failed; carries its index

SourceWarning, a UserWarning, tells of a source that may not be what it seems.

Every message says what happened, with the value, and what to do about it, in one line.
"""

from __future__ import annotations

import errno

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Numbers of the system's errors that become a NoSpaceError."""


class BlocksegError(Exception):
    """Base of every error that blockseg raises on purpose."""


class ConfigError(BlocksegError):
    """A setting is missing, unknown or out of range."""


class GeometryError(BlocksegError, ValueError):
    """Shapes, halos or ROIs do not fit each other."""


class VolumeError(BlocksegError):
    """A volume cannot be opened, read or written.

    Parameters
    ----------
    message
        What happened.
    file
        The one to blame, which has to be replaced; empty if that is not known.
    """

    def __init__(self, message: str = "", file: str = "") -> None:
        super().__init__(message, file)  # all args: VolumeError crosses processes
        self.file = file

    def __str__(self) -> str:
        return str(self.args[0])


class CorruptDataError(VolumeError):
    """Stored data cannot be decoded; trying again gives the same answer."""


class NoSpaceError(VolumeError):
    """The disk that holds the output is full."""


class OutputGoneError(VolumeError):
    """The place written to was removed, unmounted or made read-only meanwhile."""


class WeightsError(BlocksegError):
    """A weights file is damaged, unsafe to read, or of another network."""


class BackendError(BlocksegError):
    """An engine cannot be built, loaded or run."""


class DeviceMemoryError(BackendError):
    """A device has too little memory for what it was given; a smaller window may fit."""


class DeviceLostError(BackendError):
    """A device failed; the process that used it must end, and another may continue."""


class MissingExtraError(BackendError):
    """An optional dependency is not installed.

    Parameters
    ----------
    what
        The thing that was asked for, as a user names it.
    extra
        The extra of blockseg that brings it.
    """

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(what, extra)
        self.what = what
        self.extra = extra

    def __str__(self) -> str:
        return f"{self.what} is not installed; pip install 'blockseg[{self.extra}]'"


class TrainingError(BlocksegError):
    """A training cannot continue; its last checkpoint is intact."""


class ProcessLostError(TrainingError):
    """A process that made patches died; the same command resumes."""


class LedgerError(BlocksegError):
    """The ledger does not belong to this run, or another run holds it."""


class ClusterError(BlocksegError):
    """The Dask scheduler cannot be reached, or workers cannot be started."""


class ClusterLostError(ClusterError):
    """The cluster was lost during a run; what was done is in the ledger."""


class BlockError(BlocksegError):
    """One block failed.

    Parameters
    ----------
    message
        What happened.
    index
        Position of the block in its grid, (z, y, x).
    """

    def __init__(self, message: str, index: tuple[int, int, int]) -> None:
        super().__init__(message, index)  # all args: BlockError crosses processes
        self.index = index

    def __str__(self) -> str:
        return f"block {self.index}: {self.args[0]}"


class SourceWarning(UserWarning):
    """A source may not be what it seems; the text says why and what silences it."""

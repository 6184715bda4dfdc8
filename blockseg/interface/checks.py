"""Checks of a result, and ways back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from blockseg.interface.arguments import path_of

if TYPE_CHECKING:
    import os

    from blockseg.blockwise.job import JobResult
    from blockseg.checks.debugging.run import Debugged
    from blockseg.checks.seams.run import SeamAudit
    from blockseg.checks.verification.findings import Verification


def verify(out: str | os.PathLike[str], **settings: Any) -> Verification:
    """Compare an output with the checksums from when it was written.

    Parameters
    ----------
    out
        Output of :func:`run`, or of any command that has a ledger.
    **settings
        The options of ``blockseg verify`` by name, such as ``repair=True``, and how to run
        a repair, such as ``workers=4``.

    Returns
    -------
    Verification
        ``sound`` is True if nothing is wrong; ``findings`` lists what is.

    Raises
    ------
    BlocksegError
        If there is no such output, or another process writes to it.
    """
    from blockseg.checks.verification.run import verify as job
    from blockseg.config.checks_settings import VerifySettings
    from blockseg.config.declare import declared
    from blockseg.config.merging import read_settings
    from blockseg.config.settings import RunSettings

    names = declared(VerifySettings) & settings.keys()
    own = {name: settings.pop(name) for name in names}
    return job(
        path_of(out, "out"),
        read_settings(VerifySettings, own),
        read_settings(RunSettings, settings),
    )


def audit_seams(out: str | os.PathLike[str], **settings: Any) -> SeamAudit:
    """Infer windows across the faces between blocks again, and compare.

    Parameters
    ----------
    out
        Output of :func:`run`.
    **settings
        The options of ``blockseg audit-seams`` by name: ``sample=50``.

    Returns
    -------
    SeamAudit
        ``exact`` is True if no voxel differs; ``different`` is the number of voxels that
        do, and ``greatest`` their largest difference.
    """
    from blockseg.checks.seams.run import audit_seams as job
    from blockseg.config.checks_settings import AuditSettings
    from blockseg.config.merging import read_settings

    return job(path_of(out, "out"), read_settings(AuditSettings, settings))


def debug(out: str | os.PathLike[str], **settings: Any) -> Debugged:
    """Pack everything about a block into a zip file, and run the block alone.

    Parameters
    ----------
    out
        Output of :func:`run`.
    **settings
        The options of ``blockseg debug`` by name: ``block=(0, 3, 1)``.
    """
    from blockseg.checks.debugging.run import debug as job
    from blockseg.config.checks_settings import DebugSettings
    from blockseg.config.merging import read_settings

    return job(path_of(out, "out"), read_settings(DebugSettings, settings))


def retry(out: str | os.PathLike[str], **settings: Any) -> tuple[JobResult, ...]:
    """Try blocks in quarantine again, and whatever else is missing from an output.

    Parameters
    ----------
    out
        Output of :func:`run`.
    **settings
        How to run it, such as ``workers=4``; as in the last run if not given.
    """
    from blockseg.checks.retry import retry as job
    from blockseg.config.merging import read_settings
    from blockseg.config.settings import RunSettings

    return job(path_of(out, "out"), read_settings(RunSettings, settings))

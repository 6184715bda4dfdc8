"""Place of the ledger, settled before any work."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from blockseg.core.errors import ConfigError, LedgerError
from blockseg.io.stores.location import RemotePath, lies_in
from blockseg.runtime.ledger.file import copy_ledger
from blockseg.runtime.ledger.ledger import Ledger
from blockseg.runtime.ledger.ownership import refuse_taken

if TYPE_CHECKING:
    from blockseg.blockwise.record.record import Paths, RunRecord
    from blockseg.blockwise.record.request import Request


def ledger_place(
    paths: Paths,
    request: Request,
    asked: str | None,
    earlier: RunRecord | None,
    *,
    overwrite: bool,
) -> Path | None:
    """Return the path of a ledger that is not in its usual place, else None.

    Parameters
    ----------
    paths
        Of the job.
    request
        Of the job; its source and mask are kept clean.
    asked
        Where the user wants it, if anywhere.
    earlier
        Record of the job to go on with, whose ledger must be there.
    overwrite
        Whether the ledger of an earlier job on the same output may be replaced.

    Raises
    ------
    ConfigError
        If it may not lie there.
    LedgerError
        If what lies there is not this job's.
    """
    # Of a job that is resumed it is found where it was, without being told.
    before = earlier.execution.get("ledger") if earlier else None
    name = asked or before
    path = Path(name).expanduser().absolute() if name else None
    if path is not None and isinstance(paths.out, RemotePath) and not path.exists():
        path = _brought(path, paths, asked=bool(asked))
    if path == paths.ledger:
        path = None
    if path is not None:
        _check_place(path, paths, request)
    if earlier is None:
        if path is not None:
            refuse_taken(path, paths.owner, replace=overwrite)
        return path
    if asked and path and not path.exists():
        message = (
            f"the ledger of {paths.out} is {before or paths.ledger}; leave --ledger "
            f"out, or move that file to {path} first"
        )
        raise LedgerError(message)
    with Ledger.read(path or paths.ledger, earlier.fingerprint):
        return path


def _brought(path: Path, paths: Paths, *, asked: bool) -> Path | None:
    """Return the path of the ledger of an output in a store that another machine began.

    Its copy came to the usual place; where the user names another one it goes there.
    """
    if not paths.ledger.exists():
        return path
    if not asked:
        return None
    if path.parent.is_dir():
        copy_ledger(paths.ledger, path)
    return path


def _check_place(path: Path, paths: Paths, request: Request) -> None:
    parent = path.parent
    if path.is_dir() or not parent.is_dir():
        what = (
            f"{path} is a folder" if path.is_dir() else f"there is no folder {parent}"
        )
        message = f"--ledger: {what}; name a file in a folder that exists"
        raise ConfigError(message)
    if not os.access(path if path.exists() else parent, os.W_OK):
        message = f"--ledger {path}: no permission to write it; name another file"
        raise ConfigError(message)
    resolved = path.resolve()
    kept_clean = {"OUT": paths.out.resolve()}
    for what, source in request.sources.items():
        if "://" not in source.spec.uri:
            kept_clean[what.upper()] = Path(source.spec.uri).resolve()
    for name, place in kept_clean.items():
        if lies_in(resolved, place):
            message = f"--ledger {path} lies inside {name} {place}; name another place"
            raise ConfigError(message)

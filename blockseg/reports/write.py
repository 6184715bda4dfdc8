"""Writing of a report, which never costs a result."""

from __future__ import annotations

import logging
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING

from blockseg.blockwise.record.record import Paths
from blockseg.blockwise.store_state import paths_of
from blockseg.core.errors import VolumeError
from blockseg.core.text import one_line
from blockseg.io.output.atomic_files import replace_file
from blockseg.runtime.dask.template import child_context, end_with_parent, has_template
from blockseg.runtime.events import Message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blockseg.blockwise.events import OnJobEvent
    from blockseg.io.stores.location import Location

FILE = "report.html"
"""Name of the report in an output; it holds times, so no two are equal."""

_LOG = logging.getLogger(__name__)


def write_report(out: str | Location, notes: Sequence[str] = ()) -> Location:
    """Write the report of a run in its present state; return the file.

    Parameters
    ----------
    out
        Output of a run, finished or not.
    notes
        What was said at its end and stands in no record, a line each.

    Raises
    ------
    VolumeError
        If there is no such output, or the file cannot be written.
    LedgerError
        If its record or its ledger cannot be read.
    """
    from blockseg.reports.run_page import run_page

    root = paths_of(out).out
    if not Paths(root).record.exists():
        message = (
            f"{root} is no output of blockseg run: it has no {Paths(root).record.name}"
        )
        raise VolumeError(message)
    target = root / FILE
    replace_file(target, run_page(root, notes).encode())
    return target


def end_with_report(
    out: Location, on_event: OnJobEvent, *, wanted: bool, notes: Sequence[str] = ()
) -> None:
    """Write the report at the end of a job; print a line if that fails.

    Parameters
    ----------
    out
        Output of the run.
    on_event
        Told what went wrong.
    wanted
        Whether the user wants one.
    notes
        As for :func:`write_report`.
    """
    if not wanted:
        return
    problem = _written_apart(out, notes)
    if problem:
        on_event(Message(f"the report could not be written: {problem}"))


def _written_apart(out: Location, notes: Sequence[str]) -> str:
    """Write a report in a process of its own where that is quickly there.

    What draws it would else stay in a driver, whose memory is to stay small. Returns what
    went wrong, in a line; empty if nothing.
    """
    if not has_template():
        return _written(out, notes)
    try:
        with ProcessPoolExecutor(1, child_context(), end_with_parent) as pool:
            return pool.submit(_written, out, tuple(notes)).result()
    except BrokenProcessPool as error:
        return one_line(error)


def _written(out: Location, notes: Sequence[str]) -> str:
    try:
        write_report(out, notes)
    # A page about a result is not worth the result, whatever goes wrong with it.
    except Exception as error:  # noqa: BLE001
        _LOG.debug("no report", exc_info=True)
        return one_line(error)
    return ""

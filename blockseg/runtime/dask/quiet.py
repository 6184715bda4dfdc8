"""Logs of Dask and what it uses, kept out of a user's terminal."""

from __future__ import annotations

import logging
from contextlib import ExitStack

_QUIET = ("distributed", "bokeh", "tornado", "asyncio")
_QUIET_CHILDREN = tuple(f"{name}." for name in _QUIET)


def _says_more(record: logging.LogRecord) -> bool:
    """Whether a record tells more than that a connection ended.

    A scheduler calls it critical that it cannot answer a client that left. A run whose
    driver loses its scheduler says so itself.
    """
    error = record.exc_info[0] if record.exc_info else None
    # By name: this module is loaded before Dask is.
    return getattr(error, "__name__", "") != "CommClosedError"


def quiet_logs() -> ExitStack:
    """Keep the chatter of Dask's connections to itself; undone when closed."""
    undo = ExitStack()
    known = list(logging.root.manager.loggerDict)
    # Dask gives some of the children levels of their own.
    for name in {*_QUIET, *(n for n in known if n.startswith(_QUIET_CHILDREN))}:
        logger = logging.getLogger(name)
        undo.callback(logger.setLevel, logger.level)
        logger.setLevel(logging.CRITICAL)
        undo.callback(logger.removeFilter, _says_more)
        logger.addFilter(_says_more)
    return undo

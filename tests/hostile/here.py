"""A command in this process: many times as fast, and nothing is measured."""

from __future__ import annotations

import contextlib
import logging
import traceback
import warnings
from typing import TYPE_CHECKING

from click.testing import CliRunner

from tests.hostile.child import counts
from tests.hostile.judge import Answer, listing

if TYPE_CHECKING:
    from collections.abc import Iterator

    import click

    from tests.hostile.case import Case, Stock


def ask_here(case: Case, stock: Stock, command: click.Command) -> Answer:
    """Make an input, give it to its command, and return what that did."""
    words = [str(word) for word in case.make(stock)]
    before = listing(stock.folder)
    with contextlib.chdir(stock.folder), warnings.catch_warnings(), _kept_logs():
        warnings.simplefilter("always")
        done = CliRunner().invoke(command, words)
    error = done.exception
    said = ""
    if error is not None and not isinstance(error, SystemExit):
        said = "".join(traceback.format_exception(error))
    written = sorted(listing(stock.folder) - before)
    return Answer(
        done.exit_code, done.stdout, f"{done.stderr}{said}",
        written=tuple(name for name in written if counts(name)),
    )  # fmt: skip


@contextlib.contextmanager
def _kept_logs() -> Iterator[None]:
    """Leave levels and handlers of logs as they were."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    before, showing = dict(logging.root.manager.loggerDict), warnings.showwarning
    levels = {
        name: one.level
        for name, one in before.items()
        if isinstance(one, logging.Logger)
    }
    try:
        yield
    finally:
        root.handlers[:], root.level = handlers, level
        warnings.showwarning = showing
        for name, kept in levels.items():
            logging.getLogger(name).setLevel(kept)

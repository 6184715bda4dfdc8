"""Updates of a viewer during a run."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from blockseg.core.errors import BlocksegError
from blockseg.runtime.ledger.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable

    from blockseg.reports.facts import JobFacts

EVERY = 10.0
"""Seconds between updates, each of which makes the browser reload its data."""


def blocks_done(run: JobFacts) -> int:
    """Return how many blocks of all phases a run has written by now."""
    path = Path(run.record.execution.get("ledger") or run.paths.ledger)
    with Ledger.read(path, run.record.fingerprint) as ledger:
        return sum(ledger.summary(phase.name).done for phase in run.record.phases)


def follow(
    run: JobFacts, renew: Callable[[], None], stop: threading.Event
) -> threading.Thread:
    """Call ``renew`` whenever blocks were written, until ``stop`` is set."""

    def look() -> None:
        known = blocks_done(run)
        while not stop.wait(EVERY):
            try:
                now = blocks_done(run)
            except BlocksegError:
                continue  # it is being begun anew; the next look tells
            if now != known:
                known = now
                renew()

    thread = threading.Thread(target=look, name="blockseg-view", daemon=True)
    thread.start()
    return thread

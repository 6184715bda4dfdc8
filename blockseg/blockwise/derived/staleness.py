"""Staleness of what was made from a run: whether the run is still as it was then."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from blockseg.io.output.provenance import Provenance

MADE_FROM = "made-from"
"""Setting of a derived job that says which state of the run it was made from."""


def what_is_stale(made: Provenance | None, now: Provenance) -> str:
    """Return the difference of a provenance from the present one; empty if none.

    Parameters
    ----------
    made
        What it says that it was made from; None if it says nothing.
    now
        State of the run.
    """
    if made is None:
        return "does not say from which run it was made"
    if made.same_run(now):
        return ""
    if made.run == now.run:
        return "was made when the run had written other blocks"
    if made.threshold != now.threshold:
        return (
            f"was made by the threshold {made.threshold}/255, and the run's is "
            f"{now.threshold}/255"
        )
    return "was made from another run"

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
            f"was made by the threshold {probability_of(made.threshold):g}, and the run's "
            f"is {probability_of(now.threshold):g}"
        )
    return "was made from another run, or before it was given its voxel size"


def probability_of(byte: int) -> float:
    """Return the shortest probability that is rounded to a byte: 0.3 of 76.

    Parameters
    ----------
    byte
        Least probability of the foreground, in 1/255.
    """
    rounded = (round(byte / 255, digits) for digits in range(1, 5))
    return next(p for p in rounded if round(255 * p) == byte)

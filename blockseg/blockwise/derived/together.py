"""Derived jobs that one command makes together."""

from __future__ import annotations

MADE_TOGETHER = {
    "label": ("label-pieces", "label"),
    "skeletonize": ("skeletonize", "skeletonize-tips", "skeletonize-traces"),
    "density": ("density-lengths", "density"),
}
"""Jobs of a command, in the order in which they run; the last one has the result, and its
record says with which options. Any other job is made by itself."""


def made_by(part: str) -> str:
    """Return the name under which a derived job is known to users.

    Parameters
    ----------
    part
        Name of the job, and of its folder.
    """
    return next((name for name, jobs in MADE_TOGETHER.items() if part in jobs), part)

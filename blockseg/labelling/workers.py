"""Workers of a labelling, begun before the driver knows what they will do."""

from __future__ import annotations

from blockseg.runtime.dask.template import start_template

_MODULES = (
    "blockseg.labelling.task",
    "blockseg.labelling.somata.task",
    "cc3d",
    "scipy.ndimage",
)
"""Modules that workers import, and that start no threads."""


def prepare_workers(scheduler: str | None) -> None:
    """Begin to start what our own workers are forked from, where there will be any.

    Parameters
    ----------
    scheduler
        As the user named it; None for workers of our own.
    """
    if scheduler is None:
        start_template(_MODULES)

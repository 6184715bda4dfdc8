"""Workers of a labelling, started ahead of the plan."""

from __future__ import annotations

from blockseg.runtime.dask.template import start_template

_MODULES = (
    "blockseg.labelling.task",
    "blockseg.labelling.somata.task",
    "cc3d",
    "scipy.ndimage",
)
"""Modules that workers import, and that start no threads."""

_MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(128 * 2**20),
}
"""Labels of a block take 8 bytes a voxel, and so do the chunks that are made of them. New
memory for each would take a tenth of the time of a labelling."""


def prepare_workers(scheduler: str | None) -> None:
    """Start the process from which our own workers are forked, if there will be any.

    Parameters
    ----------
    scheduler
        As the user named it; None for workers of our own.
    """
    if scheduler is None:
        start_template(_MODULES, _MALLOC)

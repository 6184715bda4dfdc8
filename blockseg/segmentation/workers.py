"""Workers of a run, begun before the driver knows what they will do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockseg.runtime.dask.template import start_template

if TYPE_CHECKING:
    from blockseg.config.settings import RunSettings

_MODULES = (
    "blockseg.inference.backends.llvm.backend",
    "blockseg.inference.backends.llvm.bfloat16",
    "blockseg.segmentation.engines.process",
    "blockseg.segmentation.task",
    "llvmlite.binding",
    "cc3d",
    "skimage.morphology",
)
"""Modules that workers import, and that start no threads."""


def prepare_workers(settings: RunSettings) -> None:
    """Begin to start what our own workers are forked from, where a run will have any."""
    if settings.scheduler is None and not settings.elsewhere:
        start_template(_MODULES)

"""Forecast for a cluster: jobs, hours, and hours of its GPUs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from blockseg.config.cluster_settings import BATCH

if TYPE_CHECKING:
    from blockseg.config.cluster_settings import ClusterSettings

_UNITS = {"kubernetes": "pod", "ssh": "machine"}


def cluster_lines(
    settings: ClusterSettings, voxels: float, worker_rate: float
) -> tuple[str, ...]:
    """Return the cost of a run on a cluster, a line each.

    Parameters
    ----------
    settings
        Of the cluster.
    voxels
        Voxels to infer, windows that overhang blocks included.
    worker_rate
        Voxels a second of one worker; 0 if that is not known.
    """
    unit = _UNITS.get(settings.launcher, "job")
    lines = [
        f"{settings.launcher}: {_counted(settings.jobs, unit)} of "
        f"{_counted(settings.cores, 'core')}, {settings.memory / 1e9:.3g} GB"
        + (f" and {_counted(settings.gpus, 'GPU')}" if settings.gpus else "")
        + f", {_counted(settings.all_workers, 'worker')} in all"
    ]
    if settings.adaptive:
        lines.append(f"of these at least {settings.least}, more as blocks wait")
    if not worker_rate:
        return tuple(lines)
    hours = voxels / worker_rate / settings.all_workers / 3600
    of_jobs = hours * settings.jobs
    text = f"{hours:.3g} hours if a worker is as fast as one here, with all of them: "
    text += f"{of_jobs * settings.cores:.3g} core hours"
    if settings.gpus:
        text += f", {of_jobs * settings.gpus:.3g} GPU hours"
    lines.append(text)
    if settings.launcher in BATCH and settings.lifetime is not None:
        turns = math.ceil(hours * 3600 / settings.lifetime)
        if turns > 1:
            lines.append(
                f"each place needs {turns} jobs one after the other within its walltime"
            )
    return tuple(lines)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"

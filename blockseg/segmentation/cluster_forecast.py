"""Forecast for a cluster: jobs, hours, and hours of its GPUs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from blockseg.config.cluster_settings import BATCH
from blockseg.config.presets import load_cluster
from blockseg.core.text import counted

if TYPE_CHECKING:
    from blockseg.config.cluster_settings import ClusterSettings
    from blockseg.config.settings import RunSettings

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
        f"{settings.launcher}: {counted(settings.jobs, unit)} of "
        f"{counted(settings.cores, 'core')}, {settings.memory / 1e9:.3g} GB"
        + (f" and {counted(settings.gpus, 'GPU')}" if settings.gpus else "")
        + f", {counted(settings.all_workers, 'worker')} in all"
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


def of_cluster(
    settings: RunSettings, voxels: float, worker_rate: float, device: str
) -> tuple[str, ...]:
    """Return what the cluster of ``--cluster`` would take; nothing without one.

    Parameters
    ----------
    settings, device
        As of :func:`idle_gpus`.
    voxels, worker_rate
        As of :func:`cluster_lines`.
    """
    if settings.cluster is None or not settings.elsewhere:
        return ()
    lines = cluster_lines(load_cluster(settings.cluster), voxels, worker_rate)
    idle = idle_gpus(settings, device)
    return (*lines, idle) if idle else lines


def idle_gpus(settings: RunSettings, device: str) -> str:
    """Say that jobs are given GPUs which nothing will use; empty if it is not so.

    Parameters
    ----------
    settings
        Of the run: whether the user chose the CPU.
    device
        Device that was decided on.
    """
    chosen = (settings.device, settings.backend) != ("auto", "auto")
    if device != "cpu" or chosen or settings.cluster is None or not settings.elsewhere:
        return ""
    if not load_cluster(settings.cluster).gpus:
        return ""
    return (
        "the GPUs of the jobs stay idle: torch finds none here, so the network runs on "
        "CPUs; --device cuda has the workers use theirs, gpus: 0 asks for none"
    )

"""Run of a job on the executor that the user asked for."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from blockseg.blockwise.events import JobStarted
from blockseg.blockwise.execute import execute
from blockseg.runtime.dask.cluster import connect, local_cluster
from blockseg.runtime.dask.executor import DaskExecutor
from blockseg.runtime.dask.settle import settle_predecessor
from blockseg.runtime.executor import SerialExecutor

if TYPE_CHECKING:
    from blockseg.blockwise.events import OnJobEvent
    from blockseg.blockwise.job import Job, JobResult
    from blockseg.config.settings import RunSettings
    from blockseg.runtime.dask.cluster import Cluster
    from blockseg.runtime.executor import Executor
    from blockseg.runtime.memory import Layout

__all__ = ["run"]

_OWN_WORKERS = 120.0  # seconds without any, after which a cluster counts as lost
_BATCH_WORKERS = 3600.0  # those of a batch system may wait in its queue


def run(
    job: Job,
    on_event: OnJobEvent,
    *,
    engine: str,
    notes: tuple[str, ...] = (),
    gpus: tuple[str, ...] = (),
) -> JobResult:
    """Run a job to its end, or as far as it gets, where the user wants it to run.

    The cluster comes first: a scheduler that does not answer is told before
    anything is written.

    Parameters
    ----------
    job
        What to do.
    on_event
        Told what happens.
    engine, notes
        For the first event.
    gpus
        CUDA devices of this machine, one worker each; none for work on the CPU.

    Raises
    ------
    ClusterError
        If the scheduler that the user named does not answer within 10 seconds, or
        the cluster is lost.
    LedgerError
        If another run holds OUT.
    """
    settings, layout = job.settings, job.layout
    with ExitStack() as stack:
        executor: Executor = SerialExecutor()
        dashboard, workers = "", 0
        settle = _nothing
        if settings.scheduler != "serial":
            cluster = stack.enter_context(_cluster(settings, layout, gpus))
            run_id = _run_id(job)
            executor = DaskExecutor(
                cluster,
                run_id,
                worker_timeout=_OWN_WORKERS if cluster.local else _BATCH_WORKERS,
                resources=_share(layout, gpus),
            )
            dashboard, workers = cluster.dashboard, cluster.workers
            settle = partial(settle_predecessor, cluster, run_id, on_event)

        def started(done: int) -> JobStarted:
            return JobStarted(
                out=job.paths.out,
                shape=job.main.grid.region.shape,
                block=job.main.grid.block_shape,
                blocks=len(job.candidates),
                done=done,
                engine=engine,
                workers=workers,
                dashboard=dashboard,
                notes=notes,
            )

        return execute(job, executor, on_event, started, settle)


def _cluster(settings: RunSettings, layout: Layout, gpus: tuple[str, ...]) -> Cluster:
    if settings.scheduler is not None:
        return connect(settings.scheduler)
    return local_cluster(layout, gpus=gpus)


def _share(layout: Layout, gpus: tuple[str, ...]) -> dict[str, float]:
    """Return what a task takes of its worker's GPU: its threads share it."""
    return {"GPU": 1 / layout.threads_per_worker} if gpus else {}


def _run_id(job: Job) -> str:
    """Name the output, the same in every session.

    Tasks that a dead driver left on a cluster are told from others by it.
    """
    return hashlib.sha256(str(job.paths.out.resolve()).encode()).hexdigest()[:12]


def _nothing() -> None:
    """Nobody else can be writing."""

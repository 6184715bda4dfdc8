"""Jobs: opened on what OUT holds, then run where the user wants."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from blockseg.blockwise.events import JobStarted, OnJobEvent, ignore
from blockseg.blockwise.execute import execute
from blockseg.blockwise.job import Job
from blockseg.blockwise.ledger_place import ledger_place
from blockseg.blockwise.record.earlier import earlier_record
from blockseg.blockwise.record.plain import BlockDecision
from blockseg.blockwise.record.record import (
    Paths,
    RunRecord,
    execution_of,
    machine_facts,
)
from blockseg.blockwise.sources.repair import nothing_left
from blockseg.blockwise.sources.watch import Watch
from blockseg.blockwise.sources.watched import look_at
from blockseg.blockwise.store_state import fetch_state, where_state_is
from blockseg.blockwise.task import Phase, coarse_phases
from blockseg.config.presets import load_cluster
from blockseg.core.errors import LedgerError
from blockseg.runtime.board import Board
from blockseg.runtime.executor import SerialExecutor
from blockseg.runtime.ledger.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from numpy.typing import NDArray

    from blockseg.blockwise.job import JobResult
    from blockseg.blockwise.record.plain import Recordable
    from blockseg.blockwise.record.request import Request
    from blockseg.blockwise.sources.watched import Watched
    from blockseg.blockwise.task import BlockTask
    from blockseg.config.settings import RunSettings
    from blockseg.core.traversal import TraversalOrder
    from blockseg.io.stores.location import Location
    from blockseg.runtime.dask.cluster import Cluster
    from blockseg.runtime.executor import Executor
    from blockseg.runtime.memory import Layout

_OWN_WORKERS = 120.0  # seconds without any, after which a cluster counts as lost
_FEW_BLOCKS = 20  # below, the progress of a run is that of its blocks' windows
_BATCH_WORKERS = 3600.0  # those of a batch system may wait in its queue


@dataclass(frozen=True, slots=True)
class OpenedJob:
    """A request on an output, compared with what the output holds."""

    paths: Paths
    """Paths of the job."""

    request: Request
    """Request that decides the result."""

    settings: RunSettings
    """Settings, of which those of execution count here."""

    earlier: RunRecord | None
    """Record of the job to resume; None to start afresh."""

    ledger: Path | None
    """The ledger, if not in its usual place."""

    sources: tuple[Watched, ...] = ()
    """Sources that will be read, looked at before anything is decided."""

    on_event: OnJobEvent = ignore
    """Told what takes long."""

    foresee: bool = False
    """Whether nothing will be done."""

    command: str = ""
    """Command line as the user typed it."""

    @property
    def checked(self) -> bool:
        """Whether chunks carry a checksum; not in what was begun before they did."""
        return self.earlier is None or self.earlier.checked

    def job(
        self,
        task: BlockTask,
        layout: Layout,
        traversal: TraversalOrder | None = None,
        *,
        decisions: Recordable | None = None,
        facts: Recordable | None = None,
        candidates: NDArray[np.int64] | None = None,
        then: tuple[BlockTask | Phase, ...] = (),
        measured: bool = False,
    ) -> Job:
        """Return the job; a record of an earlier start stays as it was.

        Parameters
        ----------
        task
            What is done to the blocks.
        layout
            How many workers fit the machine, and what they keep in memory.
        traversal
            Order of the blocks; by number if not given.
        decisions
            Every automatic choice; the shape of blocks if not given.
        facts
            For the reader of ``run.json``, beside the phases and the machine.
        candidates
            Ids of the blocks to do, in order; all if not given.
        then
            Tasks that come after it, and before the coarse levels of what it wrote; as
            phases where not all of their blocks are to be done.
        measured
            Whether blocks report metrics for whoever looks at the run.

        Raises
        ------
        LedgerError
            If OUT holds the result of another task, or a source changed where blocks have
            read it.
        """
        if self.earlier is not None and self.earlier.phases[0].name != task.name:
            message = (
                f"{self.paths.name} holds the result of another task, "
                f"{self.earlier.phases[0].name}: name another OUT, or --overwrite to start "
                "anew"
            )
            raise LedgerError(message)
        if candidates is None:
            candidates = np.arange(len(task.grid), dtype=np.int64)
        main = Phase(task, traversal, layout.workers, layout.cache_bytes)
        after = (one if isinstance(one, Phase) else Phase(one) for one in then)
        coarse = (*after, *coarse_phases(task))
        record = self.earlier or RunRecord(
            request=self.request.to_plain(),
            decisions=(decisions or BlockDecision(task.grid.block_shape)).to_plain(),
            execution={},
            facts={
                **({} if facts is None else facts.to_plain()),
                "checked": self.checked,
                "machine": machine_facts(),
                "phases": _phases(main, coarse, len(candidates)),
            },
        )
        execution = execution_of(self.settings)
        execution["ledger"] = None if self.ledger is None else str(self.ledger)
        return Job(
            paths=self.paths,
            record=record.with_execution(execution),
            resumed=self.earlier is not None,
            settings=self.settings,
            layout=layout,
            main=main,
            candidates=candidates,
            coarse=coarse,
            ledger=self.ledger or self.paths.ledger,
            command=self.command,
            watch=self._watch(Watch(self.sources, task.reads(), task.name)),
            measured=measured,
        )

    def _watch(self, now: Watch) -> Watch:
        if self.earlier is None or not self.sources:
            return now
        path = self.ledger or self.paths.ledger
        with Ledger.read(path, self.earlier.fingerprint) as ledger:
            return now.resumed(
                ledger, self.earlier, self.on_event, verify=not self.foresee
            )


def open_job(
    out: Location | Paths,
    request: Request,
    settings: RunSettings,
    *,
    overwrite: bool,
    on_event: OnJobEvent = ignore,
    foresee: bool = False,
    command: str = "",
) -> OpenedJob:
    """Compare a request with what OUT holds; nothing is written.

    Parameters
    ----------
    out
        Absolute path of the output; of a derived job, its paths.
    request
        What decides the result; what it reads is watched for changes.
    settings
        Of the user.
    overwrite
        Start over if OUT holds an earlier result.
    on_event
        Told before what takes long.
    foresee
        Whether nothing will be done: then sources are not looked at without need.
    command
        What the user typed, for the record.

    Raises
    ------
    ConfigError
        If the ledger may not lie where the user wants it.
    LedgerError
        If OUT holds the result of another request, or the ledger is not its own.
    VolumeError
        If OUT holds something that blockseg did not make.
    """
    paths = out if isinstance(out, Paths) else Paths(out)
    fetch_state(paths)
    earlier = earlier_record(paths, request, overwrite=overwrite)
    ledger = ledger_place(paths, request, settings.ledger, earlier, overwrite=overwrite)
    watched: tuple[Watched, ...] = ()
    if earlier is not None or not foresee:
        watched = look_at(request.sources, on_event)
    return OpenedJob(
        paths, request, settings, earlier, ledger, watched, on_event, foresee, command
    )


def _phases(
    main: Phase, others: tuple[Phase, ...], blocks: int
) -> list[dict[str, object]]:
    """Return the facts for counting blocks from ``run.json``; the main pass first."""
    counts = (blocks, *(phase.count for phase in others))
    return [
        {"name": phase.name, "blocks": count, "grid": list(phase.grid.counts)}
        for phase, count in zip((main, *others), counts, strict=True)
    ]


def run(
    job: Job,
    on_event: OnJobEvent,
    *,
    engine: str,
    notes: tuple[str, ...] = (),
    gpus: tuple[str, ...] = (),
    at_end: Callable[[], None] | None = None,
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
    at_end
        As in :func:`~blockseg.blockwise.execute.execute`.

    Raises
    ------
    ClusterError
        If the scheduler that the user named does not answer within 10 seconds; as
        ClusterLostError, if the cluster is lost later.
    LedgerError
        If another run holds OUT.
    """
    settings, layout = job.settings, job.layout
    with ExitStack() as stack:
        executor: Executor = SerialExecutor()
        dashboard, workers = "", 0
        settle = _nothing
        board = Board(out=str(job.paths.out), engine=engine, measured=job.measured)
        # To look at what is finished takes no workers, unless the user named some.
        own = settings.scheduler is None and not settings.elsewhere
        if settings.scheduler != "serial" and not (own and nothing_left(job)):
            # Only here: planning, with the sample at hand, does without Dask's 30 MB.
            from blockseg.runtime.dask.executor import DaskExecutor
            from blockseg.runtime.dask.settle import settle_predecessor

            run_id = _run_id(job)
            cluster = stack.enter_context(_cluster(job, gpus, run_id))
            executor = DaskExecutor(
                cluster,
                run_id,
                worker_timeout=settings.worker_timeout
                or (_OWN_WORKERS if cluster.local else _BATCH_WORKERS),
                resources=_share(layout, gpus),
                block_timeout=settings.block_timeout,
                board=board,
                within_blocks=len(job.candidates) < _FEW_BLOCKS,
            )
            if note := cluster.show(board):
                notes = (*notes, note)
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
                notes=(*notes, *where_state_is(job.paths, job.ledger)),
            )

        return execute(job, executor, on_event, started, settle, board, at_end)


def _cluster(
    job: Job, gpus: tuple[str, ...], run_id: str
) -> AbstractContextManager[Cluster]:
    from blockseg.runtime.dask.cluster import connect
    from blockseg.runtime.dask.kept import own_workers
    from blockseg.runtime.dask.security import Access

    settings, layout = job.settings, job.layout
    if settings.scheduler is not None:
        return connect(settings.scheduler)
    if settings.elsewhere and settings.cluster is not None:
        from blockseg.runtime.clusters.launch import launch

        named = load_cluster(settings.cluster)
        return launch(named, f"blockseg-{run_id}", layout.inference_threads)
    return own_workers(layout, gpus, Access(settings.listen, settings.insecure))


def _share(layout: Layout, gpus: tuple[str, ...]) -> dict[str, float]:
    """Return the share of its worker's GPU that a task takes: its threads share it."""
    return {"GPU": 1 / layout.threads_per_worker} if gpus else {}


def _run_id(job: Job) -> str:
    """Name the output, the same in every session.

    Tasks that a dead driver left on a cluster are told from others by it.
    """
    return hashlib.sha256(job.paths.owner.encode()).hexdigest()[:12]


def _nothing() -> None:
    """Nobody else can be writing."""

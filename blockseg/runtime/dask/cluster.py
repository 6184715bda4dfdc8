"""The cluster: our own on this machine, or one that somebody else runs."""

from __future__ import annotations

import asyncio
import logging
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import dask
from distributed import Client, Nanny, Scheduler, Security, SpecCluster, rpc

from blockseg.core.errors import ClusterError, ConfigError
from blockseg.core.text import one_line
from blockseg.runtime.board import EXTENSION
from blockseg.runtime.dask.nannies import killed, killed_worker, nannies_of
from blockseg.runtime.dask.pages.dashboard import Dashboard, free_port, link_below
from blockseg.runtime.dask.pages.prometheus import collect_from
from blockseg.runtime.dask.pages.relay import relayed
from blockseg.runtime.dask.quiet import quiet_logs
from blockseg.runtime.dask.security import Access
from blockseg.runtime.dask.stalls.clock import outlive_jumps
from blockseg.runtime.dask.start_errors import why_no_workers
from blockseg.runtime.dask.template import (
    FORKS,
    MALLOC,
    THREAD_VARIABLES,
    start_template,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    from blockseg.runtime.board import Board
    from blockseg.runtime.dask.pages.relay import Relay
    from blockseg.runtime.memory import Layout

_SHARED_MEMORY = Path("/dev/shm")
_DASHBOARD_PORT = 8787
_CLOSE_SECONDS = 20.0
_LINK = "distributed.dashboard.link"
_METHOD = "distributed.worker.multiprocessing-method"

SETTINGS: dict[str, Any] = {
    # One death is enough: the driver finds out which block it was.
    "distributed.scheduler.allowed-failures": 0,
    # A worker that stays away so long is replaced.
    "distributed.deploy.lost-worker-timeout": "15s",
    # Histories for the dashboard; tasks come by the hundred thousand.
    "distributed.scheduler.dashboard.tasks.task-stream-length": 2_000,
    "distributed.scheduler.events-cleanup-delay": "1 minute",
    "distributed.admin.log-length": 1_000,
    "distributed.admin.low-level-log-length": 200,
    "distributed.admin.system-monitor.log-length": 1_200,
    "distributed.diagnostics.computations.max-history": 10,
    "distributed.diagnostics.erred-tasks.max-history": 10,
    # Tasks hold no data that could be spilled, and a worker that pauses at the
    # memory its engine needs would never go on.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.95,
    # Ten milliseconds are for Python code; engines are not.
    "distributed.worker.profile.interval": "200ms",
    "distributed.worker.profile.cycle": "5s",
    # Every 20 ms, in scheduler, nannies and workers, cost two cores 2 % of their time.
    "distributed.admin.tick.interval": "500ms",
    # Workers have pages of their own, which anybody on the machine could read.
    "distributed.worker.http.routes": [],
}
"""Settings of Dask for clusters that we start."""


class Cluster:
    """Workers to run blocks on; use :func:`local_cluster` or :func:`connect`.

    Parameters
    ----------
    client
        Connected; closed with this.
    resources
        Closed after the client.
    ours
        The workers' cluster, where it is ours and ends with this.
    """

    def __init__(
        self, client: Client, resources: ExitStack, ours: SpecCluster | None = None
    ) -> None:
        self.client = client
        self._resources = resources
        self._ours = ours
        self._relay: Relay | None = None

    @property
    def local(self) -> bool:
        """Whether the workers are ours."""
        return self._ours is not None

    @property
    def dashboard(self) -> str:
        """Address of the run's page, else of the dashboard; empty if there is none."""
        link = str(self.client.dashboard_link or "")
        if self._ours is None and self._relay is None:
            return link
        return f"{link.removesuffix('/status')}/{EXTENSION}" if link else ""

    def show(self, board: Board) -> str:
        """Have the dashboard and Prometheus tell of a run.

        Returns
        -------
        str
            Why somebody else's scheduler does not, in a line; empty if it does.
        """
        if self._ours is not None:
            scheduler: Any = self._ours.scheduler
            scheduler.extensions[EXTENSION] = board
            collect_from(board)
            return ""
        self._relay, why = relayed(self.client, board)
        return why

    @property
    def address(self) -> str:
        """Address of the scheduler."""
        return str(self.client.scheduler_info(n_workers=0)["address"])

    @property
    def workers(self) -> int:
        """Number of workers now."""
        return len(self.client.nthreads())  # type: ignore[no-untyped-call]

    def mend(self) -> None:
        """Replace our own workers that are gone for good; leave others' alone."""
        if self._ours is not None:
            # Dask forgets a worker that stays away; its place in the plan remains.
            places = len(self._ours.worker_spec)
            self._ours.scale(places)  # type: ignore[no-untyped-call]

    def kill(self, worker: str) -> bool:
        """Kill a worker's process, whatever it does; its nanny starts another.

        Parameters
        ----------
        worker
            Its address.

        Returns
        -------
        bool
            False if it has no nanny, or that does not answer.
        """
        return killed_worker(self.client, nannies_of(self._ours), worker)

    def abandon(self) -> None:
        """Kill all our own workers, for good; none of others."""
        for nanny in nannies_of(self._ours):
            nanny.auto_restart = False
            killed(nanny)

    def close(self) -> None:
        """Disconnect; end the workers if they are ours, never another's."""
        if self._relay is not None:
            self._relay.close()
        with self._resources, suppress(TimeoutError, OSError):
            self.client.close(timeout=10)  # type: ignore[no-untyped-call]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def local_cluster(
    layout: Layout, *, gpus: Sequence[str] = (), access: Access | None = None
) -> Cluster:
    """Start a scheduler in this process and workers on this machine.

    Parameters
    ----------
    layout
        How many workers, with how many threads and how much memory.
    gpus
        ``CUDA_VISIBLE_DEVICES`` of each worker in turn: one GPU a worker, by dask-cuda
        where it is installed. Nothing is set if empty.
    access
        Who reaches it; this process and its workers alone if not given.

    Raises
    ------
    ClusterError
        If the workers cannot be started.
    """
    access = access or Access()
    start_template()
    environment = dict.fromkeys(THREAD_VARIABLES, str(layout.inference_threads))
    environment["BLOCKSEG_LOCAL_WORKER"] = "1"
    with ExitStack() as resources:
        resources.enter_context(
            dask.config.set(
                {
                    **SETTINGS,
                    _LINK: link_below(access.prefix, dask.config.get(_LINK)),
                    # Libraries read these when the worker imports them.
                    "distributed.nanny.pre-spawn-environ": {
                        **dask.config.get("distributed.nanny.pre-spawn-environ"),
                        **{k: os.environ.get(k, v) for k, v in MALLOC.items()},
                        **environment,
                    },
                    **({_METHOD: "forkserver"} if FORKS and not gpus else {}),
                }
            )
        )
        resources.enter_context(quiet_logs())
        try:
            # The port may be taken between our look and Dask's: any other will do.
            resources.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", message="Port .* is already in use")
            cluster = _started(layout, gpus, access)
            resources.callback(_end, cluster)
            client = Client(  # type: ignore[no-untyped-call]
                cluster, timeout=30, set_as_default=False
            )
        except ConfigError:
            raise
        except Exception as error:
            raise ClusterError(why_no_workers(error, _SHARED_MEMORY)) from error
        resources.callback(_outliving_jumps(client, cluster).cancel)
        return Cluster(client, resources.pop_all(), cluster)


def _outliving_jumps(client: Client, cluster: SpecCluster) -> Future[None]:
    loop: Any = client.loop  # untyped

    def servers() -> list[Any]:
        return [client, cluster.scheduler, *nannies_of(cluster)]

    return asyncio.run_coroutine_threadsafe(outlive_jumps(servers), loop.asyncio_loop)


def connect(address: str, timeout: float = 10.0) -> Cluster:
    """Connect to a scheduler that somebody else runs and that outlives us.

    Parameters
    ----------
    address
        ``tcp://host:port``.
    timeout
        Seconds to wait for it.

    Raises
    ------
    ClusterError
        If it does not answer in time.
    """
    with ExitStack() as resources:
        resources.enter_context(quiet_logs())
        try:
            # A client would wait without end for a port that accepts and is silent.
            with ThreadPoolExecutor(1) as elsewhere:  # the caller may have a loop
                elsewhere.submit(asyncio.run, _identify(address, timeout)).result()
            client = Client(  # type: ignore[no-untyped-call]
                address, timeout=timeout, set_as_default=False, name="blockseg"
            )
        except Exception as error:
            message = (
                f"no Dask scheduler answers at {address} ({one_line(error)}); start "
                "one with 'dask scheduler', or leave --scheduler out"
            )
            raise ClusterError(message) from error
        return Cluster(client, resources.pop_all())


async def _identify(address: str, timeout: float) -> None:
    # Encrypted or not, as Dask is configured.
    security: Any = Security  # untyped
    arguments = security().get_connection_args("client")
    open_rpc: Any = rpc
    async with open_rpc(address, connection_args=arguments) as scheduler:
        answer = await asyncio.wait_for(scheduler.identity(), timeout)
    if answer.get("type") != "Scheduler":
        message = f"it is a {answer.get('type')}"
        raise TypeError(message)


def _started(layout: Layout, gpus: Sequence[str], access: Access) -> SpecCluster:
    dashboard = f"{access.host}:{free_port(access.host, _DASHBOARD_PORT)}"
    cluster: SpecCluster | None = None
    private = {"protocol": access.protocol, "security": access.security()}
    pages = {"dashboard": False, "http_prefix": access.prefix}
    if gpus:
        cluster = cuda_cluster(
            layout,
            gpus,
            host=access.host,
            dashboard_address=dashboard,
            worker_dashboard_address=None,
            silence_logs=logging.CRITICAL,
            scheduler_kwargs=pages,
            **private,
        )
    if cluster is None:
        workers = {
            index: {
                "cls": Nanny,
                "options": {**_worker(index, layout, gpus, access), **private},
            }
            for index in range(layout.workers)
        }
        scheduler: dict[str, Any] = {
            "cls": Scheduler,
            "options": {
                "host": access.host,
                "port": 0,
                "dashboard_address": dashboard,
                **pages,
                **private,
            },
        }
        cluster = SpecCluster(  # type: ignore[no-untyped-call]
            workers=workers,
            scheduler=scheduler,
            name="blockseg",
            silence_logs=logging.CRITICAL,
            security=private["security"],
        )
    running: Any = cluster.scheduler
    Dashboard.guard(running, access.prefix)
    return cluster


def cuda_cluster(
    layout: Layout, gpus: Sequence[str], **options: Any
) -> SpecCluster | None:
    """Start one worker a GPU with dask-cuda; None where that is not what it does.

    It binds a worker to the cores next to its GPU, which we do not.

    Parameters
    ----------
    layout
        How many workers, with how many threads and how much memory.
    gpus
        Devices as ``CUDA_VISIBLE_DEVICES`` names them: numbers, UUIDs or MIG slices.
    options
        Of Dask's ``LocalCluster``.
    """
    if layout.workers != len(gpus) or find_spec("dask_cuda") is None:
        return None
    from dask_cuda import LocalCUDACluster

    cluster: SpecCluster = LocalCUDACluster(
        CUDA_VISIBLE_DEVICES=list(gpus),
        n_workers=layout.workers,
        threads_per_worker=layout.threads_per_worker,
        memory_limit=layout.memory_limit,
        data=dict,  # tasks hold no arrays that could be spilled
        resources={"GPU": 1},
        **options,
    )
    return cluster


def _end(cluster: SpecCluster) -> None:
    """Close a cluster; workers that do not react are killed."""
    try:
        cluster.close(timeout=_CLOSE_SECONDS)
    except Exception:  # noqa: BLE001 - nothing more can be done for it
        for nanny in nannies_of(cluster):
            killed(nanny)


def _worker(
    index: int, layout: Layout, gpus: Sequence[str], access: Access
) -> dict[str, Any]:
    options: dict[str, Any] = {
        "nthreads": layout.threads_per_worker,
        "memory_limit": layout.memory_limit,
        "host": access.host,
        "dashboard": False,
        "silence_logs": logging.CRITICAL,
    }
    if FORKS:  # what was set since the template was started
        ours = dask.config.get("distributed.nanny.pre-spawn-environ")
        options["env"] = {k: v for k, v in os.environ.items() if k not in ours}
    if gpus:
        options["env"] = {"CUDA_VISIBLE_DEVICES": gpus[index % len(gpus)]}
        options["resources"] = {"GPU": 1}
    return options

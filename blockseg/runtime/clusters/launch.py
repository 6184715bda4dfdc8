"""Start of a cluster of several machines, its growth with the work, and its end."""

from __future__ import annotations

import math
import os
import shlex
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
from distributed import Client
from distributed.deploy.adaptive import Adaptive

from blockseg.config.cluster_settings import BATCH
from blockseg.core.errors import BlocksegError, ClusterError
from blockseg.core.text import one_line
from blockseg.runtime.board import EXTENSION
from blockseg.runtime.clusters.certificates import certificates_for_a_run, security_of
from blockseg.runtime.clusters.jobqueue import batch_cluster
from blockseg.runtime.clusters.machines import ssh_cluster
from blockseg.runtime.clusters.pods import pod_cluster
from blockseg.runtime.dask.cluster import SETTINGS, Cluster
from blockseg.runtime.dask.pages.dashboard import Dashboard, link_below
from blockseg.runtime.dask.pages.prometheus import collect_from
from blockseg.runtime.dask.quiet import quiet_logs
from blockseg.runtime.dask.security import LOOPBACK, Access
from blockseg.runtime.dask.template import MALLOC, THREAD_VARIABLES

if TYPE_CHECKING:
    from distributed import Security, SpecCluster

    from blockseg.config.cluster_settings import ClusterSettings
    from blockseg.runtime.board import Board

_LINK = "distributed.dashboard.link"
_CLOSE_SECONDS = 60.0
_CONNECT_SECONDS = 300.0
_ADAPT_SECONDS = "5s"
_FEWER_AFTER = 6  # times in a row that fewer are wanted: half a minute


class LaunchedCluster(Cluster):
    """Workers that this process asked a launcher for, and gives back at the end.

    Parameters
    ----------
    client, resources
        As of :class:`Cluster`.
    launched
        Dask's cluster.
    settings
        How many workers.
    """

    def __init__(
        self,
        client: Client,
        resources: ExitStack,
        launched: SpecCluster,
        settings: ClusterSettings,
    ) -> None:
        super().__init__(client, resources)
        self._launched: Any = launched
        self._settings = settings
        self._work = Work(settings)

    @property
    def dashboard(self) -> str:
        """Address of the run's page, for a tunnel from a desk."""
        link = super().dashboard
        here = self._settings.launcher in BATCH
        return f"{link.removesuffix('/status')}/{EXTENSION}" if link and here else link

    def show(self, board: Board) -> str:
        """Have the dashboard tell of a run, and the number of jobs follow it."""
        self._work.board = board
        if self._settings.launcher not in BATCH:
            return super().show(board)
        self._launched.scheduler.extensions[EXTENSION] = board
        collect_from(board)
        return ""

    def begin(self) -> None:
        """Ask for the workers."""
        settings, launched = self._settings, self._launched
        if settings.launcher not in BATCH:
            if settings.launcher == "kubernetes":
                launched.scale(settings.jobs)
            return
        if not settings.adaptive:
            launched.scale(jobs=settings.jobs)
            return
        work = self._work

        class Following(Adaptive):
            """Dask's own target counts tasks, of which we keep few in flight."""

            async def target(self) -> int:
                return work.wanted

        launched.adapt(
            Adaptive=Following,
            minimum_jobs=settings.least,
            maximum_jobs=settings.jobs,
            interval=_ADAPT_SECONDS,
            wait_count=_FEWER_AFTER,
        )

    def mend(self) -> None:
        """Ask for other jobs in place of those that ended."""
        settings = self._settings
        if settings.launcher in BATCH and not settings.adaptive:
            with suppress(RuntimeError):  # the batch system does not answer just now
                self._launched.scale(jobs=settings.jobs)


class Work:
    """Number of workers that the remaining blocks keep busy.

    Parameters
    ----------
    settings
        Bounds, and threads of a worker.
    """

    def __init__(self, settings: ClusterSettings) -> None:
        self._settings = settings
        self.board: Board | None = None

    @property
    def wanted(self) -> int:
        """Workers."""
        settings, board = self._settings, self.board
        least = settings.least * settings.workers
        if board is None or not board.total:  # nothing is begun yet
            return max(least, settings.workers)
        busy = math.ceil(board.left / settings.threads)
        return max(least, min(busy, settings.all_workers))


def launch(settings: ClusterSettings, name: str, inference_threads: int) -> Cluster:
    """Start a cluster and ask for its workers, which come when there is room.

    Parameters
    ----------
    settings
        Of the cluster.
    name
        Of jobs and pods, by which a user finds them.
    inference_threads
        Threads of one inference.

    Raises
    ------
    ClusterError
        If it cannot be started: an extra is missing, or the launcher refuses.
    ConfigError
        If its certificates are not there.
    """
    settings = replace(
        settings, prologue=(*_environment(inference_threads), *settings.prologue)
    )
    access = Access(LOOPBACK)  # for the path of the dashboard alone
    with ExitStack() as resources:
        resources.enter_context(
            dask.config.set(
                {**SETTINGS, _LINK: link_below(access.prefix, dask.config.get(_LINK))}
            )
        )
        resources.enter_context(quiet_logs())
        try:
            security = _security(settings, resources)
            launched = _launched(settings, name, security, access)
            resources.callback(_end, launched)
            client = Client(  # type: ignore[no-untyped-call]
                launched, timeout=_CONNECT_SECONDS, set_as_default=False
            )
            cluster = LaunchedCluster(client, resources.pop_all(), launched, settings)
        except BlocksegError:
            raise
        except Exception as error:
            message = (
                f"--cluster: {settings.launcher} starts no workers: {one_line(error)}"
            )
            raise ClusterError(message) from error
    try:
        cluster.begin()
    except Exception as error:
        cluster.close()
        message = f"--cluster: {settings.launcher} takes no jobs: {one_line(error)}"
        raise ClusterError(message) from error
    return cluster


def _launched(
    settings: ClusterSettings, name: str, security: Security | None, access: Access
) -> SpecCluster:
    if settings.launcher == "kubernetes":
        pods: SpecCluster = pod_cluster(settings, name)
        return pods
    if settings.launcher == "ssh":
        return ssh_cluster(settings, security)
    scheduler = {
        # For a tunnel: pages have no passwords, and a login node has many accounts.
        "dashboard_address": f"{LOOPBACK}:0",
        "dashboard": False,
        "http_prefix": access.prefix,
    }
    made = batch_cluster(settings, name, security, scheduler)
    running: Any = made.scheduler
    Dashboard.guard(running, access.prefix)
    return made


def _security(settings: ClusterSettings, resources: ExitStack) -> Security | None:
    if settings.insecure or settings.launcher == "kubernetes":
        return None
    if settings.certificates is not None:
        return security_of(Path(settings.certificates).expanduser())
    return resources.enter_context(certificates_for_a_run())


def _environment(inference_threads: int) -> tuple[str, ...]:
    """Return shell lines that give workers what ours are given in their process."""
    values = dict.fromkeys(THREAD_VARIABLES, str(inference_threads)) | {
        key: os.environ.get(key, value) for key, value in MALLOC.items()
    }
    for key, value in SETTINGS.items():
        if key.startswith("distributed.worker.") and not isinstance(value, list):
            variable = "DASK_" + key.upper().replace(".", "__").replace("-", "_")
            values[variable] = str(value)
    return tuple(f"export {key}={shlex.quote(value)}" for key, value in values.items())


def _end(launched: SpecCluster) -> None:
    """Give all jobs back, those that wait in the queue among them."""
    with suppress(Exception):  # nothing more can be done; they end without a scheduler
        launched.close(timeout=_CLOSE_SECONDS)

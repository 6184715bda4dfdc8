"""Workers on machines that are reached by ssh, by Dask's SSHCluster."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from distributed import SSHCluster

from blockseg.core.errors import ClusterError

if TYPE_CHECKING:
    from distributed import Security, SpecCluster

    from blockseg.config.cluster_settings import ClusterSettings


def ssh_cluster(settings: ClusterSettings, security: Security | None) -> SpecCluster:
    """Start a scheduler on the first of the machines, and workers on all of them.

    Parameters
    ----------
    settings
        Of the cluster.
    security
        Keys and certificates, as files that are on all machines; None for none.

    Raises
    ------
    ClusterError
        If asyncssh is missing.
    """
    if find_spec("asyncssh") is None:
        message = "clusters by ssh need asyncssh: pip install 'blockseg[hpc]'"
        raise ClusterError(message)
    hosts = [settings.hosts[0], *settings.hosts]
    options: dict[str, Any] = {
        "nthreads": settings.threads,
        "n_workers": settings.workers,
        "memory_limit": str(settings.memory // settings.workers),
    }
    if settings.scratch is not None:
        options["local_directory"] = settings.scratch
    if settings.interface is not None:
        options["interface"] = settings.interface
    if settings.gpus:
        options["resources"] = {"GPU": settings.gpus}
    scheduler: dict[str, Any] = {"port": 0, "dashboard": False}
    if settings.interface is not None:
        scheduler["interface"] = settings.interface
    private: dict[str, Any] = {}
    if security is not None:
        private = {"security": security}
        scheduler["protocol"] = options["protocol"] = "tls://"
    return SSHCluster(
        hosts,
        connect_options={},
        worker_options=options,
        scheduler_options=scheduler,
        remote_python=settings.python,
        **private,
    )

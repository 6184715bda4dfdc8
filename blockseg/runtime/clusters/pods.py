"""Workers as pods, by the operator of dask-kubernetes; imported here alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from blockseg.core.errors import ClusterError

if TYPE_CHECKING:
    from types import ModuleType

    from blockseg.config.cluster_settings import ClusterSettings


def pod_cluster(settings: ClusterSettings, name: str) -> Any:
    """Start a cluster of pods, without workers yet.

    Parameters
    ----------
    settings
        Of the cluster.
    name
        Of the custom resource, and the first part of the pods' names.

    Raises
    ------
    ClusterError
        If dask-kubernetes is missing.
    """
    library = _library()
    return library.KubeCluster(
        custom_cluster_spec=cluster_spec(settings, name),
        namespace=settings.namespace,
        shutdown_on_close=True,
        quiet=True,
    )


def cluster_spec(settings: ClusterSettings, name: str) -> dict[str, Any]:
    """Return the custom resource ``DaskCluster`` that the operator makes pods of.

    Raises
    ------
    ClusterError
        If dask-kubernetes is missing.
    """
    spec: dict[str, Any] = _library().make_cluster_spec(
        name=name, image=settings.image, n_workers=0
    )
    command = ["dask", "worker", "--name", "$(DASK_WORKER_NAME)", "--no-dashboard"]
    command += ["--nthreads", str(settings.threads)]
    command += ["--nworkers", str(settings.workers)]
    command += ["--memory-limit", str(settings.memory // settings.workers)]
    if settings.gpus:
        command += ["--resources", f"GPU={settings.gpus}"]
    limits = {"cpu": str(settings.cores), "memory": str(settings.memory)}
    if settings.gpus:
        limits["nvidia.com/gpu"] = str(settings.gpus)
    worker = spec["spec"]["worker"]["spec"]
    container = worker["containers"][0]
    container["args"] = command
    container.pop("ports", None)
    # The library gives the scheduler what workers get: a card of its own, too.
    container["resources"] = {"limits": dict(limits), "requests": dict(limits)}
    spec["spec"]["scheduler"]["spec"]["containers"][0]["resources"] = {
        "requests": {"cpu": "1", "memory": "2Gi"}
    }
    if settings.claim is not None:
        container["volumeMounts"] = [{"name": "data", "mountPath": settings.mount}]
        worker["volumes"] = [
            {"name": "data", "persistentVolumeClaim": {"claimName": settings.claim}}
        ]
    return spec


def _library() -> ModuleType:
    try:
        import dask_kubernetes.operator
    except ImportError as error:
        message = (
            "a cluster of pods needs dask-kubernetes: pip install "
            f"'blockseg[kubernetes]' ({error})"
        )
        raise ClusterError(message) from error
    library: ModuleType = dask_kubernetes.operator
    return library

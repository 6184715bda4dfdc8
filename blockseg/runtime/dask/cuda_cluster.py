"""Workers by dask-cuda, where it is installed: each near its GPU's memory and cores."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from distributed import SpecCluster

    from blockseg.runtime.memory import Layout


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

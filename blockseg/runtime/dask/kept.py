"""Workers of our own that several jobs use, one after the other."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from blockseg.runtime.dask.cluster import Cluster
    from blockseg.runtime.dask.security import Access
    from blockseg.runtime.memory import Layout


@dataclass(slots=True)
class _Kept:
    cluster: Cluster | None = None
    layout: Layout | None = None
    gpus: tuple[str, ...] = ()
    access: Access | None = None

    def workers(self, layout: Layout, gpus: tuple[str, ...], access: Access) -> Cluster:
        """Return the existing workers, if they can do a job, or else new ones."""
        known = self.access
        reached = (access.host, access.insecure)
        alike = known is not None and (known.host, known.insecure) == reached
        fits = alike and self._fits(layout, gpus)
        if self.cluster is None or not fits:
            from blockseg.runtime.dask.cluster import local_cluster

            self.close()
            self.cluster = local_cluster(layout, gpus=gpus, access=access)
            self.layout, self.gpus, self.access = layout, gpus, access
        return self.cluster

    def _fits(self, layout: Layout, gpus: tuple[str, ...]) -> bool:
        own = self.layout
        if own is None or self.gpus != gpus:
            return False
        same = (own.workers, own.threads_per_worker) == (
            layout.workers,
            layout.threads_per_worker,
        )
        # The limit is for leaks: it must leave room above what the job needs.
        return same and own.memory_limit >= layout.peak_bytes + layout.peak_bytes // 4

    def close(self) -> None:
        cluster, self.cluster = self.cluster, None
        if cluster is not None:
            cluster.close()


_KEPT: ContextVar[_Kept | None] = ContextVar("kept", default=None)


@contextmanager
def same_workers() -> Iterator[None]:
    """Let jobs that run inside share our own workers, where these fit all of them.

    Workers take a second or two to start. A job with more of them, or that needs more
    memory, gets new ones.
    """
    if _KEPT.get() is not None:  # of whoever called us
        yield
        return
    kept = _Kept()
    token = _KEPT.set(kept)
    try:
        yield
    finally:
        _KEPT.reset(token)
        kept.close()


@contextmanager
def own_workers(
    layout: Layout, gpus: Sequence[str], access: Access
) -> Iterator[Cluster]:
    """Give workers on this machine; within :func:`same_workers` those of the last job.

    Parameters
    ----------
    layout
        How many workers, with how many threads and how much memory.
    gpus, access
        As for :func:`~blockseg.runtime.dask.cluster.local_cluster`.

    Raises
    ------
    ClusterError
        If the workers cannot be started.
    """
    kept = _KEPT.get()
    if kept is None:
        from blockseg.runtime.dask.cluster import local_cluster

        with local_cluster(layout, gpus=gpus, access=access) as cluster:
            yield cluster
        return
    cluster = kept.workers(layout, tuple(gpus), access)
    try:
        yield cluster
    except BaseException:
        # Whatever ended the job may have ended workers, too.
        kept.close()
        raise

"""Workers and threads that fit on a machine; decided before the first block."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import psutil

from blockseg.core.errors import ConfigError
from blockseg.runtime.cgroups import CGROUPS, OWN_CGROUPS, control_groups

if TYPE_CHECKING:
    from pathlib import Path

GIB = 2**30

_WORKER_BYTES = 400 * 2**20
"""A Python process with the libraries of a backend, measured."""

_LEAST_WORKER_BYTES = 100 * 2**20
"""The same without what it shares with its siblings."""

_FEW_WORKERS = 64
"""As many are never too many to ask for: who asks may know better."""

_DRIVER_BYTES = 600 * 2**20
"""The driver with the scheduler and its dashboard."""

_USABLE = 0.85
"""Share of the memory; the rest is the system's page cache, which reads live on."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Resources of a machine that are available."""

    cores: int
    """CPUs that this process may use."""

    memory: int
    """Bytes of main memory that this process may use, used by others or not."""

    available: int
    """Bytes of it that are free."""

    gpus: int = 0
    """CUDA devices to use; found out by who knows the backend."""


@dataclass(frozen=True, slots=True)
class Need:
    """Memory that blocks need."""

    block_bytes: int
    """Memory of a block in flight: raw data with halo, probability, mask, levels."""

    engine_bytes: int
    """Main memory of the engine while it infers, one call at a time."""

    decoding_bytes: int = 0
    """Memory for decoding chunks for one block, beside what it needs of them."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Division of a machine among workers."""

    workers: int
    """Processes."""

    threads_per_worker: int
    """Task threads of one worker: one infers while another reads or writes."""

    inference_threads: int
    """Threads of one inference."""

    memory_limit: int
    """Bytes at which a worker is considered broken and restarted."""

    peak_bytes: int = 0
    """Main memory that one worker is expected to need, its cache included."""

    spare_bytes: int = 0
    """Main memory that one worker may take beyond that."""

    cache_bytes: int = 0
    """Size of decoded chunks that one worker keeps."""

    def with_cache(self, nbytes: int) -> Layout:
        """Return the layout whose workers keep decoded chunks of so many bytes more."""
        peak = self.peak_bytes + nbytes
        return replace(
            self,
            memory_limit=max(self.memory_limit, peak + peak // 4),
            peak_bytes=peak,
            spare_bytes=max(0, self.spare_bytes - nbytes),
            cache_bytes=self.cache_bytes + nbytes,
        )


def plan_layout(
    machine: Machine,
    need: Need,
    *,
    workers: int | None = None,
    threads_per_worker: int | None = None,
    inference_threads: int | None = None,
) -> Layout:
    """Divide a machine: a worker a core, or fewer with more threads if memory is short.

    One inference on one thread is the most efficient, so as many workers as cores, if
    they fit. With GPUs one worker each, whose cores read and write.

    Parameters
    ----------
    machine
        What there is.
    need
        What a block and an engine take.
    workers, threads_per_worker, inference_threads
        Given by the user, and then taken as they are; decided here where None.

    Raises
    ------
    ConfigError
        If not even one worker fits, and the user did not decide their number; or if the
        source's chunks are so large that none would, whatever their number.
    """
    chosen_threads = threads_per_worker or (
        2 if not machine.gpus else max(2, min(8, machine.cores // machine.gpus))
    )
    peak = _peak(need, chosen_threads)
    budget = _budget(machine, need)
    if threads_per_worker is None:
        while chosen_threads > 1 and peak > budget:
            chosen_threads -= 1
            peak = _peak(need, chosen_threads)
    if need.decoding_bytes > budget:
        raise ConfigError(_chunks_do_not_fit(need, peak, budget))
    chosen_workers = workers or machine.gpus or machine.cores
    least = workers * _LEAST_WORKER_BYTES if workers and workers > _FEW_WORKERS else 0
    if least > machine.memory:
        message = (
            f"{chosen_workers} workers do not fit this machine: a process takes "
            f"{_LEAST_WORKER_BYTES / GIB:.1f} GiB before it does anything, and there are "
            f"{machine.memory / GIB:.1f} GiB; choose fewer --workers"
        )
        raise ConfigError(message)
    if workers is None:
        while chosen_workers > 1 and peak * chosen_workers > budget:
            chosen_workers -= 1
        if peak * chosen_workers > budget:
            if need.decoding_bytes > need.block_bytes + need.engine_bytes:
                raise ConfigError(_chunks_do_not_fit(need, peak, budget))
            message = (
                f"one worker needs {peak / GIB:.1f} GiB and "
                f"{budget / GIB:.1f} GiB are available; "
                "choose a smaller --block"
            )
            raise ConfigError(message)
    share = int((machine.memory - _DRIVER_BYTES) / chosen_workers)
    return Layout(
        workers=chosen_workers,
        threads_per_worker=chosen_threads,
        inference_threads=inference_threads or max(1, machine.cores // chosen_workers),
        # Twice what is expected: the limit is for leaks, not for planning.
        memory_limit=max(min(share, 2 * peak + GIB), peak + peak // 4, GIB),
        peak_bytes=peak,
        spare_bytes=max(0, budget // chosen_workers - peak),
    )


def machine(cgroups: Path = CGROUPS, own: Path = OWN_CGROUPS) -> Machine:
    """Look at this machine, within the limits of a container or a batch job.

    Parameters
    ----------
    cgroups
        Where the control groups are mounted.
    own
        Which of them this process is in.
    """
    memory = psutil.virtual_memory()
    limits = control_groups(cgroups, own)
    total = min(memory.total, limits.memory)
    return Machine(
        cores=min(_cores(), limits.cores),
        memory=total,
        available=max(0, min(memory.available, limits.free, total)),
    )


def _peak(need: Need, threads: int) -> int:
    each = need.block_bytes + need.decoding_bytes
    return _WORKER_BYTES + need.engine_bytes + threads * each


def _chunks_do_not_fit(need: Need, peak: int, budget: int) -> str:
    return (
        f"one worker needs {peak / GIB:.1f} GiB, of them {need.decoding_bytes / GIB:.1f} to "
        f"decode the large chunks of the source, and {budget / GIB:.1f} GiB are "
        "available; allow more with --memory, or rewrite the source in smaller chunks"
    )


def _budget(machine: Machine, need: Need) -> int:
    # The driver decodes chunks too, for its samples.
    driver = _DRIVER_BYTES + need.decoding_bytes
    return max(0, int(min(machine.available, machine.memory * _USABLE)) - driver)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def give_back_memory() -> None:
    """Return to the system what the C library keeps of memory that was freed.

    After planning that is a third of a driver's memory. Only glibc knows how.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)

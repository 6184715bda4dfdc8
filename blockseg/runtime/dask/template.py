"""Template of our own workers: a process that has imported what they need, forked for each.

A worker that is spawned imports everything anew, at the same time as its siblings and
after the driver has. The template imports it once, on a core that is idle while the driver
itself starts, and its copies share the pages. It starts no thread that a fork would lose.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from contextlib import contextmanager, suppress
from multiprocessing import forkserver, get_context, parent_process, resource_tracker
from threading import Thread
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from multiprocessing.context import BaseContext

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)

MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": str(4 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(16 * 2**20),
}
"""Dask's own trim threshold of 64 KiB makes glibc give every array of more than 128 KiB
back at once and take it anew: a page fault for each 4 KiB of each temporary."""

FORKS = sys.platform == "linux"
"""Whether there are templates here; elsewhere workers are spawned."""

_DEAF = "blockseg.runtime.dask.deaf"
_WORKERS = ("distributed.nanny", "distributed.worker", "blockseg.runtime.dask.actor")


def start_template(
    modules: Sequence[str] = (), malloc: Mapping[str, str] = MALLOC
) -> None:
    """Begin to start the template, if none is there; returns at once.

    Parameters
    ----------
    modules
        What it imports beside Dask's workers; passed over where they cannot be imported.
    malloc
        Environment variables that tell the C library which freed memory to keep.
    """
    if not FORKS:
        return
    resource_tracker.ensure_running()
    # Of variables that libraries read when they are loaded, the user's own count.
    once = {**malloc, **dict.fromkeys(THREAD_VARIABLES, "1"), **os.environ}
    with _environment(once), _interrupts_blocked():
        forkserver.set_forkserver_preload([_DEAF, *_WORKERS, *modules])
        forkserver.ensure_running()
    atexit.unregister(_end)
    atexit.register(_end, os.getpid())


def child_context() -> BaseContext:
    """Return the way to start a process of our own: from the template where there is one."""
    return get_context("forkserver" if has_template() else "spawn")


def has_template() -> bool:
    """Say whether there is a template, from which a process starts within a moment."""
    server: object = vars(forkserver).get("_forkserver")
    return FORKS and getattr(server, "_forkserver_pid", None) is not None


def end_with_parent() -> None:
    """Have this process end as soon as the one that asked for it has, even if killed.

    The initializer of a pool: its process would else wait for calls for ever.
    """
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    Thread(target=watch, name="end-with-parent", daemon=True).start()


def _end(owner: int) -> None:
    """End the template at once: it may be importing, and holds our standard output.

    And what was forked from it and is left, as after a start that failed: it ignores the
    signal by which multiprocessing would end it, and then waits for it.
    """
    server: object = vars(forkserver).get("_forkserver")
    pid = getattr(server, "_forkserver_pid", None)
    if pid is not None and os.getpid() == owner:
        with suppress(psutil.Error):
            template = psutil.Process(pid)
            for process in (*template.children(recursive=True), template):
                process.kill()


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables, which a process that is started inherits."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables.keys() - before.keys():
            del os.environ[name]


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Have a process that is started wait with what reaches all of a terminal or a job.

    That are Ctrl-C and a batch system's SIGTERM. Ours get them afterwards: were they
    ignored meanwhile, one would be lost.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

"""Batches of patches in a deterministic order: by number, step and process."""

from __future__ import annotations

import os
import signal
from itertools import count
from multiprocessing.util import Finalize
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from blockseg.core.errors import BlocksegError, ProcessLostError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from blockseg.training.data.data import PatchSource

_Item: TypeAlias = "tuple[NDArray[np.float32], NDArray[np.uint8]] | BlocksegError"
_Batch: TypeAlias = "tuple[Tensor, Tensor] | BlocksegError"


def numbers(step: int, batch: int, rank: int = 0, size: int = 1) -> list[int]:
    """Return the numbers of the patches that a process learns from in a step.

    No two steps and no two processes share one.
    """
    first = (step * size + rank) * batch
    return list(range(first, first + batch))


def batches(
    source: PatchSource,
    batch: int,
    *,
    first: int = 0,
    rank: int = 0,
    size: int = 1,
    workers: int = 0,
    pin: bool = False,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield images and targets, (batch, 1, z, y, x), from step ``first`` on, endlessly.

    Parameters
    ----------
    source
        Gives the patch of each number.
    batch
        Patches a step.
    first
        Steps done before.
    rank, size
        Of this process among those that train together.
    workers
        Processes that make patches; any number gives the same batches.
    pin
        Put them where a GPU fetches them faster.

    Raises
    ------
    BlocksegError
        That of the source, in one line, whichever process met it.
    ProcessLostError
        If a worker process died.
    """
    loader: DataLoader[_Item] = DataLoader(
        _Patches(source),
        batch_sampler=(numbers(step, batch, rank, size) for step in count(first)),
        num_workers=workers,
        # Libraries that read Zarr do not survive a fork.
        multiprocessing_context="spawn" if workers else None,
        collate_fn=_stacked,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_start_worker if workers else None,
        pin_memory=pin,
        # The loader draws from a generator: not from the one that a checkpoint holds.
        generator=torch.Generator(),
    )
    iterator = iter(loader)
    while True:
        try:
            found = next(iterator)
        except RuntimeError as error:
            if not workers:
                raise
            raise _death(error) from error
        if isinstance(found, BlocksegError):
            raise found
        yield found


def worker_death(error: RuntimeError) -> ProcessLostError | None:
    """Return a message if an error means that a process making patches died.

    The loader's handler of SIGCHLD raises it in the main thread, whatever runs there.
    """
    return _death(error) if "DataLoader worker" in str(error) else None


def _death(error: RuntimeError) -> ProcessLostError:
    reason = " ".join(str(error).split())
    message = f"a process that makes patches died: {reason}; try --workers 0"
    return ProcessLostError(message)


class _Patches(Dataset[_Item]):
    def __init__(self, source: PatchSource) -> None:
        self._source = source

    def __getitem__(self, number: int) -> _Item:
        try:
            return self._source[number]
        except BlocksegError as error:
            # The loader would make a traceback of many lines of it.
            return error


def _stacked(items: list[_Item]) -> _Batch:
    pairs = []
    for item in items:
        if isinstance(item, BlocksegError):
            return item
        pairs.append(item)
    images, targets = zip(*pairs, strict=True)
    return torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(targets))


def _start_worker(_: int) -> None:
    # Ctrl-C reaches every process of the terminal, and SIGTERM of a scheduler all of a
    # job; the loop decides when to end, and the loader's own event ends this process.
    for which in (signal.SIGINT, signal.SIGTERM):
        signal.signal(which, signal.SIG_IGN)
    torch.set_num_threads(1)
    # Threads of native libraries may outlive the loop, and abort a process that takes
    # itself down around them: its last finaliser ends it at once.
    Finalize(None, os._exit, args=(0,), exitpriority=-100)

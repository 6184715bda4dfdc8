"""Processes that train one network together: those of torchrun, or a single one."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import torch
from torch import distributed

from blockseg.core.errors import BackendError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

# The others wait while the first one validates and writes.
_PATIENCE = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class ProcessGroup:
    """A process among those that train together."""

    rank: int = 0
    """Number of this process; the first one writes."""

    size: int = 1
    """Processes."""

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    """Device of this process."""

    @property
    def first(self) -> bool:
        """Whether this process validates, writes and talks."""
        return self.rank == 0

    def barrier(self) -> None:
        """Wait for all."""
        if self.size > 1:
            distributed.barrier()

    def agree(self, *values: float) -> tuple[float, ...]:
        """Return the greatest of each value over all processes."""
        if self.size == 1:
            return values
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        distributed.all_reduce(tensor, distributed.ReduceOp.MAX)
        return tuple(tensor.tolist())

    def average(self, tensors: list[torch.Tensor]) -> None:
        """Set each tensor to its mean over all processes."""
        if self.size == 1 or not tensors:
            return
        together = torch.cat([tensor.flatten() for tensor in tensors])
        distributed.all_reduce(together)
        together /= self.size
        start = 0
        for tensor in tensors:
            part = together[start : start + tensor.numel()]
            tensor.copy_(part.view_as(tensor))
            start += tensor.numel()


@contextmanager
def open_process_group(device: str = "auto") -> Iterator[ProcessGroup]:
    """Join the processes that torchrun started, or train alone.

    Parameters
    ----------
    device
        ``auto``, ``cpu`` or ``cuda``.

    Raises
    ------
    BackendError
        If ``cuda`` is asked for and there is none.
    ConfigError
        If the environment does not say who the others are.
    """
    cuda = torch.cuda.is_available()
    if device == "cuda" and not cuda:
        message = "--device cuda: torch finds no CUDA device here; use --device cpu"
        raise BackendError(message)
    cuda = cuda and device != "cpu"
    try:
        size = int(os.environ.get("WORLD_SIZE", "1"))
        rank = int(os.environ.get("RANK", "0"))
        local = int(os.environ.get("LOCAL_RANK", "0"))
    except ValueError as error:
        message = f"WORLD_SIZE, RANK and LOCAL_RANK are not all numbers ({error}); start with torchrun"
        raise ConfigError(message) from error
    if cuda and local >= torch.cuda.device_count():
        message = (
            f"process {rank} has no GPU of its own: this machine has "
            f"{torch.cuda.device_count()}; lower torchrun's --nproc-per-node"
        )
        raise BackendError(message)
    here = torch.device("cuda", local) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(here)
        # Patches have one shape: the search for the fastest kernels pays.
        torch.backends.cudnn.benchmark = True
    if size == 1:
        yield ProcessGroup(device=here)
        return
    try:
        distributed.init_process_group("nccl" if cuda else "gloo", timeout=_PATIENCE)
    except (ValueError, RuntimeError) as error:
        message = f"the {size} processes cannot join: {error}; start with torchrun"
        raise ConfigError(message) from error
    try:
        yield ProcessGroup(rank, size, here)
    finally:
        distributed.destroy_process_group()

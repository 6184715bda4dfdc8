"""Which CUDA devices torch can use here."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

__all__ = ["Device", "cuda_devices", "look_at_devices", "memory_in_use"]


@dataclass(frozen=True, slots=True)
class Device:
    """A CUDA device, or a slice of one."""

    name: str
    """As its maker calls it."""

    total: int
    """Bytes of memory."""

    free: int
    """Bytes of it that nobody uses."""


def cuda_devices() -> tuple[str, ...]:
    """Return the usable CUDA devices, as ``CUDA_VISIBLE_DEVICES`` names them.

    MIG slices and devices that the environment hides are respected. No context is
    made: the driver of a run must not take memory on every card.
    """
    count = torch.cuda.device_count()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    names = [name.strip() for name in visible.split(",") if name.strip()]
    if count and names and all(name.startswith("MIG-") for name in names):
        return tuple(names)  # CUDA shows a process the first slice and no other
    return tuple(names[:count]) if names else tuple(str(n) for n in range(count))


def memory_in_use() -> int:
    """Return the bytes in use on this process's device, by whomever; 0 without one."""
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return 0
    free, total = torch.cuda.mem_get_info()
    return total - free


def look_at_devices() -> tuple[Device, ...]:
    """Return the devices and their memory; takes some of it on each.

    Raises
    ------
    RuntimeError
        If one cannot be used.
    """
    found = []
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        found.append(Device(torch.cuda.get_device_name(index), total, free))
    return tuple(found)

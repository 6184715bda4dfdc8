"""CUDA devices that torch can use here."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

_NODES = ("nvidia*", "nvhost*", "nvmap", "dxg", "kfd")
"""Devices that GPU drivers make below /dev on Linux, also that inside of Windows."""


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
    made: the driver of a run must not take memory on every card. Where the system shows
    that there is none, torch is not asked: to import it takes seconds.
    """
    if not _has_driver():
        return ()
    import torch

    count = torch.cuda.device_count()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    names = [name.strip() for name in visible.split(",") if name.strip()]
    if count and names and all(name.startswith("MIG-") for name in names):
        return tuple(names)  # CUDA shows a process the first slice and no other
    return tuple(names[:count]) if names else tuple(str(n) for n in range(count))


def memory_in_use() -> int:
    """Return the bytes in use on this process's device, by whomever; 0 without one."""
    import torch

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
    import torch

    found = []
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        found.append(Device(torch.cuda.get_device_name(index), total, free))
    return tuple(found)


def _has_driver(folder: str = "/dev") -> bool:
    if not sys.platform.startswith("linux"):
        return True
    return any(True for name in _NODES for _ in Path(folder).glob(name))

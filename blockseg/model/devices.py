"""Which CUDA devices torch can use here."""

from __future__ import annotations

import os

import torch

__all__ = ["cuda_devices"]


def cuda_devices() -> tuple[str, ...]:
    """Return the usable CUDA devices, as ``CUDA_VISIBLE_DEVICES`` names them.

    MIG slices and devices that the environment hides are respected. No context is
    made: the driver of a run must not take memory on every card.
    """
    count = torch.cuda.device_count()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    names = [name.strip() for name in visible.split(",") if name.strip()]
    return tuple(names[:count]) if names else tuple(str(n) for n in range(count))

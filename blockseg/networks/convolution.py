"""Unpadded 3-D convolutions on CPUs, where torch's own choice is a slow one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from blockseg.networks.layers import convolve

if TYPE_CHECKING:
    from blockseg.networks.layers import Convolve

PLANES = 2
"""Output planes that float64 computes at a time."""


def convolution_for(device: torch.device, dtype: torch.dtype) -> Convolve:
    """Return the fastest ``conv3d(x, weight, bias, padding)`` there; no gradients."""
    if device.type == "cpu" and dtype == torch.float64:
        return _by_planes
    if device.type == "cpu" and torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return _by_onednn
    return convolve


def _by_planes(x: Tensor, weight: Tensor, bias: Tensor | None, padding: int) -> Tensor:
    """Compute a few planes at a time.

    For float64 torch unrolls the whole map into 27 copies of it first: gigabytes
    for a window of 128³, and three times the time.
    """
    x = functional.pad(x, (padding,) * 6)
    depth = weight.shape[2] - 1
    planes = x.shape[2] - depth
    slabs = [
        functional.conv3d(
            x[:, :, first : min(first + PLANES, planes) + depth], weight, bias
        )
        for first in range(0, planes, PLANES)
    ]
    return torch.cat(slabs, dim=2)


def _by_onednn(x: Tensor, weight: Tensor, bias: Tensor | None, padding: int) -> Tensor:
    """Ask for oneDNN, which torch avoids for one image on one thread."""
    x = x.contiguous(memory_format=torch.channels_last_3d)
    one = (1, 1, 1)
    return torch.mkldnn_convolution(x, weight, bias, (padding,) * 3, one, one, 1)

"""Convolutions of maps of few planes in bfloat16, whose gradients torch gets wrong on CPUs.

With AVX-512 oneDNN 3.12 (torch 2.13) gives noise, NaN among it, for the gradient of the
weights of a 3-D convolution in bfloat16 whose padded input has fewer planes than the kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from blockseg.networks.layers import Convolution

if TYPE_CHECKING:
    from torch import Tensor, nn


def convolved(x: Tensor, weight: Tensor, bias: Tensor | None, padding: int) -> Tensor:
    """Return a convolution, computed in float32 where the map is that shallow.

    Parameters
    ----------
    x
        Shape (batch, channel, z, y, x).
    weight, bias, padding
        As of :func:`torch.nn.functional.conv3d`.
    """
    if x.shape[2] >= weight.shape[2]:
        return functional.conv3d(x, weight, bias, padding=padding)
    half = x.dtype
    with torch.autocast(x.device.type, enabled=False):
        exact = None if bias is None else bias.float()
        y = functional.conv3d(x.float(), weight.float(), exact, padding=padding)
    return y.to(half)


def guard(network: nn.Module) -> None:
    """Make all convolutions of a network use :func:`convolved`."""
    for layer in network.modules():
        if isinstance(layer, Convolution):
            layer.convolve = convolved

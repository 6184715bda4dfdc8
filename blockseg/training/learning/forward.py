"""The network's forward pass, arranged for training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from blockseg.networks.sdasn import SDASN

if TYPE_CHECKING:
    from torch import Tensor, nn

    from blockseg.networks.base import Network


def training_heads(network: Network, x: Tensor) -> tuple[Tensor, ...]:
    """Return what ``network.heads(x)`` returns, arranged for a fast backward pass.

    For SDASN that is 1.7 times as fast on CPU: PyTorch has no fast 1×1×1 convolution to
    one channel there, and the backward pass of a crop copies its input even where the
    crop takes all of it; here the heads are matrix products and nothing is cropped.

    Parameters
    ----------
    network
        Any network of any width.
    x
        Normalised images ``(batch, 1, z, y, x)``, multiples of the network's alignment.
    """
    if not isinstance(network, SDASN):
        return network.heads(x)
    x00 = network.x00(x, True, None)
    x10 = network.x10(functional.max_pool3d(x00, 2), True, None)
    x20 = network.x20(functional.max_pool3d(x10, 2), True, None)
    x11 = network.x11(torch.cat([x10, network.up11(x20, True, None)], 1), True, None)
    x01 = torch.cat([x00, network.up01(x10, True, None)], 1)
    x02 = torch.cat([x01, network.up02(x11, True, None)], 1)
    x02 = network.x02(x02, True, None)
    return (
        _head(network.head00, x00),
        _head(network.head01, x01),
        _head(network.head02, x02),
    )


def _head(head: nn.Conv3d, x: Tensor) -> Tensor:
    logits = torch.einsum("bczyx,oc->bozyx", x, head.weight.flatten(1))
    return logits if head.bias is None else logits + head.bias[:, None, None, None]

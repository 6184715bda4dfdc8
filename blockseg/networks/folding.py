"""Folding of batch normalisation into the convolutions before it."""

from __future__ import annotations

from copy import deepcopy
from typing import TypeVar

import torch
from torch import nn

from blockseg.networks.base import Network
from blockseg.networks.layers import Conv, Up

AnyNetwork = TypeVar("AnyNetwork", bound=Network)


def folded(network: AnyNetwork) -> AnyNetwork:
    """Return a copy of ``network`` with fewer norms that gives the same answer.

    Norms that come before their convolution, as VoxResNet's do, stay: an activation
    lies between the two.

    With running mean m and variance v, scale g and shift h of the norm,
    ``g (w * x + b - m) / sqrt(v + eps) + h`` is one convolution again. Computed in
    float64 and stored in the network's own precision; in evaluation mode.
    """
    copy = deepcopy(network).eval().requires_grad_(False)
    for layer in copy.modules():
        if isinstance(layer, (Conv, Up)) and isinstance(layer.norm, nn.BatchNorm3d):
            _fold(layer, layer.norm)
            layer.norm = nn.Identity()
    return copy


def _fold(layer: Conv | Up, norm: nn.BatchNorm3d) -> None:
    mean, variance, bias = norm.running_mean, norm.running_var, layer.conv.bias
    if mean is None or variance is None or bias is None:
        return
    gain = norm.weight.double() / torch.sqrt(variance.double() + norm.eps)
    # A transposed convolution stores its weights (in, out, z, y, x).
    axes = (1, -1, 1, 1, 1) if isinstance(layer, Up) else (-1, 1, 1, 1, 1)
    weight = layer.conv.weight.double() * gain.reshape(axes)
    shift = (bias.double() - mean.double()) * gain + norm.bias.double()
    layer.conv.weight.copy_(weight)
    bias.copy_(shift)

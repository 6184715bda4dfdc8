"""Layers that the networks are made of.

Every layer comes in two forms with the same parameters. The *padded* form keeps the
shape; the *cropped* form is not padded, so that a map shrinks to what is still needed.
Where a window reaches beyond the volume, a mask sets to zero what lies outside: that is
the padding of the whole volume.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from blockseg.networks.receptive_field import KERNEL, SLOPE, STRIDE

AxisVectors: TypeAlias = tuple[Tensor, Tensor, Tensor]
"""Three 0/1 tensors ``(batch, n)`` along z, y, x; their product is a mask."""

Masks: TypeAlias = "tuple[Tensor | None, ...]"
"""For each level, finest first, 1 inside the volume and 0 outside; or None."""

Convolve: TypeAlias = Callable[[Tensor, Tensor, "Tensor | None", int], Tensor]
"""``conv3d(x, weight, bias, padding)``; backends may put a faster one in."""


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, padding: int) -> Tensor:
    """Return the result of torch's own choice of a convolution."""
    return functional.conv3d(x, weight, bias, padding=padding)


class Convolution(nn.Conv3d):
    """A convolution of stride 1 that is padded or not, as the caller says."""

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int = KERNEL
    ) -> None:
        super().__init__(channels_in, channels_out, kernel)
        self.convolve: Convolve = convolve

    def forward(self, x: Tensor, padded: bool = True) -> Tensor:
        """Return a map of the same shape if ``padded``, else cropped by half a kernel."""
        padding = self.kernel_size[0] // 2 if padded else 0
        return self.convolve(x, self.weight, self.bias, padding)


class Conv(nn.Module):
    """Convolution, norm, activation; then zero where ``mask`` says outside."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = Convolution(channels_in, channels_out)
        self.norm: nn.Module = nn.BatchNorm3d(channels_out)

    def forward(self, x: Tensor, padded: bool, mask: Tensor | None) -> Tensor:
        """Return a map of the same shape if ``padded``, else one voxel less a side."""
        x = self.conv(x, padded)
        return masked(functional.leaky_relu_(self.norm(x), SLOPE), mask)


class Up(nn.Module):
    """Transposed convolution to the next finer level, norm, activation."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose3d(
            channels_in, channels_out, KERNEL, STRIDE, padding=1, output_padding=1
        )
        self.norm: nn.Module = nn.BatchNorm3d(channels_out)

    def forward(self, x: Tensor, padded: bool, mask: Tensor | None) -> Tensor:
        """Return a map of twice the shape; without its outermost voxels if cropped."""
        x = self.conv(x)
        if not padded:
            x = cropped(x, STRIDE)
        return masked(functional.leaky_relu_(self.norm(x), SLOPE), mask)


class Node(nn.ModuleList):
    """Several convolutions in a row."""

    def __init__(self, *channels: int) -> None:
        super().__init__(Conv(a, b) for a, b in pairwise(channels))

    def forward(self, x: Tensor, padded: bool, mask: Tensor | None) -> Tensor:
        """Return the last one's map."""
        for layer in self:
            x = layer(x, padded, mask)
        return x


def level_masks(inside: AxisVectors, levels: int) -> tuple[Tensor, ...]:
    """Return ``(batch, 1, z, y, x)`` for each level, finest first.

    The volume ends at multiples of the coarsest voxel, so none straddles it.
    """
    z, y, x = inside
    return tuple(
        z[:, None, ::s, None, None]
        * y[:, None, None, ::s, None]
        * x[:, None, None, None, ::s]
        for s in (STRIDE**level for level in range(levels))
    )


def masked(x: Tensor, mask: Tensor | None) -> Tensor:
    """Return ``x``, zero where ``mask`` is; the mask may be wider."""
    return x if mask is None else x * fitted(mask, x)


def joined(skip: Tensor, up: Tensor) -> Tensor:
    """Return both maps' channels on the shape of ``up``."""
    return torch.cat([fitted(skip, up), up], dim=1)


def fitted(x: Tensor, like: Tensor) -> Tensor:
    """Crop ``x`` around its centre to the spatial shape of ``like``."""
    for axis in (2, 3, 4):
        margin = (x.shape[axis] - like.shape[axis]) // 2
        x = x.narrow(axis, margin, like.shape[axis])
    return x


def cropped(x: Tensor, by: int) -> Tensor:
    """Return a map without its outermost ``by`` voxels, at least one, on each side."""
    return x[:, :, by:-by, by:-by, by:-by]

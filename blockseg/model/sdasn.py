"""SDASN: a small 3-D network with deep layer aggregation, read top to bottom.

Tensors are ``(batch, channel, z, y, x)``. Nodes are named ``x<level><column>``
as in UNet++; level k works on voxels 2^k times as large::

    level 0   x00 ─────────── x01 ───────── x02      heads on all three, summed
                └──── x10 ──┘  │          ┌──┘
    level 1            └───────┼── x11 ───┘
                └── x20 ───────┴──┘
    level 2

The network comes in two forms with the same parameters. The *padded* form runs
on whole volumes and in training. The *cropped* form computes a core from a
window that is ``REACH`` voxels wider on every side: its convolutions are not
padded, so each feature map shrinks to what the core still needs. Both give the
same numbers on the core, because nothing there ever depended on the padding.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from blockseg.model.reach import ALIGNMENT, KERNEL, REACH, STRIDE

__all__ = ["ALIGNMENT", "REACH", "SDASN", "AxisVectors", "Conv", "Up"]

AxisVectors: TypeAlias = tuple[Tensor, Tensor, Tensor]
"""Three 0/1 tensors ``(batch, n)`` along z, y, x; their product is a mask."""

Convolve: TypeAlias = Callable[[Tensor, Tensor, "Tensor | None", int], Tensor]
"""``conv3d(x, weight, bias, padding)``; backends may put a faster one in."""

SLOPE = 0.2


class Conv(nn.Module):
    """Convolution, norm, activation; then zero where ``mask`` says outside."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(channels_in, channels_out, KERNEL)
        self.convolve: Convolve = _convolve
        self.norm: nn.Module = nn.BatchNorm3d(channels_out)

    def forward(self, x: Tensor, padded: bool, mask: Tensor | None) -> Tensor:
        """Return a map of the same shape if ``padded``, else one voxel less a side."""
        padding = KERNEL // 2 if padded else 0
        x = self.convolve(x, self.conv.weight, self.conv.bias, padding)
        return _masked(functional.leaky_relu_(self.norm(x), SLOPE), mask)


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
            x = _cropped(x, STRIDE)
        return _masked(functional.leaky_relu_(self.norm(x), SLOPE), mask)


class _Node(nn.ModuleList):
    """Several convolutions in a row."""

    def __init__(self, *channels: int) -> None:
        super().__init__(Conv(a, b) for a, b in pairwise(channels))

    def forward(self, x: Tensor, padded: bool, mask: Tensor | None) -> Tensor:
        for layer in self:
            x = layer(x, padded, mask)
        return x


class SDASN(nn.Module):
    """Simplified Deep-layer Aggregation Supervision Network.

    Parameters
    ----------
    width
        Channels at full resolution; the coarser levels have 2 (width - 1) and
        4 (width - 1).

    Notes
    -----
    89,075 parameters and 13,628 multiply-adds a voxel at width 8. After the network
    published as github.com/huangqing15/Ultrafast.
    """

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.width = width
        c0, c1, c2 = width, 2 * (width - 1), 4 * (width - 1)
        self.x00 = _Node(1, c0, c0)
        self.x10 = _Node(c0, c0, c1, c1)
        self.x20 = _Node(c1, c1, c2, c2)
        self.up11 = Up(c2, c1)
        self.x11 = _Node(2 * c1, c1, c1)
        self.up01 = Up(c1, c0)
        self.up02 = Up(c1, c0)
        self.x02 = _Node(3 * c0, c0, c0)
        self.head00 = nn.Conv3d(c0, 1, 1)
        self.head01 = nn.Conv3d(2 * c0, 1, 1)
        self.head02 = nn.Conv3d(c0, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits ``(batch, 1, z, y, x)`` of normalised images.

        The image's edges are padded with zeros at every layer. Its shape must be
        a multiple of ``ALIGNMENT`` on each axis.
        """
        return sum_heads(self.heads(x))

    def heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the logits of the three heads, for deep supervision."""
        return self._heads(x, padded=True, masks=(None, None, None))

    def core_logits(self, tile: Tensor, inside: AxisVectors | None = None) -> Tensor:
        """Return the logits of the core of a window, computing no more than that.

        Parameters
        ----------
        tile
            Normalised window ``(batch, 1, z, y, x)``: the core, whose origin and
            shape are multiples of ``ALIGNMENT`` in the volume, and ``REACH``
            voxels more on every side; 0 beyond the volume.
        inside
            For each axis ``(batch, n)`` with n the window's length there: 1 where
            the window lies inside the volume, 0 beyond it. Not needed for
            windows that lie wholly inside.

        Returns
        -------
        Tensor
            ``(batch, 1, z, y, x)``, on the core: that of the padded form on the
            whole volume.
        """
        masks: _Masks = (None, None, None)
        if inside is not None:
            z, y, x = inside
            masks = _level_masks(z, y, x)
        return sum_heads(self._heads(tile, padded=False, masks=masks))

    def _heads(
        self, x: Tensor, *, padded: bool, masks: _Masks
    ) -> tuple[Tensor, Tensor, Tensor]:
        m0, m1, m2 = masks
        x00 = self.x00(x, padded, m0)
        x10 = self.x10(functional.max_pool3d(x00, STRIDE), padded, m1)
        x20 = self.x20(functional.max_pool3d(x10, STRIDE), padded, m2)
        x11 = self.x11(_joined(x10, self.up11(x20, padded, m1)), padded, m1)
        x01 = _joined(x00, self.up01(_fitted(x10, x11), padded, m0))
        x02 = self.x02(_joined(x01, self.up02(x11, padded, m0)), padded, m0)
        return (
            self.head00(_fitted(x00, x02)),
            self.head01(_fitted(x01, x02)),
            self.head02(x02),
        )


_Masks: TypeAlias = tuple[Tensor | None, Tensor | None, Tensor | None]


def sum_heads(logits: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Return the network's logit: the heads' sum."""
    first, second, third = logits
    return first + second + third


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None, padding: int) -> Tensor:
    return functional.conv3d(x, weight, bias, padding=padding)


def _level_masks(z: Tensor, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    # The volume ends at multiples of ALIGNMENT, so no coarse voxel straddles it.
    m0, m1, m2 = (
        z[:, None, ::s, None, None]
        * y[:, None, None, ::s, None]
        * x[:, None, None, None, ::s]
        for s in (1, STRIDE, STRIDE**2)
    )
    return m0, m1, m2


def _masked(x: Tensor, mask: Tensor | None) -> Tensor:
    return x if mask is None else x * _fitted(mask, x)


def _joined(skip: Tensor, up: Tensor) -> Tensor:
    return torch.cat([_fitted(skip, up), up], dim=1)


def _fitted(x: Tensor, like: Tensor) -> Tensor:
    """Crop ``x`` around its centre to the spatial shape of ``like``."""
    for axis in (2, 3, 4):
        margin = (x.shape[axis] - like.shape[axis]) // 2
        x = x.narrow(axis, margin, like.shape[axis])
    return x


def _cropped(x: Tensor, by: int) -> Tensor:
    return x[:, :, by:-by, by:-by, by:-by]

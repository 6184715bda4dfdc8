"""VoxResNet: a residual network whose four resolutions vote."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from blockseg.networks.base import Network
from blockseg.networks.layers import Convolution, cropped, fitted, masked
from blockseg.networks.receptive_field import STRIDE

if TYPE_CHECKING:
    from blockseg.networks.layers import Masks

_UNUSED = 6
# Voxels by which a window is wider than the layers need, as it starts at a multiple of 8.

_MARGINS = (62, 27, 9, 0)
# Voxels a side, of its level, that each map has beyond what its head needs.


class VoxResNet(Network):
    """Voxelwise residual network with two classes and a head at each resolution.

    Parameters
    ----------
    width
        Channels at full resolution; twice as many at the three coarser ones.

    Notes
    -----
    1,714,688 parameters and about 105,700 multiply-adds a voxel at width 32. Its logit is
    that of class 1 less that of class 0, so that its sigmoid is their softmax. After the
    network published with DB-Enhance.
    """

    architecture: ClassVar[str] = "voxresnet"
    levels: ClassVar[int] = 4

    def __init__(self, width: int = 32) -> None:
        super().__init__(width)
        self.first = Convolution(1, width, 5)
        self.norm = nn.BatchNorm3d(width)
        self.second = Convolution(width, width)
        self.stages = nn.ModuleList(
            _Stage(c, 2 * width) for c in (width, 2 * width, 2 * width)
        )
        self.finest = Convolution(width, 2)
        self.lifts = nn.ModuleList(
            nn.ConvTranspose3d(2 * width, 2, STRIDE**level, STRIDE**level)
            for level in range(1, self.levels)
        )
        self.mixes = nn.ModuleList(nn.Conv3d(2, 2, 1) for _ in range(self.levels))
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight)

    def _heads(self, x: Tensor, *, padded: bool, masks: Masks) -> tuple[Tensor, ...]:
        if not padded:
            x = cropped(x, _UNUSED)
        x = self.second(_active(self.norm, self.first(x, padded), masks[0]), padded)
        # The head is a convolution: it must not see what lies beyond the volume.
        maps = [masked(x, masks[0])]
        for level, stage in enumerate(self.stages, start=1):
            x = stage(x, padded, masks[level - 1], masks[level])
            maps.append(x)
        if not padded:
            maps = [
                cropped(x, by) if by else x
                for x, by in zip(maps, _MARGINS, strict=True)
            ]
        classes = [self.finest(maps[0], padded)]
        classes += [lift(x) for lift, x in zip(self.lifts, maps[1:], strict=True)]
        mixed = [mix(x) for mix, x in zip(self.mixes, classes, strict=True)]
        return tuple(x[:, 1:] - x[:, :1] for x in mixed)


class _Stage(nn.Module):
    """To the next coarser level, and two residual blocks there."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm3d(channels_in)
        self.down = nn.Conv3d(channels_in, channels_out, 3, STRIDE)
        self.blocks = nn.ModuleList(_Residual(channels_out) for _ in range(2))

    def forward(
        self, x: Tensor, padded: bool, finer: Tensor | None, mask: Tensor | None
    ) -> Tensor:
        x = _active(self.norm, x, finer)
        # Cropped, a map starts at an odd voxel, the one before a coarse voxel's first.
        padding = 1 if padded else 0
        x = functional.conv3d(x, self.down.weight, self.down.bias, STRIDE, padding)
        for block in self.blocks:
            x = block(x, padded, mask)
        return x


class _Residual(nn.Module):
    """Norm, activation, convolution, twice, added to what came in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm3d(channels) for _ in range(2))
        self.convs = nn.ModuleList(Convolution(channels, channels) for _ in range(2))

    def forward(self, x: Tensor, padded: bool, mask: Tensor | None) -> Tensor:
        change = x
        for norm, conv in zip(self.norms, self.convs, strict=True):
            change = conv(_active(norm, change, mask), padded)
        return change + (x if padded else fitted(x, change))


def _active(norm: nn.Module, x: Tensor, mask: Tensor | None) -> Tensor:
    return masked(torch.relu_(norm(x)), mask)

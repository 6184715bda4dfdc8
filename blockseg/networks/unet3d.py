"""The 3-D U-Net that the published systems compare themselves with."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from torch import Tensor, nn
from torch.nn import functional

from blockseg.networks.base import Network
from blockseg.networks.layers import Node, Up, cropped, joined
from blockseg.networks.receptive_field import STRIDE

if TYPE_CHECKING:
    from blockseg.networks.layers import Masks

_UNUSED = 2
# Voxels by which a window is wider than the layers need, as it starts at a multiple of 8.

_LEFT = 4
# Voxels a side that are left of the margin after the last layer: coarse ones come whole.


class UNet3D(Network):
    """3-D U-Net of four levels with two classes.

    Parameters
    ----------
    width
        Channels at full resolution; each coarser level has twice as many.

    Notes
    -----
    8,162,658 parameters and 282,592 multiply-adds a voxel at width 32. Its logit is that
    of class 1 less that of class 0, so that its sigmoid is their softmax.
    """

    architecture: ClassVar[str] = "unet3d"
    levels: ClassVar[int] = 4

    def __init__(self, width: int = 32) -> None:
        super().__init__(width)
        c0, c1, c2, c3 = (width * STRIDE**level for level in range(self.levels))
        self.down0 = Node(1, c0, c0)
        self.down1 = Node(c0, c1, c1)
        self.down2 = Node(c1, c2, c2)
        self.bottom = Node(c2, c3, c3)
        self.lift2 = Up(c3, c3)
        self.up2 = Node(c2 + c3, c2, c2)
        self.lift1 = Up(c2, c2)
        self.up1 = Node(c1 + c2, c1, c1)
        self.lift0 = Up(c1, c1)
        self.up0 = Node(c0 + c1, c0, c0)
        self.head = nn.Conv3d(c0, 2, 1)

    def _heads(self, x: Tensor, *, padded: bool, masks: Masks) -> tuple[Tensor, ...]:
        m0, m1, m2, m3 = masks
        if not padded:
            x = cropped(x, _UNUSED)
        x0 = self.down0(x, padded, m0)
        x1 = self.down1(functional.max_pool3d(x0, STRIDE), padded, m1)
        x2 = self.down2(functional.max_pool3d(x1, STRIDE), padded, m2)
        x3 = self.bottom(functional.max_pool3d(x2, STRIDE), padded, m3)
        x2 = self.up2(joined(x2, self.lift2(x3, padded, m2)), padded, m2)
        x1 = self.up1(joined(x1, self.lift1(x2, padded, m1)), padded, m1)
        x0 = self.up0(joined(x0, self.lift0(x1, padded, m0)), padded, m0)
        if not padded:
            x0 = cropped(x0, _LEFT)
        classes = self.head(x0)
        return (classes[:, 1:] - classes[:, :1],)

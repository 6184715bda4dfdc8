"""Settings of what a run reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from blockseg.config.declare import option, part
from blockseg.config.values import (
    parse_axes,
    parse_choice,
    parse_factors,
    parse_int,
    parse_roi,
    parse_switch,
    parse_text,
    parse_vector,
)
from blockseg.core.choices import SourceChoices, StoreChoices

if TYPE_CHECKING:
    from blockseg.core.geometry import Roi, Zyx
    from blockseg.core.space import Vector


# Commands that take options of a run, too.
OF_SOURCES = (
    *("info", "metrics", "convert", "propose-annotations", "export", "view"),
    "preview",
)
OF_IMAGES = (*OF_SOURCES, "train")
OF_METRICS = ("metrics",)
OF_REGIONS = ("metrics", "convert", "export")
OF_OUTPUTS = ("metrics", "convert", "synth")
DERIVED = ("label", "threshold", "skeletonize", "regions", "density", "export")
OF_JOBS = (*OF_OUTPUTS, *DERIVED)
REPORTED = ("label", "threshold", "skeletonize")
OF_REPAIRS = (*OF_JOBS, "verify", "retry", "finalize")


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """Voxels of a source that are read, and their interpretation."""

    level: int = option(
        0,
        parse_int(0),
        "Resolution level to read, 0 the finest.",
        metavar="N",
        also=OF_SOURCES,
        basic=True,
    )
    """Resolution level of the source, 0 the finest."""

    downsample: Zyx = option(
        (1, 1, 1),
        parse_factors,
        "Average this many voxels into one. [1,1,1]",
        metavar="Z,Y,X",
        also=OF_SOURCES,
        basic=True,
    )
    """Voxels of the level along (z, y, x) over which each voxel is the mean; ``roi`` and
    all else is in these coarser voxels, ``voxel_size`` that of the source."""

    dataset: str | None = option(
        None,
        parse_text,
        "Array inside a container.",
        metavar="PATH",
        also=OF_SOURCES,
    )
    """Array inside the source, where there are several."""

    channel: int | None = option(
        None,
        parse_int(0),
        "Channel, if there are several.",
        metavar="N",
        also=OF_IMAGES,
        basic=True,
    )
    """Index on the channel axis, where it is longer than 1."""

    timepoint: int | None = option(
        None,
        parse_int(0),
        "Time point, if there are several.",
        metavar="N",
        also=OF_IMAGES,
    )
    """Index on the time axis, where it is longer than 1."""

    voxel_size: Vector | None = option(
        None,
        parse_vector,
        "In µm; else from the metadata.",
        metavar="Z,Y,X",
        unit="µm",
        also=(
            *(*OF_SOURCES[:4], "synth", "view", "preview"),
            *("label", "skeletonize"),
        ),
        basic=True,
    )
    """Edge lengths of a voxel along (z, y, x), in µm; else from the metadata."""

    axes: str | None = option(
        None,
        parse_axes,
        "One letter per axis; else from the metadata.",
        metavar="TCZYX",
        also=OF_IMAGES,
    )
    """One letter for each axis of the source (t, c, z, y, x); else from the metadata."""

    stored_as: str | None = option(
        None,
        parse_choice("uint8", "int8", "uint16", "int16"),
        "Real type of the data: uint16 stored as int16.",
        metavar="TYPE",
        flags=("--as", "--stored-as", "stored_as"),
        also=OF_IMAGES,
    )
    """Type that the stored bits are, where the source states another of the same size:
    ``uint16`` for int16."""

    allow_gaps: bool = option(
        False,
        parse_switch,
        "Read missing slices of a folder as empty planes.",
        also=OF_SOURCES,
    )
    """Read planes that are missing from a folder of slices as empty."""

    allow_empty: bool = option(
        False,
        parse_switch,
        "Accept a source without stored voxels.",
        also=OF_IMAGES,
    )
    """Accept a source that has no stored voxels."""

    roi: Roi | None = option(
        None,
        parse_roi,
        "Region to segment, in voxels.",
        metavar="Z:Z,Y:Y,X:X",
        unit="voxels",
        also=OF_REGIONS,
        basic=True,
    )
    """Region to segment, in voxels of the level; the whole volume if not given."""

    mask: str | None = option(
        None,
        parse_text,
        "Segment only where this is not 0; any resolution.",
        metavar="VOLUME",
        also=OF_METRICS,
        basic=True,
    )
    """Volume of any resolution whose nonzero voxels are segmented."""

    endpoint: str | None = option(
        None,
        parse_text,
        "S3 server other than Amazon's.",
        metavar="URL",
        also=OF_SOURCES,
    )
    """Server for ``s3://`` addresses, ``https://HOST:PORT``; else Amazon's, or that of
    ``AWS_ENDPOINT_URL``."""

    region: str | None = option(
        None,
        parse_text,
        "Region of the bucket. [AWS_REGION]",
        metavar="NAME",
        also=OF_SOURCES,
    )
    """Region that requests to ``s3://`` are signed for; else that of ``AWS_REGION``."""

    anonymous: bool = option(
        False,
        parse_switch,
        "Read sources in stores without credentials.",
        also=OF_SOURCES,
    )
    """Read sources in object stores without credentials, as public buckets are."""

    @property
    def stores(self) -> StoreChoices:
        """Choices of the user for object stores."""
        return part(StoreChoices, self)

    @property
    def choices(self) -> SourceChoices:
        """Choices of the user for the source."""
        return part(SourceChoices, self)

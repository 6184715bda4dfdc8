"""Settings of an export, typed and checked once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from blockseg.config.declare import option
from blockseg.config.values import (
    parse_choice,
    parse_edges,
    parse_switch,
    parse_text,
    parse_vector,
)

if TYPE_CHECKING:
    from blockseg.core.space import Vector

What: TypeAlias = Literal["image", "mask", "clean", "probability", "density"]
"""Images that a user may export."""


@dataclass(frozen=True, slots=True)
class ExportSettings:
    """Settings that decide what ``blockseg export`` writes."""

    output: str | None = option(
        None,
        parse_text,
        "File to write, in .tif, .tiff, .nii or .nii.gz.",
        metavar="FILE",
        flags=("-o", "--output", "output"),
    )
    """File to write; its ending says the format."""

    voxel_size: Vector = option(
        (25.0, 25.0, 25.0),
        parse_edges,
        "Voxels of FILE: one length, or Z,Y,X. [25]",
        metavar="µm",
        unit="µm",
    )
    """Edge lengths (z, y, x) of a voxel of the file, in µm."""

    what: What = option(
        "image",
        parse_choice(*get_args(What)),
        "Of an OUT: image (default), mask, clean, probability or density.",
        metavar="NAME",
    )
    """Which image of an output: the one that was segmented, its mask, its clean mask, its
    probability or its density map."""

    source_voxel_size: Vector | None = option(
        None,
        parse_vector,
        "Of a SOURCE, in µm; else from the metadata.",
        metavar="Z,Y,X",
        unit="µm",
    )
    """Edge lengths (z, y, x) of a voxel of a source, in µm; else from the metadata."""

    finest: bool = option(
        False,
        parse_switch,
        "Average the finest level, even if a coarse one would do.",
    )
    """Average the level that was given, even where a coarser one would do."""

    allow_partial: bool = option(
        False,
        parse_switch,
        "Treat blocks that are not written as background.",
    )
    """Take blocks that the run has not written for background."""

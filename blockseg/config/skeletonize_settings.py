"""Settings of traces, typed and checked once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from blockseg.config.declare import option, same
from blockseg.config.label_settings import LabelSettings
from blockseg.config.values import parse_float, parse_shape, parse_switch

if TYPE_CHECKING:
    from blockseg.core.geometry import Zyx


@dataclass(frozen=True, slots=True)
class SkeletonizeSettings:
    """Settings that decide what ``blockseg skeletonize`` traces."""

    min_length: float = option(
        10.0,
        parse_float(0, 1e9),
        "Shortest length of an object that gets a file. [10]",
        metavar="UM",
        unit="µm",
    )
    """Length of an object's lines below which it gets no file."""

    bridge: float = option(
        0.0,
        parse_float(0, 1e6),
        "Close gaps between ends that point at each other, this long at most where the "
        "image is as bright as can be, half of it where it is dark. [0: none]",
        metavar="UM",
        unit="µm",
    )
    """Greatest cost of a gap that is closed; none is at 0."""

    spacing: float = option(
        1.0,
        parse_float(0, 1e6),
        "Distance of nodes along a line; 0 for one per voxel. [1]",
        metavar="UM",
        unit="µm",
    )
    """Distance of nodes along a line; ends and branch points are nodes anyway."""

    swc_soma: bool = option(
        True,
        parse_switch,
        "Begin an SWC without a soma with a node of type 1, which MorphIO and NeuroM ask "
        "for. [yes]",
        flags=("--swc-soma/--no-swc-soma",),
    )
    """Whether an SWC file of an object without a soma begins with a node of type 1."""

    block: Zyx = option(
        (256, 256, 256),
        parse_shape,
        "Voxels of a block; the result does not depend on it. [256,256,256]",
        metavar="Z,Y,X",
        unit="voxels",
    )
    """Voxels of a block, (z, y, x)."""

    allow_partial: bool = same(LabelSettings, "allow_partial")
    """Whether blocks that the run has not written count as background."""

"""Settings of a synthetic brain, typed and checked once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from blockseg.config.declare import option
from blockseg.config.values import parse_int, parse_shape, parse_text, parse_texts

if TYPE_CHECKING:
    from blockseg.core.geometry import Zyx


@dataclass(frozen=True, slots=True)
class SynthSettings:
    """Settings that decide which brain ``blockseg synth`` makes."""

    shape: Zyx = option(
        (384, 512, 512), parse_shape, "Size in voxels.", metavar="Z,Y,X", unit="voxels"
    )
    """Voxels along (z, y, x)."""

    preset: str = option(
        "fmost", parse_text, "fmost, lightsheet or clean.", metavar="TEXT"
    )
    """Kind of brain."""

    seed: int = option(0, parse_int(0), "Random seed of the brain. [0]", metavar="N")
    """Seed: another one gives another brain of the same kind."""

    swc: tuple[str, ...] = option(
        (),
        parse_texts,
        "Place these real neurons (in µm) instead of procedural ones; repeatable.",
        metavar="FILE|FOLDER",
        several=True,
    )
    """Files and folders of reconstructed neurons to place; procedural ones if empty."""

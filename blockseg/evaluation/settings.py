"""Settings of ``blockseg evaluate``."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from blockseg.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from blockseg.core.geometry import Roi, Zyx
    from blockseg.core.space import Vector

__all__ = [
    "LARGEST_REACH",
    "EvaluateSettings",
    "Tolerance",
    "parse_ignore",
    "parse_snr_bins",
    "parse_tolerance",
]

LARGEST_REACH = 64
"""Voxels of the largest tolerance: blocks are read with as much around them."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Distance that a prediction may lie beside the truth."""

    distance: float
    """Between voxel centres."""

    unit: Literal["voxels", "um"] = "voxels"
    """Voxels of any shape, or micrometres."""

    def __str__(self) -> str:
        return f"{self.distance:g} {'µm' if self.unit == 'um' else 'voxels'}"


@dataclass(frozen=True, slots=True)
class EvaluateSettings:
    """Everything that ``blockseg evaluate`` takes besides PRED and TRUTH."""

    tolerance: Tolerance = Tolerance(2.0)
    """Within which centrelines and voxels still agree."""

    threshold: float | None = None
    """Probability from which a voxel of PRED counts; None: PRED is a mask."""

    label_map: Mapping[int | str, int] | None = None
    """Meaning of values of TRUTH: 0 background, 1 neurite, 255 ignored."""

    ignore: int | Literal["auto", "none"] = "auto"
    """Value of TRUTH that does not count; ``auto``: 255 in 8 bits, else none."""

    roi: Roi | None = None
    """Region to score, in voxels of PRED; all of it if not given."""

    voxel_size: Vector | None = None
    """Edge lengths of a voxel along (z, y, x), in µm; else from PRED's metadata."""

    swc_unit: Literal["um", "voxels"] = "um"
    """Unit of the coordinates of SWC files."""

    snr: str | None = None
    """CSV with the columns label (or branch) and snr, of the labels of TRUTH."""

    snr_bins: tuple[float, ...] = (1.0, 2.0, 4.0)
    """Where bins of SNR meet, rising."""

    block: Zyx | None = None
    """Voxels of a block; from the size of the volume if not given."""

    workers: int | None = None
    """Blocks at a time; one a core, at most 8, if not given."""

    seed: int = 0
    """Seed of the bootstrap."""

    draws: int = 1000
    """Draws of the bootstrap."""


def parse_tolerance(name: str, value: object) -> Tolerance:
    """Return a tolerance: ``2`` voxels, or ``1.5um``.

    Raises
    ------
    ConfigError
        If it is neither, negative or far too large.
    """
    match = re.fullmatch(
        r"\s*(\d+\.?\d*|\.\d+)\s*(um|µm|μm|voxels?)?\s*", str(value).lower()
    )
    if match is None or not math.isfinite(float(match[1])):
        message = f"--{name} {value!s}: expected voxels, as in 2, or as in 1.5um"
        raise ConfigError(message)
    unit = match[2] or "voxels"
    return Tolerance(float(match[1]), "voxels" if unit.startswith("voxel") else "um")


def parse_ignore(name: str, value: object) -> int | Literal["auto", "none"]:
    """Return a label, ``auto`` or ``none``.

    Raises
    ------
    ConfigError
        If it is none of these.
    """
    text = str(value).strip().lower()
    if text == "auto":
        return "auto"
    if text == "none":
        return "none"
    try:
        return int(text)
    except ValueError:
        message = f"--{name} {value!s}: expected a label, auto or none"
        raise ConfigError(message) from None


def parse_snr_bins(name: str, value: object) -> tuple[float, ...]:
    """Return where bins meet: ``1,2,4``.

    Raises
    ------
    ConfigError
        If the numbers do not rise.
    """
    wanted = f"--{name} {value!s}: expected rising numbers, as in 1,2,4"
    try:
        edges = tuple(float(part) for part in str(value).split(","))
    except ValueError:
        raise ConfigError(wanted) from None
    rising = all(a < b for a, b in pairwise(edges))
    if not rising or not all(math.isfinite(edge) for edge in edges):
        raise ConfigError(wanted)
    return edges

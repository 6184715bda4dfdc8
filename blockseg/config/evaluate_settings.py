"""Settings of ``blockseg evaluate``."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from blockseg.config.declare import option
from blockseg.config.values import (
    MOST_PROCESSES,
    parse_choice,
    parse_float,
    parse_int,
    parse_label_map,
    parse_roi,
    parse_shape,
    parse_text,
    parse_vector,
)
from blockseg.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from blockseg.core.geometry import Roi, Zyx
    from blockseg.core.space import Vector


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Distance that a prediction may lie beside the truth."""

    distance: float
    """Between voxel centres."""

    unit: Literal["voxels", "um"] = "voxels"
    """Voxels of any shape, or micrometres."""

    def __str__(self) -> str:
        return f"{self.distance:g} {'µm' if self.unit == 'um' else 'voxels'}"


def _tolerance(name: str, value: object) -> Tolerance:
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


def _ignore(name: str, value: object) -> int | Literal["auto", "none"]:
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


def _snr_bins(name: str, value: object) -> tuple[float, ...]:
    """Return the edges of bins: ``1,2,4``.

    Raises
    ------
    ConfigError
        If the numbers do not rise.
    """
    problem = f"--{name} {value!s}: expected rising numbers, as in 1,2,4"
    try:
        edges = tuple(float(part) for part in str(value).split(","))
    except ValueError:
        raise ConfigError(problem) from None
    rising = all(a < b for a, b in pairwise(edges))
    if not rising or not all(math.isfinite(edge) for edge in edges):
        raise ConfigError(problem)
    return edges


@dataclass(frozen=True, slots=True)
class EvaluateSettings:
    """Everything that ``blockseg evaluate`` takes besides PRED and TRUTH."""

    tolerance: Tolerance = option(
        Tolerance(2.0),
        _tolerance,
        "Tolerance in voxels, or as in 1.5um. [2]",
        metavar="R",
        unit="voxels",
    )
    """Within which centrelines and voxels still agree."""

    threshold: float | None = option(
        None,
        parse_float(1 / 255, 1.0),
        "Threshold of a probability; else PRED is a mask.",
        metavar="P",
    )
    """Probability from which a voxel of PRED counts; None: PRED is a mask."""

    label_map: Mapping[int | str, int] | None = option(
        None, parse_label_map, "TO: 0, 1 or 255 (ignored).", metavar="FROM:TO,…"
    )
    """Meaning of values of TRUTH: 0 background, 1 neurite, 255 ignored."""

    ignore: int | Literal["auto", "none"] = option(
        "auto", _ignore, "Label that does not count, or none.", metavar="N"
    )
    """Value of TRUTH that does not count; ``auto``: 255 in 8 bits, else none."""

    roi: Roi | None = option(
        None,
        parse_roi,
        "Region to score, in voxels of PRED.",
        metavar="Z:Z,Y:Y,X:X",
        unit="voxels",
    )
    """Region to score, in voxels of PRED; all of it if not given."""

    voxel_size: Vector | None = option(
        None,
        parse_vector,
        "In µm; else from the metadata.",
        metavar="Z,Y,X",
        unit="µm",
    )
    """Edge lengths of a voxel along (z, y, x), in µm; else from PRED's metadata."""

    swc_unit: Literal["um", "voxels"] = option(
        "um", parse_choice("um", "voxels"), "um or voxels. [um]", metavar="UNIT"
    )
    """Unit of the coordinates of SWC files."""

    snr: str | None = option(
        None, parse_text, "Table label,snr for the labels of TRUTH.", metavar="CSV"
    )
    """CSV with the columns label (or branch) and snr, of the labels of TRUTH."""

    snr_bins: tuple[float, ...] = option(
        (1.0, 2.0, 4.0), _snr_bins, "Edges of the SNR bins. [1,2,4]", metavar="A,B,…"
    )
    """Edges of the bins of SNR, rising."""

    block: Zyx | None = option(
        None,
        parse_shape,
        "Unit of work, in voxels. [auto]",
        metavar="Z,Y,X",
        unit="voxels",
    )
    """Voxels of a block; from the size of the volume if not given."""

    workers: int | None = option(
        None, parse_int(1, MOST_PROCESSES), "Blocks at a time. [cores]", metavar="N"
    )
    """Blocks at a time; one a core, at most 8, if not given."""

    seed: int = option(0, parse_int(0), "Random seed of the bootstrap.", metavar="N")
    """Seed of the bootstrap."""

    draws: int = 1000
    """Draws of the bootstrap."""

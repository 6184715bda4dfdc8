"""Settings of ``blockseg preview``."""

from __future__ import annotations

from dataclasses import dataclass

from blockseg.config.declare import option
from blockseg.config.values import parse_float, parse_int


@dataclass(frozen=True, slots=True)
class PreviewSettings:
    """How a picture is drawn."""

    percentile: float = option(
        99.8,
        parse_float(50.1, 100.0),
        "Grey levels from this percentile on are white. [99.8]",
        metavar="P",
    )
    """Percentile of a projection of the image that is white; black is its median."""

    gamma: float = option(
        0.7,
        parse_float(0.05, 10.0),
        "Power of what lies between; below 1 lifts what is faint. [0.7]",
        metavar="G",
    )
    """Power of the grey levels between."""

    slabs: int | None = option(
        None,
        parse_int(0, 16),
        "Thin slabs along z beside the projections; 0 for none. [auto]",
        metavar="N",
    )
    """Thin slabs along z; four where the projected mask covers a fifth of the picture or
    more, if not given."""

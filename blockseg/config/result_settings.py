"""Settings of ``blockseg threshold`` and ``blockseg preview``."""

from __future__ import annotations

from dataclasses import dataclass

from blockseg.config.declare import option
from blockseg.config.values import parse_float, parse_int, parse_switch


@dataclass(frozen=True, slots=True)
class ThresholdSettings:
    """Everything that ``blockseg threshold`` takes besides OUT and the threshold."""

    min_size: int | None = option(
        None,
        parse_int(0),
        "Then label, and leave smaller objects out of the clean mask.",
        metavar="N",
        unit="voxels",
    )
    """Voxels that an object of ``labels/foreground_clean`` has at least; nothing is
    labelled if not given."""

    metrics: bool = option(
        True,
        parse_switch,
        "Count metrics anew, which reads the image; else drop them. [on]",
        flags=("--metrics/--no-metrics",),
    )
    """Count the metrics of cubes anew, for which the image is read; otherwise they are
    left out, as by ``run --no-metrics``."""


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

"""Settings of ``blockseg threshold``."""

from __future__ import annotations

from dataclasses import dataclass

from blockseg.config.declare import option
from blockseg.config.values import parse_int, parse_switch


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

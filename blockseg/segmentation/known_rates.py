"""Speed of the network on CPUs that were measured before, for a plan without a trial."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from blockseg.core.untrusted.json_text import parse_json
from blockseg.inference.processor import maker_of_wide_vectors, processor

if TYPE_CHECKING:
    from blockseg.blockwise.planning.decisions import Decisions
    from blockseg.networks.weights_info import WeightsInfo

START_SECONDS = 3.0
"""Seconds until workers are ready: 1.7 to 4.8 in the runs of the table."""

_NARROW = ""


@dataclass(frozen=True, slots=True)
class KnownRate:
    """Estimate for this machine, by another like it."""

    voxels_per_second: float
    """Voxels that the windows of one engine write in a second; 0 if nothing is known."""

    start_seconds: float = 0.0
    """Seconds until the first block: command, workers, engine."""

    source: str = ""
    """Machine that was measured, for a human."""


def known_rate(decisions: Decisions, info: WeightsInfo) -> KnownRate:
    """Return the rough speed of an engine, by the table that comes with blockseg.

    The table has whole runs on a few kinds of CPU; the one most like this machine's is
    scaled by the network's multiply-adds and by the threads of an engine.

    Parameters
    ----------
    decisions
        Engine, window, precision and threads.
    info
        Network.
    """
    table = _table()
    beside = table["backends"].get(decisions.backend)
    if beside is None or decisions.device != "cpu":
        return KnownRate(0.0)
    row = _row(table["runs"], decisions.precision)
    from blockseg.networks.cost import multiply_adds

    window = decisions.window
    each = multiply_adds(info.architecture, info.width, window) / math.prod(window)
    rate = row["multiply_adds_a_core"] * beside["speed_beside_llvm"]
    return KnownRate(
        rate * decisions.threads / each,
        row["start_seconds"] + beside["build_seconds"],
        row["processor"],
    )


def _row(rows: list[dict[str, Any]], precision: str) -> dict[str, Any]:
    """Return the row of the kind of CPU that is most like this one."""
    maker = maker_of_wide_vectors()
    wanted = (precision, processor().bfloat16 if precision == "bfloat16" else "")
    of_kind = [row for row in rows if (row["precision"], row["instructions"]) == wanted]
    of_kind = of_kind or [row for row in rows if row["precision"] == "float32"]
    same = [row for row in of_kind if row["maker_of_wide_vectors"] == maker]
    slow = [row for row in of_kind if row["maker_of_wide_vectors"] == _NARROW]
    return (same or slow or of_kind)[0]


@cache
def _table() -> dict[str, Any]:
    text = files("blockseg.segmentation").joinpath("rates.json").read_text("utf-8")
    table: dict[str, Any] = parse_json(text)
    return table

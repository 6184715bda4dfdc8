"""Windows that cover scattered cubes with the least work."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.cubes import TILE
from blockseg.core.geometry import Roi, to_zyx
from blockseg.core.specs import array_type
from blockseg.inference.cover import cover
from blockseg.inference.window_memory import window_memory

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.blockwise.planning.decisions import Decisions
    from blockseg.blockwise.sources.inputs import Inputs
    from blockseg.core.geometry import Zyx
    from blockseg.segmentation.sparse.survey import Survey

_EDGES = tuple(TILE * n for n in (1, 2, 3, 4, 8))  # of windows, in voxels
_COUNTED = 24  # groups at most
_CALL = 50_000
"""Voxels of work that calling an engine costs beside: a window of 16³ takes as long as
that and its own (OpenVINO, one core)."""

_LOOK = 0.1
"""Voxels of work that it costs to look at a voxel, and to read it once more (own kernels
in float32: 2.5 s of a core for 67 million voxels, of which they compute 3 million a second)."""

_WORTH = 0.8
"""Share of the work without, up to which skipping pays: estimates of it are a fifth off."""


@dataclass(frozen=True, slots=True)
class Cover:
    """Windows over what is not skipped."""

    window: Zyx
    """Voxels that one inference writes."""

    computed: float
    """Voxels that they write for each voxel of the volume."""

    pays: bool
    """Whether they are less work than windows over all of it."""


def cheapest_window(
    survey: Survey, threshold: float | None, inputs: Inputs, decisions: Decisions
) -> Cover:
    """Return the windows that cover what is left with the least work.

    A larger window computes less margin, and more that is empty: how many are needed
    is counted on the groups of cubes that were looked at, or on some of them.

    Parameters
    ----------
    survey
        Has looked at them.
    threshold
        Score up to which a tile is skipped; None for those outside of the tissue.
    inputs, decisions
        Of the run as it would be if nothing were skipped.
    """
    margin = inputs.field.margin
    least = -math.inf if threshold is None else threshold
    left = [group.tiles > least for group in survey.groups]
    occupied = [tiles for tiles in left if tiles.any()]
    every = -(-len(occupied) // _COUNTED)
    itemsize = np.dtype(array_type(decisions.precision)).itemsize

    def work(window: Zyx) -> float:
        return math.prod(n + 2 * margin for n in window) + _CALL

    def memory(window: Zyx) -> int:
        return window_memory(window, decisions.backend, itemsize, inputs.info)

    allowed = max(memory(decisions.window), memory((TILE,) * 3))
    voxels = TILE**3 * sum(tiles.size for tiles in left)
    counted = occupied[:: every or 1]
    scale = len(occupied) / max(len(counted), 1)
    shapes = [
        shape
        for shape in map(to_zyx, product(_EDGES, repeat=3))
        if memory(shape) <= allowed
    ]
    best = (math.inf, (TILE,) * 3, 0)
    # Counting windows takes a second in all; most can be told to be no better before.
    for fewest, shape in sorted((_fewest(counted, n) * work(n), n) for n in shapes):
        if fewest > best[0]:
            break
        needed = sum(_needed(tiles, shape) for tiles in counted)
        best = min(best, (needed * work(shape), shape, needed))
    total, window, needed = best
    exhaustive = work(decisions.window) / math.prod(decisions.window) * voxels
    return Cover(
        window,
        computed=needed * scale * math.prod(window) / max(voxels, 1),
        pays=total * scale + _LOOK * voxels < _WORTH * exhaustive,
    )


def _fewest(groups: list[NDArray[np.bool_]], window: Zyx) -> int:
    """Return a number of windows that no cover of all groups falls below."""
    held = math.prod(n // TILE for n in window)
    return sum(-(-int(tiles.sum()) // held) for tiles in groups)


def _needed(tiles: NDArray[np.bool_], window: Zyx) -> int:
    """Count the windows that it takes to cover a group."""
    spans = to_zyx(n // TILE for n in window)
    return sum(1 for _ in cover(tiles, Roi.whole(tiles.shape), spans, 1))

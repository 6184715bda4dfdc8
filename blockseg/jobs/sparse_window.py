"""Choose the windows that cover scattered cubes with the least work."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.geometry import to_zyx
from blockseg.model import window_memory

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx
    from blockseg.jobs.decisions import Decisions
    from blockseg.jobs.inputs import Inputs
    from blockseg.jobs.sparse_survey import Survey

__all__ = ["Cover", "cheapest_window"]


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
    survey: Survey, bound: float | None, inputs: Inputs, decisions: Decisions
) -> Cover:
    """Return windows of one or two cubes an axis that cover what is left.

    A larger window computes less margin, and more that is empty: how many are needed
    is counted on the groups of cubes that were looked at.

    Parameters
    ----------
    survey
        Has looked at them.
    bound
        Evidence up to which a cube is skipped; None for those outside of the tissue.
    inputs, decisions
        Of the run as it would be if nothing were skipped.
    """
    margin, edge = inputs.field.margin, survey.edge
    least = -math.inf if bound is None else bound
    occupied = [values > least for _, values in survey.groups]
    itemsize = np.dtype(decisions.precision).itemsize

    def work(window: Zyx) -> float:
        return math.prod(n + 2 * margin for n in window)

    def memory(window: Zyx) -> int:
        return window_memory(window, decisions.backend, itemsize, inputs.info)

    small = (edge,) * 3
    allowed = max(memory(decisions.window), memory(small))
    choices = {}
    for spans in product((1, 2), repeat=3):
        window = to_zyx(edge * n for n in spans)
        if memory(window) <= allowed:
            choices[window] = sum(_needed(part, to_zyx(spans)) for part in occupied)
    window = min(choices, key=lambda shape: (choices[shape] * work(shape), shape))
    voxels = edge**3 * sum(group.size for group in occupied)
    exhaustive = work(decisions.window) / math.prod(decisions.window) * voxels
    return Cover(
        window,
        computed=choices[window] * math.prod(window) / max(voxels, 1),
        pays=choices[window] * work(window) < exhaustive,
    )


def _needed(occupied: NDArray[np.bool_], spans: Zyx) -> int:
    """Count the boxes of ``spans`` cubes that it takes to cover a group."""
    for axis, span in enumerate(spans):
        cuts = np.arange(0, occupied.shape[axis], span)
        occupied = np.logical_or.reduceat(occupied, cuts, axis=axis)
    return int(np.count_nonzero(occupied))

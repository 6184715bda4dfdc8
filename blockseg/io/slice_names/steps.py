"""Numbers of slices as planes of a volume: their step, and which are missing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_JITTER = 0.25  # of a step; positions of a stage vary so much
_SPARSEST = 3  # times as many planes as numbers, and they still show their step

_LONG = 2**62


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """Equal steps that numbers go in."""

    step: float
    """Difference of the numbers of neighbouring planes."""

    planes: NDArray[np.int64] = field(repr=False)
    """Plane of each number, from 0, ascending."""

    @property
    def missing(self) -> int:
        """Planes between the first and the last that no number stands for."""
        return int(self.planes[-1]) + 1 - len(self.planes)


def steps_of(numbers: Sequence[int]) -> Steps | None:
    """Return the steps of numbers: the most frequent difference; None if there are none.

    Parameters
    ----------
    numbers
        Ascending, each once.
    """
    if len(numbers) < 3:
        step = float(numbers[-1] - numbers[0]) if len(numbers) == 2 else 1.0
        return Steps(step, np.arange(len(numbers), dtype=np.int64))
    # As floats only after the difference: times in nanoseconds need all their digits.
    exact = np.array(
        numbers,
        dtype=np.int64 if max(-numbers[0], numbers[-1]) < _LONG else object,
    )
    gaps = np.diff(exact).astype(np.float64)
    sizes, counts = np.unique(gaps, return_counts=True)
    for place in (int(counts.argmax()), 0):  # the most frequent, then the smallest
        step, often = float(sizes[place]), int(counts[place])
        found = _in_steps(gaps, step) if often >= 2 or step == 1 else None
        if found is None:
            continue
        crowded = _SPARSEST * len(numbers) >= found.planes[-1] + 1
        if crowded or 2 * often >= len(gaps):
            return found
    typical = gaps[gaps <= 1.5 * np.median(gaps)].mean()
    found = _in_steps(gaps, float(typical), off=1 if typical > 2 else 0)
    if found is not None and 2 * np.count_nonzero(np.diff(found.planes) == 1) >= len(
        gaps
    ):
        return found
    return None


def _in_steps(gaps: NDArray[np.float64], step: float, off: float = 0) -> Steps | None:
    """Return the steps unless a gap is off by more than jitter, and ``off`` by rounding."""
    whole = np.rint(gaps / step)
    if whole.min() < 1 or np.abs(gaps - whole * step).max() > max(_JITTER * step, off):
        return None
    planes = np.concatenate([[0], np.cumsum(whole)]).astype(np.int64)
    return Steps(step, planes)

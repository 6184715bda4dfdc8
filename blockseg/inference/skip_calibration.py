"""Calibration of the score below which a tile counts as empty, on inferred cubes.

A tile is lost with all that it holds. How far the estimate may lie from the truth is found
by a bootstrap over cubes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

LOSS = 0.001
"""Largest share of the foreground that may be lost."""

CONFIDENCE = 0.95
"""With which it is not more."""

FEWEST = 6
"""Inferred cubes with foreground below which nothing is known of how much there is.

The median of what such cubes hold lies within the range of six of them with a
probability of 1 - 2/2⁶ = 97 %; of five, of 94 %.
"""

SURE = 8
"""Inferred cubes with foreground from which on a threshold may be clear.

Of eight, one belongs to the fainter third of such cubes with a probability of
1 - (2/3)⁸ = 96 %.
"""

_CLEAR = 0.4  # of the score of the faintest component of foreground
_UNSEEN = 8  # voxels: the shortest piece of foreground that counts
_LOWER = 20  # thresholds to try below what any inferred cube shows

_REPLICATES = 2000
_SEED = 20


@dataclass(frozen=True, slots=True, eq=False)
class Inferred:
    """A cube that was inferred to see what it holds."""

    score: float
    """Score of the cube."""

    tiles: NDArray[np.float32]
    """Score of each of its tiles that holds anything, at most the cube's."""

    foreground: NDArray[np.int64]
    """Voxels in each of these tiles; components too short to be a neurite's do not count."""

    specks: NDArray[np.int64]
    """Voxels of those components in each of these tiles."""

    stratum: int
    """Number of the stratum that the cube was drawn from."""

    faintest: float = math.inf
    """The least of what its components show where they show most; infinite if
    there is none."""

    def lost(self, thresholds: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the voxels in tiles that show no more than each threshold."""
        order = np.argsort(self.tiles)
        added = np.concatenate([[0], np.cumsum(self.foreground[order])])
        return np.asarray(
            added[np.searchsorted(self.tiles[order], thresholds, "right")], float
        )


@dataclass(frozen=True, slots=True)
class SkipCalibration:
    """A threshold, and what it is expected to cost."""

    threshold: float | None
    """Largest score of an empty tile; None if no threshold keeps the loss down."""

    lost: float
    """Estimated share of the foreground in tiles up to the threshold."""

    at_most: float
    """The same, with 95 % confidence."""

    with_foreground: int
    """Inferred cubes with any foreground."""

    specks: float = 0.0
    """Estimated voxels in specks in tiles up to the threshold, over the foreground in all."""

    clear: bool = False
    """Whether the threshold is far below all foreground, so that more cubes tell little."""


def choose_threshold(
    cubes: Sequence[Inferred], sizes: Sequence[float], loss: float = LOSS
) -> SkipCalibration:
    """Return the largest threshold whose loss is small enough with 95 % confidence.

    Candidates are the scores of the inferred cubes, and some below the least of them.
    Foreground in all is the sum over strata of their sizes times
    the mean of their cubes. What is lost is the larger of this sum and of the mean over
    all inferred cubes, as if it were as frequent everywhere as where cubes were drawn
    most, and one more cube had been inferred that loses the shortest piece that counts, 8
    voxels: none seen is not none there. Only a threshold below 0.4 of what every component shows somewhere, in at
    least eight cubes, does without that cube.

    The percentile bootstrap (B. Efron and R. Tibshirani, *An Introduction to the
    Bootstrap*, 1993, chapter 13) draws in each stratum one cube fewer than were
    inferred, which makes up for small strata (J. Rao and C. Wu, *JASA* 83, 1988, 231),
    and always the same ones.

    Parameters
    ----------
    cubes
        Inferred, in any order.
    sizes
        Cubes in each stratum of the volume.
    loss
        Largest share of the foreground that may be lost.
    """
    held = np.array([cube.foreground.sum() for cube in cubes], float)
    counted = int(np.count_nonzero(held))
    if counted < FEWEST:
        return SkipCalibration(None, 0.0, 0.0, counted)
    thresholds = _candidates(cubes)
    faint = np.array([cube.lost(thresholds) for cube in cubes])
    drawn, weight = _draws(np.array([cube.stratum for cube in cubes]), sizes)
    weighted = drawn * weight
    total = (weighted @ held)[:, None]
    clear = np.zeros(len(thresholds), bool)
    if counted >= SURE:
        clear = thresholds < _CLEAR * min(cube.faintest for cube in cubes)
    unseen = np.where(clear, 0, 1)
    found = drawn @ faint + unseen * _UNSEEN
    more = found / (drawn.sum(1, keepdims=True) + unseen)
    lost = np.maximum(weighted @ faint, sum(sizes) * more)
    share = np.divide(lost, total, out=np.ones_like(lost), where=total > 0)
    upper = np.quantile(share[1:], CONFIDENCE, axis=0)
    fine = np.flatnonzero(upper <= loss)
    if not len(fine):
        return SkipCalibration(None, 0.0, 0.0, counted)
    last = fine[-1]
    specks = np.array(
        [cube.specks[cube.tiles <= thresholds[last]].sum() for cube in cubes]
    )
    return SkipCalibration(
        float(thresholds[last]),
        float(share[0, last]),
        loss if clear[last] else float(upper[last]),
        counted,
        float(weighted[0] @ specks / total[0, 0]),
        bool(clear[last]),
    )


def _candidates(cubes: Sequence[Inferred]) -> NDArray[np.float32]:
    """Return thresholds to try, from the lowest.

    Tiles show less than the cube that they lie in, so lower ones than any cube's help too.
    """
    whole = np.array([cube.score for cube in cubes], np.float32)
    shown = whole[whole > -np.inf]
    if not len(shown):
        return np.unique(whole)
    lower = np.linspace(0, shown.min(), _LOWER, dtype=np.float32)
    return np.unique(np.concatenate([whole, lower]))


def _draws(
    stratum: NDArray[np.int64], sizes: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how often each cube is drawn: once as it was, then in each replicate.

    Times the second array, this is how many cubes of the volume it stands for.
    """
    rng = np.random.default_rng(_SEED)
    drawn = np.ones((_REPLICATES + 1, len(stratum)))
    weight = np.ones(len(stratum))
    for number, size in enumerate(sizes):
        members = np.flatnonzero(stratum == number)
        count = len(members)
        if not count:
            continue
        weight[members] = size / count
        if 1 < count < size:
            again = rng.multinomial(
                count - 1, np.full(count, 1 / count), size=_REPLICATES
            )
            drawn[1:, members] = again * (count / (count - 1))
    return drawn, weight

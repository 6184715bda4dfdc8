"""Selection of representative blocks by greedy facility location, lazily evaluated.

The value of picks S is the mean over reference blocks of their likeness to the pick
that is most like them, plus a weight times the mean of the picks' own worth:

    f(S) = 1/R · Σ_i max_{j ∈ S} k(i, j) + λ/N · Σ_{j ∈ S} h_j

f is monotone and submodular, so that greedy picks reach 1 − 1/e of the best value at
least (Nemhauser, Wolsey and Fisher 1978), and what a block adds never grows: most need
not be looked at again (Minoux 1978).

All sums are of whole numbers, so that the picks depend on neither the machine, its
threads nor the order of the blocks in a sum.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_STEPS = 32  # of a standardised feature, one SD
_FARTHEST = 8  # SDs; what lies farther out is as far
_LIKENESS = 2**20  # of a block to itself
_CHUNK = 2**18  # likenesses at a time
_BATCH = 32  # blocks looked at again at a time


def standardised(columns: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return features with mean 0 and SD 32, as whole numbers.

    Parameters
    ----------
    columns
        Shape (n, k). What is not known takes the median; a feature that is the same
        everywhere is 0; beyond 8 SDs values are cut.
    """
    result = np.zeros(columns.shape, np.int64)
    for k, column in enumerate(columns.T):
        known = np.isfinite(column)
        if not known.any():
            continue
        filled = np.where(known, column, np.median(column[known]))
        spread = filled.std()
        if spread <= 1e-9 * max(1.0, float(np.abs(filled).max())):
            continue
        scaled = (filled - filled.mean()) / spread
        # Rounded twice: the last bit of a mean must not decide a step.
        steps = np.rint(np.round(scaled, 6) * _STEPS)
        result[:, k] = np.clip(steps, -_FARTHEST * _STEPS, _FARTHEST * _STEPS)
    return result


class Cover:
    """Quality of picks as stand-ins for reference blocks.

    Likeness is 1 / (1 + 4 d² / K), d² the squared distance of two blocks in K features
    in SDs: 1 for equal blocks, about 0.1 for two that have nothing to do with each other.

    Parameters
    ----------
    points
        Features of all blocks, shape (n, K), from :func:`standardised`.
    references
        Numbers of the blocks to stand for, shape (R,), R at least 1.
    """

    def __init__(
        self, points: NDArray[np.int64], references: NDArray[np.int64]
    ) -> None:
        # Whole numbers below 2²⁴ are exact in float32, and BLAS is fast: 32 steps an SD
        # and 8 SDs leave room for 64 features.
        self._points = points.astype(np.float32)
        self._norms = np.einsum("ik,ik->i", self._points, self._points)
        self._references = np.ascontiguousarray(self._points[references].T)
        self._reference_norms = self._norms[references]
        self._width = np.float32(_STEPS**2 * max(points.shape[1], 1) / 4)
        self._best = np.zeros(len(references), np.float32)

    @property
    def value(self) -> float:
        """Mean likeness of the references to their best pick, 0 to 1."""
        total = self._best.sum(dtype=np.float64)
        return float(total / (_LIKENESS * len(self._best)))

    def gains(self, blocks: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the gain in :attr:`value` from each block, shape (blocks,)."""
        total = np.zeros(len(blocks))
        step = max(_CHUNK // len(self._best), 1)
        for at in range(0, len(blocks), step):
            found = self._likeness(blocks[at : at + step])
            found -= self._best
            np.maximum(found, 0, out=found)
            total[at : at + step] = found.sum(axis=1, dtype=np.float64)
        return total / (_LIKENESS * len(self._best))

    def add(self, block: int) -> None:
        """Add a block to the picks."""
        found = self._likeness(np.array([block]))[0]
        np.maximum(self._best, found, out=self._best)

    def _likeness(self, blocks: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return whole numbers up to 2²⁰, shape (blocks, R)."""
        distance = self._points[blocks] @ self._references
        distance *= -2
        distance += self._norms[blocks, None]
        distance += self._reference_norms
        distance += self._width
        np.divide(np.float32(_LIKENESS) * self._width, distance, out=distance)
        return np.asarray(np.floor(distance, out=distance))


def lazy_greedy(
    cover: Cover,
    pool: NDArray[np.int64],
    worth: NDArray[np.float64],
    count: int,
    blocked: Callable[[int], NDArray[np.int64]],
) -> list[tuple[int, float]]:
    """Pick blocks one by one, each the one that adds most; equals go by their number.

    Parameters
    ----------
    cover
        Cover of earlier picks; takes the new ones.
    pool
        Numbers of the blocks to choose from, ascending.
    worth
        Worth of each by itself, shape (pool,).
    count
        Picks at most.
    blocked
        Called with each pick; returns the places in the pool of those that may not be
        picked any more. The pick itself never comes again.

    Returns
    -------
    list
        Number of each pick and what it added to the cover, in the order of picking.
    """
    if not len(pool) or count < 1:
        return []
    gain = cover.gains(pool)
    seen = np.zeros(len(pool), np.int64)  # at how many picks the gain was worked out
    # Picked or blocked: -inf. No gain ever grows, so these are upper bounds.
    upper_bound = gain + worth
    picks: list[tuple[int, float]] = []
    while len(picks) < count:
        best = int(np.argmax(upper_bound))
        if upper_bound[best] == -np.inf:
            break
        if seen[best] < len(picks):
            again = _stale(upper_bound, seen, len(picks))
            gain[again] = cover.gains(pool[again])
            seen[again] = len(picks)
            upper_bound[again] = gain[again] + worth[again]
            continue
        picks.append((int(pool[best]), float(gain[best])))
        cover.add(int(pool[best]))
        upper_bound[best] = -np.inf
        upper_bound[blocked(int(pool[best]))] = -np.inf
    return picks


def _stale(
    upper_bound: NDArray[np.float64], seen: NDArray[np.int64], now: int
) -> NDArray[np.int64]:
    """Return those of the highest bounds that were worked out before the last pick."""
    most = min(_BATCH, len(upper_bound))
    top = np.argpartition(upper_bound, -most)[-most:]
    best = int(np.argmax(upper_bound))  # among equals the partition may miss it
    top = np.union1d(top, [best])
    return top[(seen[top] < now) & (upper_bound[top] > -np.inf)]

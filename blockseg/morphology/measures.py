"""The measures, from counts; and their confidence intervals over blocks.

One table of formulas serves the value and every draw of the bootstrap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from blockseg.morphology.surface import SURFACE_BINS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

_GROUPS = (
    ("voxel_precision", "voxel_recall", "voxel_dice"),
    ("near_precision", "near_recall", "near_f1"),
    ("centreline_precision", "centreline_recall", "centreline_f1"),
    ("topology_precision", "topology_sensitivity", "cl_dice"),
    ("precision_in_plane", "recall_in_plane", "f1_in_plane"),
)
OF_PLANES = (*_GROUPS[-1], "recall_3d", "misses_painted_beside")
"""Measures of a truth that is known in single planes."""

OF_SURFACES = ("surface_mean", "surface_95")
"""Measures of a truth that is known in 3-D."""

_HEAD = 5  # counts before those of the groups, see BlockScores.row
_BATCH = 2**22


@dataclass(frozen=True, slots=True)
class Measure:
    """One number that says how good a segmentation is."""

    name: str
    """For machines: ``centreline_f1``, ``snr_recall_1``, ..."""

    value: float
    """NaN where there is nothing to measure."""

    low: float
    """Lower end of the 95 % confidence interval; NaN if there is none."""

    high: float
    """Upper end; NaN if there is none."""


def measures(counts: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """Return every measure of counts that were added up.

    Parameters
    ----------
    counts
        Rows of :meth:`BlockScores.row`, or sums of such, shape (..., k).

    Returns
    -------
    Arrays of shape (...) by name. As in :class:`Agreement`, the precision of no
    prediction and the recall of no truth are 1; the recall of an SNR bin without
    truth, the share of no background or no misses, the distance of no surface are NaN. F1 of a bin takes its precision from the whole.
    """
    c = np.asarray(counts)
    found: dict[str, NDArray[np.float64]] = {}
    for k, names in enumerate(_GROUPS):
        p, right, t, hit = (c[..., _HEAD + 4 * k + i] for i in range(4))
        precision, recall = share_of(right, p, 1.0), share_of(hit, t, 1.0)
        rates = (precision, recall, _harmonic(precision, recall))
        found |= dict(zip(names, rates, strict=True))
    found["betti0_error_a_block"] = share_of(c[..., 4], c[..., 1], np.nan)
    known, voxels, first = c[..., 0], _HEAD, _HEAD + 4 * len(_GROUPS)
    background = known - c[..., voxels + 2]
    painted = c[..., voxels] - c[..., voxels + 1]
    found["painted_share"] = share_of(painted, background, np.nan)
    true, hit, beside = c[..., first - 2], c[..., first - 1], c[..., first]
    found["recall_3d"] = share_of(hit + beside, true, 1.0)
    found["misses_painted_beside"] = share_of(beside, true - hit, np.nan)
    first += 1
    found |= _of_surfaces(c[..., first : first + SURFACE_BINS])
    first += SURFACE_BINS
    for k in range((c.shape[-1] - first) // 2):
        recall = share_of(c[..., first + 2 * k + 1], c[..., first + 2 * k], np.nan)
        found[f"snr_recall_{k}"] = recall
        found[f"snr_f1_{k}"] = _harmonic(found["centreline_precision"], recall)
    return found


def _of_surfaces(counts: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """Return mean and 95th percentile of distances of which the squares were counted."""
    number = counts.sum(axis=-1)
    distance = np.sqrt(np.arange(SURFACE_BINS))
    mean = share_of(counts @ distance, number, np.nan)
    # The least distance within which 95 % lie, in whole numbers.
    enough = 100 * np.cumsum(counts, axis=-1) >= 95 * number[..., None]
    last = np.where(number > 0, distance[enough.argmax(axis=-1)], np.nan)
    return dict(zip(OF_SURFACES, (mean, np.asarray(last)), strict=True))


def measure(
    rows: NDArray[np.int64], *, draws: int = 1000, seed: int = 0
) -> tuple[Measure, ...]:
    """Return every measure with its confidence interval over blocks.

    Blocks are drawn with replacement, as many as there are, and the measures are
    taken of the sums: the percentile bootstrap (B. Efron, R. Tibshirani, An
    Introduction to the Bootstrap, 1993, chapter 13).

    Parameters
    ----------
    rows
        One row of :meth:`BlockScores.row` a block, shape (blocks, k).
    draws
        How often.
    seed
        Of the draws: the same seed gives the same interval.
    """
    values = measures(rows.sum(axis=0))
    if len(rows) < 2:
        return tuple(
            Measure(name, float(value), np.nan, np.nan)
            for name, value in values.items()
        )
    sums = np.concatenate(list(_resampled(rows, draws, np.random.default_rng(seed))))
    drawn = measures(sums)
    return tuple(
        Measure(name, float(value), *_ends(drawn[name]))
        for name, value in values.items()
    )


def _resampled(
    rows: NDArray[np.int64], draws: int, rng: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """Yield sums over blocks drawn with replacement, some draws at a time."""
    n = len(rows)
    step = max(1, _BATCH // n)
    for first in range(0, draws, step):
        now = min(step, draws - first)
        weights = rng.multinomial(n, np.full(n, 1 / n), size=now)
        yield weights @ rows


def _ends(values: NDArray[np.float64]) -> Sequence[float]:
    known = values[~np.isnan(values)]
    if not len(known):
        return (np.nan, np.nan)
    low, high = np.percentile(known, (2.5, 97.5))
    return (float(low), float(high))


def share_of(
    part: NDArray[np.number], whole: NDArray[np.number], otherwise: float
) -> NDArray[np.float64]:
    """Return part over whole, both of one shape, and ``otherwise`` where whole is 0."""
    share = np.full(np.shape(whole), otherwise, np.float64)
    np.divide(part, whole, out=share, where=np.asarray(whole) > 0)
    return share


def _harmonic(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    total = np.asarray(a + b)
    mean = np.where(np.isnan(total), np.nan, 0.0)
    np.divide(2 * a * b, total, out=mean, where=total > 0)
    return mean

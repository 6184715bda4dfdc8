"""Metrics of cubes and of boxes of cubes, by which blocks for annotation are picked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from blockseg.morphology.measures import share_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from blockseg.dhpr.cubes import CubeTable

Flavour: TypeAlias = Literal["extended", "published"]

DHPR_METRICS: Mapping[str, str] = {
    "density": "signal density D: foreground over what a full block has, 0 to 1",
    "level": "background level m, in grey levels; NaN without background",
    "sd": "noise SD s of the background, in grey levels; NaN without background",
    "low_snr": "low-SNR ratio L: share of F+ less than 4 noise SDs bright; NaN without F+",
    "snr_10": "SNR that 10 % of F+ stay below; NaN without F+",
    "snr_50": "median SNR of F+; NaN without F+",
    "snr_90": "SNR that 10 % of F+ exceed; NaN without F+",
    "entropy": "U: mean binary entropy of p on F+, in bits; NaN without F+ or a network",
    "fragmentation": "G: components of F per 100 voxels of its centreline; NaN without F",
    "foreground": "|F|: voxels with a probability of at least the threshold",
    "foreground_plus": "|F+|: voxels of F and those linked to them at a probability of 0.2",
    "saturated": "share of voxels at the camera's limit",
    "nonfinite": "share of voxels that are NaN or infinite",
    "empty": "share of voxels that are filling and no tissue",
    "nodata": "share of the cube that is a hole of the source; the rest is measured",
}
"""Names of the metrics for people."""

FEATURES = (
    "grey_10",
    "grey_50",
    "grey_90",
    "grey_99",
    "rough_z",
    "rough_y",
    "rough_x",
    "coarse",
)
"""Looks of an image beside its metrics: quantiles of all grey levels over b in s,
mean steps between neighbours along each axis in codes, and SD of subcubes of 8³ voxels in
codes."""

_FULL = 0.00625
_PUBLISHED_FULL = 50_000
_PUBLISHED_CLIP = 60.0
_PUBLISHED_CAP = 6.5
_CLIP_SDS = 4.0
_TINY = 1e-5
_LOW = 2.0
_BIT = 65_535
_VOXELS_A_SUBCUBE = 512
_BATCH = 4096


def dhpr_metrics(
    table: CubeTable, flavour: Flavour = "extended"
) -> dict[str, NDArray[np.float64]]:
    """Return the metrics of each row of a table, each of shape (n,), by name.

    Parameters
    ----------
    table
        Counts of cubes, or of boxes of cubes.
    flavour
        ``extended``: of background away from F⁺, clipped at m0 + 4 s_run, L on F⁺ with
        at most the run's own SD s_run, and D relative to the voxels that count.
        ``published``: of all voxels outside F, filling included, clipped at m0 + 60, L
        on F with an SD of at most 6.5, and D as |F| / 50,000.

    Returns
    -------
    dict
        :data:`DHPR_METRICS`, in that order.

    Notes
    -----
    With h the histogram of the background over grey levels v: m0 = Σhv / Σh; m and s
    are mean and standard deviation (ddof 0) of what is at most m0 plus the clip; the SNR
    of a voxel is (v - m) / (min(s, cap) + 1e-5) / 2 and low below 2. Where there is no
    background, SNRs are measured by the run's b and s. Quantiles are the least grey level
    that at least that share stays at or below. Fragmentation of a box is the mean of
    its cubes', weighted by the length of their skeletons.

    The published formulas on voxels instead of histograms:
    :func:`blockseg.dhpr.published.published_metrics`.
    """
    parts = [
        _metrics(table.select(slice(first, first + _BATCH)), flavour)
        for first in range(0, max(len(table), 1), _BATCH)
    ]
    return {
        name: np.concatenate([part[name] for part in parts]) for name in DHPR_METRICS
    }


def dhpr_features(table: CubeTable) -> NDArray[np.float64]:
    """Return what each row's image looks like, shape (n, len(FEATURES)); no NaN.

    0 where there is nothing to measure.

    Parameters
    ----------
    table
        Counts of cubes, or of boxes of cubes.
    """
    scale = table.scale
    found = []
    for first in range(0, max(len(table), 1), _BATCH):
        rows = table.select(slice(first, first + _BATCH))
        every = rows.histogram("background", "near", "doubtful", "foreground")
        grey = (scale.levels() - scale.level) / scale.sd
        columns = [_quantile(every, grey, q) for q in (0.1, 0.5, 0.9, 0.99)]
        columns += [
            share_of(rows.sum(f"steps_{axis}"), rows.sum(f"pairs_{axis}"), 0.0)
            for axis in "zyx"
        ]
        count = rows.sum("squares")
        mean = share_of(rows.sum("square_sum"), count, 0.0)
        square = share_of(rows.sum("square_square"), count, 0.0)
        columns.append(np.sqrt(np.maximum(square - mean**2, 0)) / _VOXELS_A_SUBCUBE)
        found.append(np.nan_to_num(np.stack(columns, axis=1), nan=0.0))
    return np.concatenate(found)


def _metrics(table: CubeTable, flavour: Flavour) -> dict[str, NDArray[np.float64]]:
    grey, scale = table.scale.levels(), table.scale
    voxels, foreground = table.sum("voxels"), table.sum("foreground")
    plus = table.histogram("doubtful", "foreground")
    background, values = table.histogram("background"), grey
    clip, cap = _CLIP_SDS * scale.sd, scale.sd
    full: NDArray[np.float64] | float = np.maximum(_FULL * voxels, _TINY)
    bright = plus
    if flavour == "published":
        outside = table.histogram("background", "near", "doubtful")
        background = np.column_stack([outside, table.sum("filled")])
        values = np.append(grey, 0.0)
        clip, cap, full = _PUBLISHED_CLIP, _PUBLISHED_CAP, _PUBLISHED_FULL
        bright = table.histogram("foreground")
    level, sd = _background(background, values, clip)
    unit = np.minimum(np.where(np.isnan(sd), scale.sd, sd), cap) + _TINY
    zero = np.where(np.isnan(level), scale.level, level)
    low = (grey - zero[:, None]) / unit[:, None] / 2 < _LOW
    known = table.sum("plus") if table.predicted else np.zeros(len(table))
    snr = {
        f"snr_{percent}": (_quantile(plus, grey, percent / 100) - zero) / unit / 2
        for percent in (10, 50, 90)
    }
    return {
        "density": np.clip(foreground / full, 0, 1),
        "level": level,
        "sd": sd,
        "low_snr": share_of((bright * low).sum(axis=1), bright.sum(axis=1), np.nan),
        **snr,
        "entropy": share_of(table.sum("entropy"), known, np.nan) / _BIT,
        "fragmentation": 100
        * share_of(table.sum("components"), table.sum("skeleton"), np.nan),
        "foreground": foreground.astype(np.float64),
        "foreground_plus": table.sum("plus").astype(np.float64),
        "saturated": share_of(table.sum("saturated"), voxels, 0.0),
        "nonfinite": share_of(table.sum("nonfinite"), voxels, 0.0),
        "empty": share_of(table.sum("filled"), voxels, 0.0),
        "nodata": share_of(table.sum("nodata"), voxels + table.sum("nodata"), 0.0),
    }


def _background(
    histogram: NDArray[np.int64], values: NDArray[np.float64], clip: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and SD of what is at most the mean of all plus ``clip``."""
    first = share_of(histogram @ values, histogram.sum(axis=1), np.nan)
    with np.errstate(invalid="ignore"):
        kept = np.where(values <= first[:, None] + clip, histogram, 0)
    count = kept.sum(axis=1)
    level = share_of(kept @ values, count, np.nan)
    spread = np.where(kept > 0, (values - level[:, None]) ** 2, 0.0)
    return level, np.sqrt(share_of((kept * spread).sum(axis=1), count, np.nan))


def _quantile(
    histogram: NDArray[np.int64], values: NDArray[np.float64], share: float
) -> NDArray[np.float64]:
    """Return the least value that at least ``share`` stays at or below; NaN of none."""
    below = np.cumsum(histogram, axis=1)
    total = below[:, -1:]
    found = values[np.argmax(below >= share * total, axis=1)]
    return np.where(total[:, 0] > 0, found, np.nan)

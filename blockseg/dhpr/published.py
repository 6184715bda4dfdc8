"""The published rule by which labelled volumes are picked, its defects included."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.errors import GeometryError
from blockseg.core.geometry import Roi, to_zyx

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_EDGE = 200
_FULL = 50_000
_CLIP = 60.0
_CAP = 6.5
_TINY = 1e-5


@dataclass(frozen=True, slots=True)
class PublishedMetrics:
    """Metrics by which the published rule knows a labelled volume."""

    roi: Roi
    """The part that was looked at, in voxels of the volume."""

    density: float
    """D: foreground voxels over 50,000, 0 to 1."""

    level: float
    """m: mean of the background, in grey levels; NaN without background."""

    noise: float
    """s: standard deviation of the background, in grey levels; NaN without background."""

    low_snr: float
    """L: share of the foreground with an SNR below 2; NaN without background, and where
    the last plane of the foreground, which is dropped, was all of it."""


def published_roi(label: NDArray[Any]) -> Roi:
    """Return the part of a volume that the published rule looks at.

    Along each axis, of the bounding box [a, b] of the foreground: where it is shorter than
    200 voxels, 100 voxels to either side of its middle, as far as the volume goes; else
    [a, b), which drops the last plane.

    Parameters
    ----------
    label
        Axes (z, y, x); foreground is above 0.

    Raises
    ------
    GeometryError
        If there is no foreground, for which the rule has no answer.
    """
    start, stop = [], []
    foreground = label > 0
    if not foreground.any():
        message = (
            "the published rule has no answer for a label without foreground; leave the "
            "volume out, or use the rule dhpr"
        )
        raise GeometryError(message)
    for axis, axes in enumerate(((1, 2), (0, 2), (0, 1))):
        inside = np.flatnonzero(foreground.any(axis=axes))
        a, b = int(inside[0]), int(inside[-1])
        if b - a + 1 < _EDGE:
            middle = (a + b) / 2
            a = int(max(0, middle - _EDGE / 2))
            b = int(min(label.shape[axis], middle + _EDGE / 2))
        start.append(a)
        stop.append(b)
    return Roi(to_zyx(start), to_zyx(stop))


def published_metrics(image: NDArray[Any], label: NDArray[Any]) -> PublishedMetrics:
    """Return the published metrics of a labelled volume.

    All background voxels of the part stand in for the original's unseeded draw of
    80,000 of them, which it is the limit of. With m0 their mean, m and s are mean
    and standard deviation (ddof 0) of those at most m0 + 60, and a foreground voxel I is
    of low SNR where (I - m) / (min(s, 6.5) + 1e-5) / 2 < 2.

    Parameters
    ----------
    image
        Grey levels, axes (z, y, x).
    label
        Same shape; foreground is above 0.

    Raises
    ------
    GeometryError
        If the shapes differ, or there is no foreground.
    """
    if image.shape != label.shape:
        message = f"an image of {image.shape} voxels has a label of {label.shape}"
        raise GeometryError(message)
    roi = published_roi(label)
    part = image[roi.slices()]
    foreground = label[roi.slices()] > 0
    background = part[~foreground].astype(np.float64)
    bright = part[foreground].astype(np.float64)
    level, noise, low = noise_and_snr(background, bright)
    return PublishedMetrics(
        roi=roi,
        density=min(bright.size / _FULL, 1.0),
        level=level,
        noise=noise,
        low_snr=low,
    )


def noise_and_snr(
    background: NDArray[np.float64], bright: NDArray[np.float64]
) -> tuple[float, float, float]:
    """Return m, s and L as in :func:`published_metrics`; NaN where one is not known.

    Parameters
    ----------
    background, bright
        Grey levels of the background's and of the foreground's voxels, shape (n,).
    """
    if not background.size:
        return np.nan, np.nan, np.nan
    kept = background[background <= background.mean() + _CLIP]
    level, noise = float(kept.mean()), float(kept.std())
    snr = (bright - level) / (min(noise, _CAP) + _TINY) / 2
    return level, noise, float((snr < 2).mean()) if bright.size else np.nan


def published_picks(
    density: ArrayLike, noise: ArrayLike, low_snr: ArrayLike, count: int = 300
) -> NDArray[np.int64]:
    """Return which volumes the published rule picks, by rising number.

    Of those whose s is strictly above the median of s, the ``count`` with the greatest
    D + L. Equal ones are taken in their order, where the original leaves it to chance.

    Parameters
    ----------
    density, noise, low_snr
        D, s and L of each volume, shape (n,). One s that is NaN makes the median NaN, and
        then none is picked: a defect of the original.
    count
        Number of picks, at most.
    """
    s = np.asarray(noise, np.float64)
    if not s.size or np.isnan(s).any():
        return np.zeros(0, np.int64)
    kept = np.flatnonzero(s > np.median(s))
    score = (
        np.asarray(density, np.float64)[kept] + np.asarray(low_snr, np.float64)[kept]
    )
    order = np.argsort(-score, kind="stable")[:count]
    return np.sort(kept[order]).astype(np.int64)

"""Projections of validation volumes to look at: image, truth and prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.labels import IGNORE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.training.data.data import ValidationVolume

_EDGE = 320  # voxels of a picture at most
_DEPTH = 32  # planes that are projected at most
_GREY = 90  # where nothing counts


@dataclass(frozen=True, slots=True)
class Example:
    """Maximum projections along z of one part of a volume, uint8, shape (y, x)."""

    name: str
    """Name of the volume, and the part."""

    image: NDArray[np.uint8]
    """Stretched so that faint neurites show."""

    truth: NDArray[np.uint8]
    """White on neurites, grey where nothing counts."""

    prediction: NDArray[np.uint8]
    """255 times the probability."""

    overlay: NDArray[np.uint8]
    """The prediction at 0.5 against the truth, shape (y, x, 3)."""


def make_example(volume: ValidationVolume, probability: NDArray[np.float32]) -> Example:
    """Return projections of the part of a volume that shows most neurites."""
    truth = volume.target == 1
    box = tuple(
        _fullest(truth.sum(axis=tuple({0, 1, 2} - {axis})), size)
        for axis, size in enumerate((_DEPTH, _EDGE, _EDGE))
    )
    part, true = volume.image[box], truth[box]
    ignored = (volume.target[box] == IGNORE).all(axis=0)
    p = probability[box].max(axis=0)
    seen = true.any(axis=0)
    shown = np.where(ignored & ~seen, _GREY, 0)
    name = f"{volume.name}, z {box[0].start} to {box[0].stop}"
    return Example(
        name,
        _stretched(part.max(axis=0)),
        np.where(seen, 255, shown).astype(np.uint8),
        np.rint(255 * p).astype(np.uint8),
        _overlay(p >= 0.5, seen, ignored),
    )


def _overlay(
    found: NDArray[np.bool_], true: NDArray[np.bool_], ignored: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    colours = np.zeros((*found.shape, 3), np.uint8)
    colours[ignored] = (40, 40, 40)
    colours[found & ~true & ~ignored] = (213, 94, 0)
    colours[true & ~found] = (86, 180, 233)
    colours[true & found] = (255, 255, 255)
    return colours


def _fullest(counts: NDArray[np.int64], size: int) -> slice:
    """Return the range of ``size`` with the greatest sum."""
    if len(counts) <= size:
        return slice(0, len(counts))
    sums = np.convolve(counts, np.ones(size, np.int64), mode="valid")
    start = int(np.argmax(sums))
    return slice(start, start + size)


def _stretched(plane: NDArray[np.float32]) -> NDArray[np.uint8]:
    low, high = np.percentile(plane, [5, 99.5])
    scaled = np.clip((plane - low) / max(float(high - low), 1e-6), 0, 1)
    grey: NDArray[np.uint8] = (scaled**0.7 * 255).astype(np.uint8)
    return grey

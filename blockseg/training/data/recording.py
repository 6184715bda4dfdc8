"""Changes to a camera's image before it is shared: 8 bits, denoised, planes twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from blockseg.normalization.background import estimate_background

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CLIPPED = 0.12
_EIGHT_BITS = 0.15
_REPEATED = 0.04
_BYTE = 255


def recorded(
    image: NDArray[np.uint16], rng: np.random.Generator
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Return an image as it may have been shared; most often unchanged.

    One in eight has its background clipped to 0, by 2 to 5 SDs above its level; one in
    seven, and two thirds of those, are of 8 bits, of which the brightest ones saturate;
    in one of 25 some planes show what the plane before showed.

    Parameters
    ----------
    image
        Shape (z, y, x).
    rng
        Draws what becomes of it.
    """
    clipped = rng.uniform() < _CLIPPED
    eight_bits = rng.uniform() < (0.65 if clipped else _EIGHT_BITS)
    repeated = rng.uniform() < _REPEATED
    sds, tail = rng.uniform(2.0, 5.0), 10 ** rng.uniform(-5, -2.5)
    if repeated:
        image = np.take(image, _planes(len(image), rng), axis=0)
    if not (clipped or eight_bits):
        return image
    grey = image.astype(np.float32)
    lowest = 0.0
    if clipped:
        background = estimate_background(list(image[::4]), image.dtype)
        lowest = background.level + sds * background.sd
        # Some subtract the level and zero what is below the bound, some subtract that.
        kept = lowest if rng.uniform() < 0.5 else background.level
        grey = np.where(grey > lowest, grey - kept, 0)
    if not eight_bits:
        of_words: NDArray[np.uint16] = np.rint(grey).astype(np.uint16)
        return of_words
    top = float(np.quantile(grey[::2, ::2, ::2], 1 - tail))
    scaled = np.rint(grey * (_BYTE / max(top, 1.0)))
    of_bytes: NDArray[np.uint8] = np.clip(scaled, 0, _BYTE).astype(np.uint8)
    return of_bytes


def _planes(count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return the plane that each plane shows: mostly itself, sometimes the one before."""
    shown = np.arange(count)
    again = rng.uniform(size=count) < rng.uniform(0.02, 0.3)
    again[0] = False
    shown[again] = -1
    return np.asarray(np.maximum.accumulate(shown), np.intp)

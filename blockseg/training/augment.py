"""Vary a patch: where it is cut, how it lies, how well its background is known."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["misjudged", "turned_crop"]


def misjudged(
    normal: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return a normalised image as if level and SD of its background were misjudged.

    A run's background differs from place to place, while its estimate is one for the
    whole volume.

    Parameters
    ----------
    normal
        Image in background SDs about the background level.
    rng
        Draws the errors: 0.5 SD of the level, 30 % of the SD.
    """
    wrong_level = rng.normal(0, 0.5)
    wrong_sd = math.exp(rng.normal(0, 0.3))
    return (normal - np.float32(wrong_level)) * np.float32(wrong_sd)


def turned_crop(
    image: NDArray[np.float32],
    target: NDArray[np.uint8],
    edge: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Cut a random cube out of a patch and its truth, mirror it and turn it about z.

    Never about y or x: the point spread is longer along z.

    Parameters
    ----------
    image, target
        Of one shape (z, y, x), at least ``edge`` on each axis.
    edge
        Of the cube, in voxels.
    rng
        Draws place and position.
    """
    corner = [int(rng.integers(0, n - edge + 1)) for n in image.shape]
    z, y, x = (slice(a, a + edge) for a in corner)
    flips = tuple(axis for axis in range(3) if rng.uniform() < 0.5)
    turns = int(rng.integers(4))
    image = np.rot90(np.flip(image[z, y, x], flips), turns, (1, 2))
    target = np.rot90(np.flip(target[z, y, x], flips), turns, (1, 2))
    return np.ascontiguousarray(image), np.ascontiguousarray(target)

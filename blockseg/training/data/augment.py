"""Augmentation of a patch: orientation, sharpness, noise, misjudged background.

Images are normalised and not clipped yet, shape (z, y, x). :class:`Scale` says how
large one SD of the background and one grey level are in them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np
from scipy.ndimage import gaussian_filter

from blockseg.core.specs import AffineField

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.specs import Affine

Augmentation: TypeAlias = Literal["default", "simulated", "published", "none"]
"""``simulated`` is the default without what synthetic brains vary themselves."""

AUGMENTATIONS: tuple[str, ...] = get_args(Augmentation)

PUBLISHED_NOISE = 25.0
"""Largest amplitude of the noise that the published training adds, in grey levels."""

PUBLISHED_SHIFT = 100.0
"""Largest shift of the published training, in grey levels."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Lengths on the grey axis of a normalised image."""

    sd: float = 1.0
    """One SD of the volume's background."""

    grey: float = 1.0
    """One grey level of the volume."""

    @classmethod
    def of(cls, affine: Affine | AffineField, sd: float, gain: float) -> Scale:
        """Return the scale of a volume.

        Parameters
        ----------
        affine
            Normalisation of the volume.
        sd
            SD of its background, in grey levels.
        gain
            What the SD becomes where it varies over the volume.
        """
        if isinstance(affine, AffineField):
            return cls(gain, float(np.mean(1 / np.array(affine.scale))))
        return cls(sd / affine.scale, 1 / affine.scale)


def augmented(
    kind: Augmentation,
    image: NDArray[np.float32],
    target: NDArray[np.uint8],
    scale: Scale,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Augment a cube and its target.

    ``default``: mirror and turn about z, with a chance of 0.2 each blur, bend the
    contrast and add noise, misjudge the background. ``simulated``: mirror, turn,
    misjudge. ``published``: :func:`published`. ``none``: nothing.
    """
    if kind == "none":
        return image, target
    if kind == "published":
        return published(image, target, scale, rng)
    image, target = turned(image, target, rng)
    if kind == "default":
        for vary in (blurred, toned, noisy):
            if rng.uniform() < 0.2:
                image = vary(image, scale, rng)
    return misjudged(image, rng, scale), target


def misjudged(
    normal: NDArray[np.float32], rng: np.random.Generator, scale: Scale | None = None
) -> NDArray[np.float32]:
    """Return a normalised image as if level and SD of its background were misjudged.

    A run's background differs from place to place, while its estimate is one for the
    whole volume; and dense neurites widen the estimate of its SD, so that contrast is
    lost more often than gained.

    Parameters
    ----------
    normal
        Image about the background level.
    rng
        Draws the errors: 0.6 SD of the level; the SD by a factor around 1.1, ± 40 %.
    scale
        Of the image; SDs of the background if not given.
    """
    wrong_level = rng.normal(0, 0.6) * (scale or Scale()).sd
    wrong_sd = math.exp(rng.normal(-0.1, 0.4))
    return (normal - np.float32(wrong_level)) * np.float32(wrong_sd)


def blurred(
    image: NDArray[np.float32], scale: Scale, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return an image out of focus: a Gaussian with an SD of 0.3 to 0.8 voxels."""
    del scale
    smooth: NDArray[np.float32] = gaussian_filter(image, rng.uniform(0.3, 0.8))
    return smooth


def toned(
    image: NDArray[np.float32], scale: Scale, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return an image whose contrasts above the background are bent.

    x becomes m (x / m)^γ for x > 0, with m of 10 SDs and γ of 0.8 to 1.25.
    """
    middle = np.float32(10 * scale.sd)
    gamma = math.exp(rng.uniform(math.log(0.8), math.log(1.25)))
    bright = middle * (np.maximum(image, 0) / middle) ** np.float32(gamma)
    return np.where(image > 0, bright, image).astype(np.float32)


def noisy(
    image: NDArray[np.float32], scale: Scale, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return an image with white noise of up to half an SD of its background."""
    amplitude = np.float32(rng.uniform(0, 0.5) * scale.sd)
    return image + amplitude * rng.standard_normal(image.shape, np.float32)


def turned(
    image: NDArray[np.float32], target: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Mirror a patch and its truth, and rotate them about z by multiples of 90°.

    Never about y or x: the point spread is longer along z.
    """
    flips = tuple(axis for axis in range(3) if rng.uniform() < 0.5)
    turns = int(rng.integers(4))
    image = np.rot90(np.flip(image, flips), turns, (1, 2))
    target = np.rot90(np.flip(target, flips), turns, (1, 2))
    return np.ascontiguousarray(image), np.ascontiguousarray(target)


def published(
    image: NDArray[np.float32],
    target: NDArray[np.uint8],
    scale: Scale,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Augment a cube as the published training does, each step with probability 0.5.

    Mirror along one axis; turn by quarters in one plane; add noise of amplitude
    U(0, 25) grey levels; subtract the same kind; multiply the normalised image by
    U(0.5, 1.5); add U(−100, 100) grey levels. Grey levels are those of the volume:
    under another normalisation than (I − 168.5) / 500 a grey level is ``scale.grey``.
    """
    if rng.uniform() < 0.5:
        axis = int(rng.integers(3))
        image, target = np.flip(image, axis), np.flip(target, axis)
    if rng.uniform() < 0.5:
        plane = ((0, 1), (0, 2), (1, 2))[int(rng.integers(3))]
        turns = int(rng.integers(1, 4))
        image, target = np.rot90(image, turns, plane), np.rot90(target, turns, plane)
    for sign in (1, -1):
        if rng.uniform() < 0.5:
            amplitude = sign * rng.uniform(0, PUBLISHED_NOISE) * scale.grey
            noise = rng.standard_normal(image.shape, np.float32)
            image = image + np.float32(amplitude) * noise
    if rng.uniform() < 0.5:
        image = image * np.float32(rng.uniform(0.5, 1.5))
    if rng.uniform() < 0.5:
        shift = rng.uniform(-PUBLISHED_SHIFT, PUBLISHED_SHIFT) * scale.grey
        image = image + np.float32(shift)
    return np.ascontiguousarray(image), np.ascontiguousarray(target)

"""Random fields that are functions of position: any region, any order, same values.

White noise is drawn tile by tile with a counter-based generator whose counter
is the tile's place; texture is a sum of periodic fields whose periods share no
factor, so that the sum repeats only after their product.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from scipy import fft

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from blockseg.core.geometry import Roi, Zyx

Floats: TypeAlias = "NDArray[np.float32]"

_PERIODS = (
    128,
    125,
    81,
)  # no common factor: their sum repeats after 1.3 million voxels


def stream(seed: int, *numbers: int) -> np.random.Generator:
    """Return the random generator of one purpose, independent of all others."""
    return np.random.Generator(
        np.random.Philox(np.random.SeedSequence((seed, *numbers)))
    )


def tile_generator(seed: int, purpose: int, tile: Zyx) -> np.random.Generator:
    """Return the generator of one tile: a function of seed, purpose and place.

    Parameters
    ----------
    seed
        Of the brain, below 2^64.
    purpose
        Number of the random field, below 2^64.
    tile
        Position in the lattice of tiles, (z, y, x); may be negative.
    """
    counter = [0, *(index + 2**32 for index in tile)]
    key = np.array([seed, purpose], dtype=np.uint64)
    return np.random.Generator(
        np.random.Philox(key=key, counter=np.array(counter, dtype=np.uint64))
    )


@dataclass(frozen=True, slots=True)
class _Component:
    """One scale of the texture."""

    share: float
    """Share of the variance, 0 to 1."""

    sigma: tuple[float, float, float]
    """SD of its Gaussian correlation along three axes, in voxels."""

    axes: tuple[tuple[float, float, float], ...] = (
        (1.0, 0.0, 0.0),
        (0.0, 1.0, 0.0),
        (0.0, 0.0, 1.0),
    )
    """Unit vectors (z, y, x) of those axes."""


@lru_cache(maxsize=12)
def _periodic(component: _Component, period: int, seed: int) -> Floats:
    """Return one period of a Gaussian random field of SD 1, shape (p, p, p)."""
    white = stream(seed, 41, period).standard_normal((period,) * 3, dtype=np.float32)
    k = np.float32(2 * np.pi) * fft.fftfreq(period).astype(np.float32)
    half = np.float32(2 * np.pi) * fft.rfftfreq(period).astype(np.float32)
    frequency = (k[:, None, None], k[None, :, None], half[None, None, :])
    exponent = np.zeros((period, period, len(half)), dtype=np.float32)
    for sigma, axis in zip(component.sigma, component.axes, strict=True):
        along = sum(f * a for f, a in zip(frequency, axis, strict=True))
        exponent += np.float32(sigma**2 / 2) * np.square(along)
    smooth = fft.irfftn(fft.rfftn(white) * np.exp(-exponent), s=(period,) * 3)
    smooth -= smooth.mean()
    result: Floats = (smooth / smooth.std()).astype(np.float32)
    result.setflags(write=False)
    return result


class TextureField:
    """Fine correlated texture of mean 0 and SD 1, elongated along z.

    Parameters
    ----------
    scales
        Share of the variance and lateral SD in voxels of each component.
    elongation
        Axial over lateral SD.
    skew
        0 leaves the field Gaussian; above, it is exponentiated.
    seed
        Of the brain.
    streak_direction
        Unit vector (z, y, x): the field then consists of streaks along it, 20 by 2.5
        voxels, and ``scales`` do not count.
    """

    def __init__(
        self,
        scales: Sequence[tuple[float, float]],
        *,
        elongation: float,
        skew: float,
        seed: int,
        streak_direction: tuple[float, float, float] | None = None,
    ) -> None:
        self._skew = skew
        self._seed = seed
        if streak_direction is None:
            self._parts = [
                _Component(share, (sigma * elongation, sigma, sigma))
                for share, sigma in scales
            ]
        else:
            frame, _ = np.linalg.qr(
                np.column_stack([streak_direction, np.eye(3)[:, :2] + 0.1])
            )
            rows = tuple(tuple(float(v) for v in row) for row in frame.T)
            self._parts = [_Component(1.0, (20.0, 2.5, 2.5), rows)]  # type: ignore[arg-type]

    def __call__(self, roi: Roi) -> Floats:
        """Return the field over ``roi``, shape (z, y, x)."""
        total = np.zeros(roi.shape, dtype=np.float32)
        for number, part in enumerate(self._parts):
            period = _PERIODS[number % len(_PERIODS)]
            field = _periodic(part, period, self._seed)
            index = [
                np.arange(a, b) % period
                for a, b in zip(roi.start, roi.stop, strict=True)
            ]
            total += np.float32(np.sqrt(part.share)) * field[np.ix_(*index)]
        if self._skew > 0:
            s = np.float32(self._skew)
            # Lognormal, shifted and scaled back to mean 0 and SD 1.
            spread = np.sqrt((np.exp(s**2) - 1) * np.exp(s**2))
            total = (np.exp(s * total) - np.exp(s**2 / 2)) / spread
        return total.astype(np.float32, copy=False)

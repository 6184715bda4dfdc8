"""Distinction of tissue from what is outside, on a coarse level of the source."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.errors import VolumeError
from blockseg.core.geometry import Roi, Zyx, to_zyx
from blockseg.io.chunk_memory import open_for_samples
from blockseg.io.formats.table import image_of
from blockseg.io.masks.tissue_check import Claim, compare
from blockseg.io.open import open_volume

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.specs import VolumeSpec
    from blockseg.io.protocol import Volume

_COARSEST = 4  # voxels of the coarse level along a cube, at least
_LARGEST = 2**30  # voxels of a level that is read before a run
_SLAB = 2**25  # of these, held at once
_VALLEY = 0.02  # share of the cubes that may lie between dark and bright
_DARK = 0.25  # of the way from the dark ones to the bright ones, a cube is outside
_FEW = 0.01  # share of the cubes below which dark or bright ones are none


@dataclass(frozen=True, slots=True, eq=False)
class Tissue:
    """Map of the cubes of a volume that are, or may be, tissue."""

    mask: NDArray[np.bool_]
    """One value a cube (z, y, x)."""

    level: int
    """Resolution level that was used."""

    seen: int = 0
    """Cubes outside that were compared with the volume itself."""

    wrong: float = 0.0
    """Cubes outside by mistake, over those inside: at most, with 95 % confidence."""

    doubt: str = ""
    """Why the level is not to be trusted; then everything may be tissue."""


def tissue_cubes(spec: VolumeSpec, counts: Zyx, edge: int) -> Tissue | None:
    """Return the cubes of a volume that may be tissue.

    A cube is outside if its brightest coarse voxel, and that of the 26 cubes around it,
    is dark; and dark are those that a gap in the histogram of the cubes' medians parts
    from all others. Where there is no gap, as in a volume of nothing but tissue, or no
    coarse level, nothing is known. What a level says is compared with the volume itself.

    Parameters
    ----------
    spec
        The volume.
    counts
        Its cubes along (z, y, x).
    edge
        Of a cube, in voxels.

    Returns
    -------
    None if the coarse levels do not tell.
    """
    levels = coarser_levels(spec)
    if not levels:
        return None
    volume = open_for_samples(spec)
    for level in reversed(levels):
        try:
            coarse = open_volume(level)
            pairs = zip(volume.shape, coarse.shape, strict=True)
            factors = [n / m for n, m in pairs]
            fine = max(factors) <= edge / _COARSEST
            if not fine or math.prod(coarse.shape) > _LARGEST:
                continue
            found = _of_cubes(coarse, factors, counts, edge)
        except VolumeError:
            continue  # what cannot be read here is told when it is needed
        return _told(found, volume, level.level, edge)
    return None


def _told(found: _Cubes, volume: Volume, level: int, edge: int) -> Tissue | None:
    limits = _dark(found.middle)
    if limits is None:
        return None
    dark, half = limits
    from scipy import ndimage  # takes a quarter of a second, for --sparse alone

    around = np.ones((3, 3, 3), bool)
    mask = np.asarray(ndimage.binary_dilation(~(found.brightest <= dark), around))
    bright = found.middle > half
    if mask.all() or not bright.any():
        return None
    flat = found.brightest == found.darkest
    claim = Claim(mask, bright, flat, found.mean, level)
    compared = compare(volume, claim, edge)
    if compared.doubt:
        mask = np.ones_like(mask)
    return Tissue(mask, level, compared.seen, compared.wrong, compared.doubt)


@dataclass(frozen=True, slots=True, eq=False)
class _Cubes:
    """Grey levels of the coarse voxels of each cube."""

    middle: NDArray[np.float64]
    mean: NDArray[np.float64]
    darkest: NDArray[np.float64]
    brightest: NDArray[np.float64]


def coarser_levels(spec: VolumeSpec) -> list[VolumeSpec]:
    """Return the coarser levels of the image that a volume is a level of, finest first."""
    path = PurePosixPath(spec.path or ".")
    for group in (path, *path.parents):
        inner = "" if str(group) == "." else str(group)
        try:
            image = image_of(spec, inner)
        except VolumeError:
            return []
        if image is None or len(image.levels) == 1:
            continue
        levels = [array for array in image.levels if array.format == spec.format]
        if spec.path in [array.path for array in levels]:
            return [
                replace(spec, path=array.path, level=array.level)
                for array in levels
                if array.level > spec.level
            ]
    return []


def _of_cubes(coarse: Volume, factors: list[float], counts: Zyx, edge: int) -> _Cubes:
    found = _Cubes(*(np.empty(counts) for _ in range(4)))
    spans = [
        [
            (
                min(math.floor(i * edge / factor), length - 1),
                min(max(math.ceil((i + 1) * edge / factor), 1), length),
            )
            for i in range(count)
        ]
        for count, factor, length in zip(counts, factors, coarse.shape, strict=True)
    ]
    rows = max(1, _SLAB // (math.prod(coarse.shape[1:]) * edge))
    for first in range(0, counts[0], rows):
        last = min(first + rows, counts[0]) - 1
        low, high = spans[0][first][0], spans[0][last][1]
        slab = coarse.read(Roi((low, 0, 0), to_zyx((high, *coarse.shape[1:]))))
        for index in np.ndindex(last - first + 1, *counts[1:]):
            z, y, x = (
                spans[0][first + index[0]],
                spans[1][index[1]],
                spans[2][index[2]],
            )
            part = slab[z[0] - low : z[1] - low, y[0] : y[1], x[0] : x[1]]
            place = (first + index[0], index[1], index[2])
            found.middle[place], found.mean[place] = np.median(part), part.mean()
            found.darkest[place], found.brightest[place] = part.min(), part.max()
    return found


def _dark(middle: NDArray[np.float64]) -> tuple[float, float] | None:
    """Return the grey level up to which a cube is outside, and that of half the way.

    None if none is outside.

    The gap is that of N. Otsu, *IEEE Trans. SMC* 9, 1979, 62.
    """
    values = np.sort(middle[np.isfinite(middle)])
    count = len(values)
    if count < 2 or values[0] == values[-1]:
        return None
    sums = np.cumsum(values)
    below = np.arange(1, count)
    low = sums[:-1] / below
    high = (sums[-1] - sums[:-1]) / (count - below)
    cut = int(np.argmax(below * (count - below) * (high - low) ** 2))
    dark, bright = low[cut], high[cut]
    third = (bright - dark) / 3
    between = np.count_nonzero((values > dark + third) & (values < bright - third))
    few = min(below[cut], count - below[cut]) < _FEW * count
    if few or between > _VALLEY * count:
        return None
    return float(dark + _DARK * (bright - dark)), float((dark + bright) / 2)

"""Grey levels in 128 steps: fine around the background, coarser the brighter."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.errors import GeometryError

if TYPE_CHECKING:
    from numpy.typing import NDArray

CODES = 128
"""Codes that a voxel with a grey level may have, from 0."""

NOT_COUNTED = 128
"""Code of a voxel without a grey level: NaN, infinite, or filling."""

_LINEAR = 8.0  # SDs from the background within which steps are about equal
_STEPS = 32  # codes from the background to sinh(1)·8 = 9.4 SDs away
_TABLED = 2  # bytes of the integers that are coded by a table


@dataclass(frozen=True, slots=True)
class GreyScale:
    """Meaning of codes: ``code = round(32 + 32·asinh((I - b) / 8s))``, 0 to 127.

    Steps are s/4 at the background and 3 % of the distance to it far away; from
    b - 9.4 s to b + 78 s. All metrics are defined on the grey levels that codes stand
    for, see :meth:`levels`: that is what makes histograms exact and compact.

    Raises
    ------
    GeometryError
        If the SD is not above 0.
    """

    level: float
    """b: level of the run's background, in grey levels."""

    sd: float
    """s: noise SD of the run's background, in grey levels; above 0."""

    dtype: str
    """Data type of the source, as NumPy names it."""

    saturation: float = math.inf
    """Grey level from which a voxel is saturated; infinite for floats."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.level) and 0 < self.sd < math.inf):
            message = (
                f"a grey scale needs a finite level and an SD above 0, not {self.level} "
                f"and {self.sd}"
            )
            raise GeometryError(message)

    @property
    def filling(self) -> bool:
        """Whether voxels of exactly 0 are filling and no tissue: 0 is 4 s below b."""
        return self.level > 4 * self.sd

    @property
    def first_saturated(self) -> int | None:
        """Least code that a saturated voxel may have; None where nothing saturates."""
        if not math.isfinite(self.saturation):
            return None
        return int(_coded(self, np.array([self.saturation]))[0])

    def levels(self) -> NDArray[np.float64]:
        """Return the grey level that each code stands for, shape (CODES,), rising.

        For integers of 8 and 16 bits the mean of those that have the code, so where
        steps are narrower than one grey level nothing is lost; else, and for the first
        and last code, the centre of the step.
        """
        return _levels(self).copy()

    def codes(self, raw: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the code of each voxel, NOT_COUNTED where it has no grey level.

        Parameters
        ----------
        raw
            Grey levels of the source, any shape.
        """
        if _is_tabled(raw.dtype):
            # A view as unsigned indexes the table without a pass over the voxels.
            unsigned = np.dtype(f"u{raw.dtype.itemsize}")
            table = _table(self, raw.dtype.newbyteorder("=").str)
            native = raw.astype(raw.dtype.newbyteorder("="), copy=False)
            codes: NDArray[np.uint8] = table.take(native.view(unsigned))
            return codes
        finite = np.isfinite(raw)
        with np.errstate(over="ignore", invalid="ignore"):
            found = _coded(self, np.asarray(raw, np.float32))
        counted = finite & (raw != 0) if self.filling else finite
        found[~counted] = NOT_COUNTED
        return found


def _is_tabled(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "iu" and dtype.itemsize <= _TABLED


def _coded(scale: GreyScale, raw: NDArray[Any]) -> NDArray[np.uint8]:
    distance = (raw - raw.dtype.type(scale.level)) / raw.dtype.type(_LINEAR * scale.sd)
    code = np.rint(np.arcsinh(distance) * _STEPS + _STEPS)
    known: NDArray[Any] = np.nan_to_num(np.clip(code, 0, CODES - 1), nan=0)
    return known.astype(np.uint8)


@lru_cache(maxsize=8)
def _table(scale: GreyScale, dtype: str) -> NDArray[np.uint8]:
    """Return the code of every integer, in the order of their bits as unsigned."""
    bits = np.arange(2 ** (8 * np.dtype(dtype).itemsize))
    grey = bits.astype(f"u{np.dtype(dtype).itemsize}").view(dtype)
    table = _coded(scale, grey.astype(np.float64))
    if scale.filling:
        table[grey == 0] = NOT_COUNTED
    return table


@lru_cache(maxsize=8)
def _levels(scale: GreyScale) -> NDArray[np.float64]:
    centre = (np.arange(CODES) - _STEPS) / _STEPS
    levels = scale.level + _LINEAR * scale.sd * np.sinh(centre)
    dtype = np.dtype(scale.dtype)
    if not _is_tabled(dtype):
        return levels
    limits = np.iinfo(dtype)
    grey = np.arange(limits.min, limits.max + 1, dtype=np.float64)
    codes = _coded(scale, grey)
    count = np.bincount(codes, minlength=CODES)
    total = np.bincount(codes, weights=grey, minlength=CODES)
    inner = count > 0
    inner[[0, -1]] = False
    levels[inner] = total[inner] / count[inner]
    return levels

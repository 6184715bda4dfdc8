"""Median and SD of what is dark among the voxels of a sample, without a copy of them.

A sample of a large brain is 75 MB. Its voxels are gone through part by part, as often as
it takes: a mask takes a bit a voxel, and what it chooses is never joined where voxels have
few values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

AT_ONCE = 2**18
"""Voxels that are looked at together: they stay in the cache."""

_TABLED = 2  # bytes of the integers whose values are counted one by one


def stacked(sample: Sequence[npt.NDArray[Any]]) -> Iterator[npt.NDArray[Any]]:
    """Yield the patches in their order, runs of one shape and type stacked: (n, y, x)."""
    runs = groupby(sample, key=lambda patch: (patch.shape, patch.dtype))
    for _, run in runs:
        alike = list(run)
        step = max(1, AT_ONCE // alike[0].size)
        for first in range(0, len(alike), step):
            yield np.stack(alike[first : first + step])


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """Voxels of a sample that were chosen one by one."""

    sample: Sequence[npt.NDArray[Any]]
    """Patches ``(y, x)``."""

    masks: Sequence[npt.NDArray[np.uint8] | None]
    """Which voxels of each stack of patches, as :func:`stacked` yields them, were chosen:
    a bit each, or None for all."""

    size: int
    """Number of voxels chosen."""

    @classmethod
    def by(
        cls,
        sample: Sequence[npt.NDArray[Any]],
        choose: Callable[[npt.NDArray[Any]], npt.NDArray[np.bool_]],
    ) -> Chosen:
        """Choose voxels of each stack of a sample.

        Parameters
        ----------
        sample
            Patches ``(y, x)``, none of them empty.
        choose
            Returns for a stack ``(n, y, x)`` which of its voxels are chosen.
        """
        masks: list[npt.NDArray[np.uint8] | None] = []
        size = 0
        for group in stacked(sample):
            mask = choose(group)
            count = int(np.count_nonzero(mask))
            masks.append(None if count == mask.size else np.packbits(mask))
            size += count
        return cls(sample, masks, size)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type that holds all of them."""
        kinds = {patch.dtype for patch in self.sample}
        return np.result_type(*kinds) if kinds else np.dtype(float)

    def parts(self) -> Iterator[npt.NDArray[Any]]:
        """Yield the voxels in their order, some at a time, in this machine's byte order."""
        kind = self.dtype.newbyteorder("=")
        for group, bits in zip(stacked(self.sample), self.masks, strict=True):
            flat = group.ravel()
            if bits is not None:
                flat = flat[np.unpackbits(bits, count=flat.size).view(bool)]
            for start in range(0, flat.size, AT_ONCE):
                yield flat[start : start + AT_ONCE].astype(kind, copy=False)


def centre(chosen: Chosen) -> tuple[float, float]:
    """Return median and SD of the voxels at most at their median + 2 MAD; 0 of none."""
    if not chosen.size:
        return 0.0, 0.0
    if _is_tabled(chosen.dtype):
        return _counted_centre(chosen)
    voxels = np.empty(chosen.size)
    _fill(voxels, chosen.parts())
    median = float(np.median(voxels))
    away = np.subtract(voxels, median)
    deviation = float(np.median(np.abs(away, out=away), overwrite_input=True))
    del away
    background = voxels[voxels <= median + 2 * deviation]
    del voxels
    return float(np.median(background)), float(background.std())


def quantiles(chosen: Chosen, shares: Sequence[float]) -> tuple[float, ...]:
    """Return what ``numpy.quantile`` of the voxels as float64 is, to the last bit."""
    if not _is_tabled(chosen.dtype):
        voxels = np.empty(chosen.size)
        _fill(voxels, chosen.parts())
        return tuple(np.quantile(voxels, shares, overwrite_input=True).tolist())
    levels, counts = _counted(chosen)
    ends = np.cumsum(counts)
    found = []
    for share in shares:
        place = (chosen.size - 1) * share
        before = math.floor(place)
        after = min(before + 1, chosen.size - 1)
        low, high = levels[np.searchsorted(ends, (before, after), side="right")]
        part = place - before
        # From the nearer end, as NumPy does.
        value = low + (high - low) * part
        if part >= 0.5:
            value = high - (high - low) * (1 - part)
        found.append(float(value))
    return tuple(found)


def _counted_centre(chosen: Chosen) -> tuple[float, float]:
    """Return the centre of integers with few values: medians from how often each comes."""
    levels, counts = _counted(chosen)
    median = _median(levels, counts)
    away = np.abs(levels - median)
    order = np.argsort(away, kind="stable")
    deviation = _median(away[order], counts[order])
    limit = median + 2 * deviation
    low = levels <= limit
    # The SD is that of the voxels one by one: their order decides its last bit.
    highest = math.floor(limit)
    sd = _sd(
        lambda: (part[part <= highest] for part in chosen.parts()),
        int(counts[low].sum()),
    )
    return _median(levels[low], counts[low]), sd


def _is_tabled(kind: np.dtype[Any]) -> bool:
    return kind.kind in "iu" and kind.itemsize <= _TABLED


def _counted(chosen: Chosen) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.intp]]:
    """Return every value from the least to the greatest, and how often each comes."""
    kind = chosen.dtype.newbyteorder("=")
    least = int(np.iinfo(kind).min)
    # Their distance to the least of the type, unsigned, of whatever sign they are.
    unsigned = np.dtype(f"u{kind.itemsize}")
    lowest = np.array(least, kind).view(unsigned)
    counts = np.zeros(2 ** (8 * kind.itemsize), np.intp)
    for part in chosen.parts():
        counts += np.bincount(part.view(unsigned) - lowest, minlength=len(counts))
    found = np.flatnonzero(counts)
    first, last = int(found[0]), int(found[-1])
    levels = least + np.arange(first, last + 1, dtype=np.float64)
    return levels, counts[first : last + 1]


def _sd(parts: Callable[[], Iterator[npt.NDArray[Any]]], count: int) -> float:
    """Return what ``std(dtype=float64)`` of all parts joined is, to the last bit."""
    mean = _pairwise(_taken(parts()), count, lambda part: part) / count
    squares = _pairwise(_taken(parts()), count, lambda part: (part - mean) ** 2)
    return math.sqrt(squares / count)


def _pairwise(
    take: Callable[[int], npt.NDArray[np.float64]],
    count: int,
    of: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]],
) -> np.float64:
    """Return what NumPy's sum of float64 values is, in whose halves it adds them."""
    if count <= AT_ONCE:
        return np.float64(np.add.reduce(of(take(count))))
    half = count // 2
    half -= half % 8
    first = _pairwise(take, half, of)  # values come in their order
    return np.float64(first + _pairwise(take, count - half, of))


def _taken(
    parts: Iterator[npt.NDArray[Any]],
) -> Callable[[int], npt.NDArray[np.float64]]:
    """Return a function that takes the next so many voxels, as float64."""
    rest = np.empty(0)

    def take(count: int) -> npt.NDArray[np.float64]:
        nonlocal rest
        taken = np.empty(count)
        rest = _fill(taken, parts, rest)
        return taken

    return take


def _fill(
    into: npt.NDArray[np.float64],
    parts: Iterator[npt.NDArray[Any]],
    rest: npt.NDArray[Any] | None = None,
) -> npt.NDArray[Any]:
    """Fill an array from parts, a rest of an earlier one first; return what is left."""
    left = np.empty(0) if rest is None else rest
    filled = 0
    while filled < into.size:
        if not left.size:
            left = next(parts)
        some = left[: into.size - filled]
        into[filled : filled + some.size] = some
        filled, left = filled + some.size, left[some.size :]
    return left


def _median(levels: npt.NDArray[np.float64], counts: npt.NDArray[np.intp]) -> float:
    """Return the median of rising levels, of which each comes so often."""
    ends = np.cumsum(counts)
    total = int(ends[-1])
    middle = ((total - 1) // 2, total // 2)
    low, high = levels[np.searchsorted(ends, middle, side="right")]
    return float((low + high) / 2)

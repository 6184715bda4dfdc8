"""Values of an annotation that have no meaning, and their likely meaning."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.labels import IGNORE
from blockseg.training.annotations.labels import listed, spelt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from blockseg.training.annotations.labels import LabelCodes

_MANY = 6  # values without a meaning that are ids, and not kinds
_GREYS = 16  # values that may be grey levels
_VARIED = 0.3  # share of neighbours of two values: within an object they have one
_BESIDE = 0.12  # share of a background's neighbours that are 0 where 0 is background
_DARK, _BRIGHT = 0.3, 0.6  # between the darkest and the brightest value, 0 to 1
_DIM = 0.05  # that a dim neurite is brighter than the background
_GREY, _MIDDLE = (
    32,
    (127, 128),
)  # values that are greys; what is neither black nor white
_CEILING = 99  # percentile: how much brighter than that a soma is does not matter
_HALF = 0.5
_INVALID = {2**16 - 1, 2**32 - 1, 2**64 - 1}  # ids that stand for no object


@dataclass(slots=True)
class ValuesSeen:
    """Place of an annotation's values in its image, gathered part by part."""

    counts: Counter[float] = field(default_factory=Counter)
    """Voxels of each value."""

    grey: Counter[float] = field(default_factory=Counter)
    """Sum of the grey levels of the voxels of each value, in parts that were looked at."""

    looked_at: Counter[float] = field(default_factory=Counter)
    """Voxels of each value in these parts."""

    pairs: Counter[tuple[float, int]] = field(default_factory=Counter)
    """Neighbours of voxels of each value along an axis."""

    beside_zero: Counter[tuple[float, int]] = field(default_factory=Counter)
    """Those of them that are 0."""

    touching: int = 0
    """Pairs of neighbours that are both not 0."""

    varied: int = 0
    """Those that differ."""

    def look(
        self, image: NDArray[np.generic], labels: NDArray[np.generic], most: int = 512
    ) -> None:
        """Add the statistics of a part; ``counts`` are added elsewhere.

        Parameters
        ----------
        image, labels
            Of one shape (z, y, x).
        most
            Values that are told apart.
        """
        values, place = np.unique(labels, return_inverse=True)
        place = place.reshape(labels.shape)
        grey = np.nan_to_num(image.astype(np.float64), posinf=0, neginf=0)
        grey = np.minimum(grey, np.percentile(grey, _CEILING))
        count = len(values)
        sums = np.bincount(place.ravel(), grey.ravel(), count)
        voxels = np.bincount(place.ravel(), minlength=count)
        for value, total, number in zip(
            values[:most].tolist(), sums.tolist(), voxels.tolist(), strict=False
        ):
            self.grey[value] += total
            self.looked_at[value] += number
        zero = int(np.searchsorted(values, 0))
        zero = zero if zero < count and values[zero] == 0 else -1
        for axis in range(3):
            along = np.moveaxis(place, axis, 0)
            self._neighbours(along[1:], along[:-1], values, zero, axis)

    def _neighbours(
        self,
        one: NDArray[np.intp],
        other: NDArray[np.intp],
        values: NDArray[np.generic],
        zero: int,
        axis: int,
    ) -> None:
        both = (one != zero) & (other != zero)
        self.touching += int(both.sum())
        self.varied += int((both & (one != other)).sum())
        for a, b in ((one, other), (other, one)):
            pairs = np.bincount(a.ravel(), minlength=len(values))
            beside = np.bincount(a[b == zero], minlength=len(values))
            for k in np.flatnonzero(pairs)[:512]:
                self.pairs[values[k].item(), axis] += int(pairs[k])
                self.beside_zero[values[k].item(), axis] += int(beside[k])

    def brightness(self) -> dict[float, float]:
        """Return how bright each value is, 0 the darkest and 1 the brightest."""
        mean = {v: self.grey[v] / n for v, n in self.looked_at.items() if n}
        if len(mean) < 2:
            return dict.fromkeys(mean, 0.0)
        low, high = min(mean.values()), max(mean.values())
        return {v: (m - low) / (high - low or 1.0) for v, m in mean.items()}

    def borders_zero(self, value: float) -> bool:
        """Return whether 0 borders on a value along two axes or more.

        Where planes are annotated, 0 lies above and below them; where boxes are, far off.
        """
        shares = [
            self.beside_zero[value, axis] / self.pairs[value, axis]
            for axis in range(3)
            if self.pairs[value, axis]
        ]
        return bool(np.median(shares or [1.0]) > _BESIDE)


def refusal(where: str, seen: ValuesSeen, codes: LabelCodes) -> str:
    """Return one line for an annotation that holds values without a meaning.

    Parameters
    ----------
    where
        How to call the annotation.
    seen
        All values in it, and how they lie.
    codes
        What the others mean.
    """
    unknown = codes.unknown(seen.counts)
    what = f"{where} holds the values {listed(seen.counts)}"
    if any(value != int(value) for value in unknown if np.isfinite(value)):
        return (
            f"{what}: it is a probability or an image, not labels; save a mask instead, 1 "
            "where a voxel is a neurite and 0 elsewhere"
        )
    if not all(np.isfinite(value) for value in unknown):
        return f"{what}, some of them no numbers; save 255 where nothing is known"
    if len(unknown) >= _GREYS and seen.varied > _VARIED * seen.touching:
        return (
            f"{what}, which vary from voxel to voxel: it is a probability or an image, not "
            "labels; save a mask instead, 1 where a voxel is a neurite and 0 elsewhere"
        )
    meanings = likely_meanings(seen, codes)
    verb = "means" if len(unknown) == 1 else "mean"
    return (
        f"{what}, and {listed(unknown)} {verb} nothing: 0 is background, 1 neurite, 255 "
        f"ignore; {_said(meanings, seen)}: --label-map {spelt(meanings)}"
    )


def likely_meanings(seen: ValuesSeen, codes: LabelCodes) -> dict[float, int]:
    """Return the likely meaning of each value: 0, 1 or ``IGNORE``.

    By how bright its voxels are, where that tells, else by how many there are.
    """
    unknown = codes.unknown(seen.counts)
    named = {v: codes.named[v] for v in seen.counts if v in codes.named}
    if len(unknown) > _MANY:
        return _ids(seen, unknown) | named
    kinds = [
        v for v in sorted(seen.counts) if v >= 0 and v != IGNORE and v not in named
    ]
    if 0 in kinds and 1 not in kinds and min(unknown) >= _GREY:
        kinds.append(IGNORE)  # of greys, 255 is white
    meanings = _by_brightness(kinds, seen)
    lit = sum(seen.counts[v] for v, m in meanings.items() if m == 1)
    if 1 not in meanings.values() or lit > _HALF * seen.counts.total():
        # The image does not tell: it may be that of another volume.
        usual = 0 if 0 in kinds else max(kinds, key=lambda v: seen.counts[v])
        meanings = {v: int(v != usual or len(kinds) == 1) for v in kinds}
    return dict.fromkeys(seen.counts, IGNORE) | meanings | named


def likely_neurites(seen: ValuesSeen) -> dict[float, int] | None:
    """Return the likely meaning of 0 and 255 if nothing is 1; None if the usual one."""
    bright = seen.brightness()
    if not {0, IGNORE} <= bright.keys():
        return None
    neurite, other = (0, IGNORE) if bright[0] > bright[IGNORE] else (IGNORE, 0)
    if seen.counts[neurite] > _HALF * seen.counts.total():
        return None
    return {neurite: 1, other: 0}


def _by_brightness(kinds: list[float], seen: ValuesSeen) -> dict[float, int]:
    bright = {v: b for v, b in seen.brightness().items() if v in kinds}
    meanings = {v: _meaning(bright.get(v, _HALF)) for v in kinds}
    if 0 not in bright or len(kinds) == 2:
        return meanings
    backgrounds = [v for v, m in meanings.items() if m == 0 and v != 0]
    if any(not seen.borders_zero(v) for v in backgrounds):
        return meanings | {0: IGNORE}  # what lies in it is annotated, and 0 is not
    meanings = {v: int(bright.get(v, 0) > bright[0] + _DIM) for v in kinds}
    middle = [v for v in kinds if v in _MIDDLE and IGNORE in kinds]
    return meanings | dict.fromkeys(middle, IGNORE)


def _meaning(brightness: float) -> int:
    if brightness < _DARK:
        return 0
    return 1 if brightness > _BRIGHT else IGNORE


def _ids(seen: ValuesSeen, unknown: list[float]) -> dict[float, int]:
    """Return meanings for ids of objects: all are neurites but the background's."""
    ids = [v for v in seen.counts if v != 0]
    invalid = {v for v in ids if v < 0 or v in _INVALID}
    meanings = {v: IGNORE if v in invalid else 1 for v in ids}
    if IGNORE in meanings and max(unknown) < IGNORE and IGNORE - 1 not in meanings:
        meanings[IGNORE] = IGNORE
    if 0 in seen.counts:
        return meanings | {0: 0}
    common = max(seen.counts, key=lambda v: seen.counts[v])
    return meanings | {common: 0}


def _said(meanings: Mapping[float, int], seen: ValuesSeen) -> str:
    if len(meanings) > _MANY + 3:
        return "if they are ids of neurites, every one of them is neurite"
    names = {0: "background", 1: "neurite", IGNORE: "not annotated"}
    total = seen.counts.total()
    parts = [
        f"{value:.12g} ({seen.counts[value] / total:.2g}) {names[meaning]}"
        for value, meaning in sorted(meanings.items())
    ]
    return f"by number and brightness {', '.join(parts)}"

"""Meaning of an annotation's voxels for training."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.errors import ConfigError
from blockseg.core.labels import IGNORE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

RING = 2
"""Background next to a neurite, where annotators differ; it has less weight."""

OTHERS = "others"
"""In a label map, every value that is neither named in it nor 0, 1 or 255."""

_MEANINGS: dict[float, int] = {0: 0, 1: 1, IGNORE: IGNORE}
_NAMED = 12  # values that a message lists
_SPELT = 6  # values of a label map that are named one by one


class LabelCodes:
    """Maps the values of an annotation to 0 (background), 1 (neurite) or ``IGNORE``.

    Parameters
    ----------
    label_map
        What values mean: each maps to 0, 1 or 255. Values that are not named mean
        what they are, if they are one of these three; ``OTHERS`` stands for the rest.

    Raises
    ------
    ConfigError
        If a value is mapped to anything else.
    """

    def __init__(self, label_map: Mapping[int | str, int] | None = None) -> None:
        wrong = [(k, v) for k, v in (label_map or {}).items() if v not in _MEANINGS]
        if wrong:
            value, meaning = wrong[0]
            message = (
                f"--label-map {value}:{meaning} maps to {meaning}; labels mean "
                "0 (background), 1 (neurite) or 255 (ignore)"
            )
            raise ConfigError(message)
        self.named: dict[float, int] = {
            k: v for k, v in (label_map or {}).items() if not isinstance(k, str)
        }
        self._meaning = {**_MEANINGS, **self.named}
        self._others = (label_map or {}).get(OTHERS)
        self._rest = IGNORE if self._others is None else self._others
        self._table = np.full(256, self._rest, np.uint8)
        for known, code in self._meaning.items():
            if 0 <= known < 256:
                self._table[int(known)] = code

    def meaning(self, value: float) -> int:
        """Return 0, 1 or ``IGNORE``; what means nothing is ignored."""
        if not math.isfinite(value):
            return IGNORE
        return self._meaning.get(value, self._rest)

    def unknown(self, values: Iterable[float]) -> list[float]:
        """Return the values that have no meaning, sorted."""
        if self._others is not None:
            return []
        return sorted(v for v in values if v not in self._meaning)

    def counts(self, labels: NDArray[np.generic]) -> dict[float, int]:
        """Return how many voxels of an annotation hold each value."""
        if labels.dtype == np.uint8:
            found = np.bincount(labels.ravel(), minlength=1)
            return {int(v): int(found[v]) for v in np.flatnonzero(found)}
        values, found = np.unique(labels, return_counts=True)
        return dict(zip(values.tolist(), found.tolist(), strict=True))

    def codes(self, labels: NDArray[np.generic]) -> NDArray[np.uint8]:
        """Return 0, 1 or ``IGNORE`` for each voxel; what means nothing is ignored."""
        if labels.dtype == np.uint8:
            return np.asarray(self._table[labels])
        codes = np.full(labels.shape, self._rest, np.uint8)
        if labels.dtype.kind == "f":
            codes[~np.isfinite(labels)] = IGNORE
        for value, meaning in self._meaning.items():
            codes[labels == value] = meaning
        return codes


def spelt(meanings: Mapping[float, int]) -> str:
    """Return a label map as it is written on the command line.

    Parameters
    ----------
    meanings
        What each value that is stored shall mean: 0, 1 or 255.
    """
    own = {v: m for v, m in meanings.items() if v in _MEANINGS and m != _MEANINGS[v]}
    rest = {v: m for v, m in meanings.items() if v not in _MEANINGS}
    said = {f"{v:g}": own[v] for v in sorted(own)}
    if len(rest) <= _SPELT:
        said |= {str(int(v)): rest[v] for v in sorted(rest)}
    else:
        common = max(set(rest.values()), key=list(rest.values()).count)
        said |= {str(int(v)): m for v, m in sorted(rest.items()) if m != common}
        said[OTHERS] = common
    return ",".join(f"{value}:{meaning}" for value, meaning in said.items())


def listed(values: Iterable[float]) -> str:
    """Return some of the values, smallest first, and how many more there are."""
    every = sorted(values)
    more = f" and {len(every) - _NAMED} more" if len(every) > _NAMED else ""
    return ", ".join(f"{value:.12g}" for value in every[:_NAMED]) + more


def ringed(target: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a target in which background that touches a neurite is ``RING``.

    Parameters
    ----------
    target
        0, 1 or ``IGNORE``, shape (z, y, x).
    """
    mask = target == 1
    beside = np.zeros_like(mask)
    for axis in range(3):  # views, so that this writes to `beside` and reads `mask`
        to, of = np.moveaxis(beside, axis, 0), np.moveaxis(mask, axis, 0)
        to[1:] |= of[:-1]
        to[:-1] |= of[1:]
    return np.where(beside & (target == 0), np.uint8(RING), target)

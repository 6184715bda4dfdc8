"""What the voxels of an annotation mean to training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

__all__ = ["IGNORE", "RING", "LabelCodes", "ringed"]

RING = 2
"""Background next to a neurite, where annotators differ: counts less."""

IGNORE = 255
"""Does not count."""

_MEANINGS = {0: 0, 1: 1, IGNORE: IGNORE}
_NAMED = 12  # values that a message lists


class LabelCodes:
    """Turns the values of an annotation into 0 background, 1 neurite, ``IGNORE``.

    Parameters
    ----------
    label_map
        What values mean: each maps to 0, 1 or 255. Values that are not named mean
        what they are, if they are one of these three.

    Raises
    ------
    ConfigError
        If a value is mapped to anything else.
    """

    def __init__(self, label_map: Mapping[int, int] | None = None) -> None:
        wrong = {k: v for k, v in (label_map or {}).items() if v not in _MEANINGS}
        if wrong:
            value, meaning = next(iter(wrong.items()))
            message = (
                f"--label-map {value}:{meaning} maps to {meaning}; labels mean "
                "0 (background), 1 (neurite) or 255 (ignore)"
            )
            raise ConfigError(message)
        self._meaning = {**_MEANINGS, **(label_map or {})}
        self._table = np.full(256, IGNORE, np.uint8)
        for value, meaning in self._meaning.items():
            if 0 <= value < 256:
                self._table[value] = meaning

    def unknown(self, values: Iterable[float]) -> list[float]:
        """Return those of some values that mean nothing, sorted."""
        return sorted(v for v in values if v not in self._meaning)

    def values(self, labels: NDArray[np.generic]) -> set[float]:
        """Return the different values in an annotation of any type of number."""
        if labels.dtype == np.uint8:
            return set(np.flatnonzero(np.bincount(labels.ravel(), minlength=1)))
        return set(np.unique(labels).tolist())

    def codes(self, labels: NDArray[np.generic]) -> NDArray[np.uint8]:
        """Return 0, 1 or ``IGNORE`` for each voxel; what means nothing is ignored."""
        if labels.dtype == np.uint8:
            return np.asarray(self._table[labels])
        codes = np.full(labels.shape, IGNORE, np.uint8)
        for value, meaning in self._meaning.items():
            codes[labels == value] = meaning
        return codes

    def refusal(self, where: str, found: Iterable[float]) -> str:
        """Return one line for an annotation that holds values without a meaning.

        Parameters
        ----------
        where
            How to call the annotation.
        found
            All values in it.
        """
        found = sorted(found)
        unknown = self.unknown(found)
        example = ",".join(
            f"{v:g}:{m}" for v, m in zip(unknown, (1, 255), strict=False)
        )
        return (
            f"{where} holds the values {_listed(found)}, and {_listed(unknown)} "
            f"{'means' if len(unknown) == 1 else 'mean'} nothing: 0 is background, 1 "
            f"neurite, 255 ignore; say what they are, as in --label-map {example}"
        )


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


def _listed(values: list[float]) -> str:
    more = f" and {len(values) - _NAMED} more" if len(values) > _NAMED else ""
    return ", ".join(f"{value:g}" for value in values[:_NAMED]) + more

"""Meaning of axes' names, and whether axes without names may be guessed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from blockseg.core.errors import VolumeError
from blockseg.core.text import times
from blockseg.io.axes import default_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

_FEW = 5  # planes; fewer may be channels, colours or time points
_PICTURE = 16  # voxels along both edges of what may be a picture of channels
_WORDS = {
    "t": ("t", "time", "timepoint", "timepoints", "frame", "frames"),
    "c": ("c", "ch", "channel", "channels", "wavelength", "band", "bands"),
    "z": ("z", "depth", "plane", "planes", "pln", "slice", "slices", "section"),
    "y": ("y", "height", "row", "rows"),
    "x": ("x", "width", "col", "cols", "column", "columns"),
}
_LETTERS = {word: letter for letter, words in _WORDS.items() for word in words}
_NO_NAME = re.compile(r"(phony_)?(dim(ension)?|axis)?_?\d*")


@dataclass(frozen=True, slots=True)
class AxisNames:
    """The axes of an array, as far as its metadata say what they are."""

    letters: tuple[str, ...]
    """One of tczyx for each axis; "?" where that cannot be."""

    guessed: tuple[bool, ...]
    """Whether each letter is the usual one of its place, and nobody's word."""

    odd: tuple[str, ...] = ()
    """Names of which the meaning is not known; the letters are then all guessed."""

    @classmethod
    def by_word(cls, letters: Sequence[str]) -> Self:
        """Return axes that something else than the array names."""
        return cls(tuple(letters), (False,) * len(letters))

    @classmethod
    def of(cls, stated: object, ndim: int) -> Self:
        """Return the meaning of the names of ``ndim`` axes.

        Parameters
        ----------
        stated
            A list with a name or None for each axis, slowest first; anything else is
            no statement.
        """
        # An odd rank is an error only if this array is the one that is asked for.
        usual = default_axes(ndim) if 2 <= ndim <= 5 else ("?",) * ndim
        nobody = cls(usual, (True,) * ndim)
        if not isinstance(stated, (list, tuple)) or len(stated) != ndim:
            return nobody
        named = [None if _is_no_name(name) else str(name) for name in stated]
        if not any(named):
            return nobody
        letters = [None if name is None else letter_of(name) for name in named]
        found = tuple(a or b for a, b in zip(letters, usual, strict=True))
        odd = tuple(
            name
            for name, letter in zip(named, letters, strict=True)
            if name is not None and letter is None
        )
        if odd or len(set(found)) < ndim:
            strange = odd or tuple(name or "" for name in named)
            return cls(usual, (True,) * ndim, strange)
        return cls(found, tuple(letter is None for letter in letters))


def letter_of(name: str) -> str | None:
    """Return which of tczyx a name stands for, or None."""
    return _LETTERS.get(name.strip().lower())


def require_named(names: AxisNames, shape: Sequence[int], where: str) -> None:
    """Refuse to guess what axes are where a wrong guess would pass for a volume.

    Parameters
    ----------
    names
        Of an array.
    shape
        Length of each of its axes.
    where
        How to call the array in messages.

    Raises
    ------
    VolumeError
        If names are not understood, or unnamed axes taken for z, y or x are so short
        beside the others that they may be channels.
    """
    if len(shape) < 3:
        return
    if names.odd:
        message = (
            f"{where} calls its axes {', '.join(map(repr, names.odd))}, of which blockseg "
            f"knows no meaning; give --axes, a letter of tczyx for each of the {len(shape)}"
        )
        raise VolumeError(message)
    space = [i for i, letter in enumerate(names.letters) if letter in "zyx"]
    short = [i for i in space if shape[i] < _FEW]
    if len(short) != 1 or not names.guessed[short[0]]:
        return
    if any(shape[i] < _PICTURE for i in space if i not in short):
        return
    (axis,) = short
    by = times(shape)
    usual = "".join(names.letters)
    place = ("first", "second", "third", "fourth", "fifth")[axis]
    message = (
        f"{where} has {by} voxels and does not name its axes: the {shape[axis]} of the "
        f"{place} may be planes, channels or colours; give --axes {usual} if they are "
        f"{names.letters[axis]}, else what the axes are, a letter of tczyx for each (one "
        "plane of many channels is no volume)"
    )
    raise VolumeError(message)


def _is_no_name(name: object) -> bool:
    return name is None or _NO_NAME.fullmatch(str(name).strip().lower()) is not None

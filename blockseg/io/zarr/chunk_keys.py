"""Names of an array's chunks, and those found in its folder."""

from __future__ import annotations

import itertools
import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from blockseg.io.stores.location import RemotePath

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from blockseg.io.layout import KeyStyle
    from blockseg.io.stores.location import Location

_METADATA = frozenset({".zarray", ".zgroup", "zarr.json", "attributes.json"})
_CHUNK = re.compile(r"(?:[^/]+/)*?(?:c[./])?\d+(?:[./]\d+)+")
_OBJECTS = 2000  # of a store, which are listed a thousand a request
_DEEPEST = 7  # folders below the array's: five axes, a prefix, and one to spare
_SPELLINGS = (("", "."), ("", "/"), ("c/", "/"), ("c.", "."), ("c/", "."))


def spellings_of(style: KeyStyle) -> Iterator[KeyStyle]:
    """Yield the other spellings of a style, N5's, those of Zarr v2 and v3 among them."""
    for prefix, separator in _SPELLINGS:
        if (prefix, separator) != (style.prefix, style.separator):
            yield replace(style, prefix=prefix, separator=separator)


def orders_of(style: KeyStyle) -> Iterator[KeyStyle]:
    """Yield a style itself, the style that counts backwards, and all other orders."""
    yield style
    yield replace(style, order=style.order[::-1])
    for order in itertools.permutations(style.order):
        if order not in (style.order, style.order[::-1]):
            yield replace(style, order=order)


def names_in(
    folder: Location,
    *,
    entries: int,
    folders: int,
    fan: int,
    like: re.Pattern[str] = _CHUNK,
    enters: Callable[[str], bool] = lambda _: True,
) -> list[str]:
    """Return the names of files in a folder that look like chunk keys, '/'-separated.

    Folders that are arrays or groups of their own are passed over.

    Parameters
    ----------
    folder
        Where to begin.
    entries, folders
        How many are looked at at most, in all.
    fan
        How many folders are entered in each, the first and the last among them.
    like
        What such names match as a whole.
    enters
        Whether to look into a folder, by its name relative to the first.
    """
    if isinstance(folder, RemotePath):
        return _names_in_store(folder, min(entries, _OBJECTS), like)
    found: list[str] = []
    waiting = [""]
    while waiting and entries > 0 and folders > 0:
        inner = waiting.pop()
        files, below, own = _listed(folder / inner, entries)
        entries, folders = entries - len(files) - len(below), folders - 1
        if inner and own:
            continue
        found += [f"{inner}{name}" for name in files if like.fullmatch(inner + name)]
        names = [name for name in below if enters(f"{inner}{name}")]
        if inner.count("/") < _DEEPEST:
            waiting += [f"{inner}{name}/" for name in reversed(_spread(names, fan))]
    return found


def _names_in_store(folder: RemotePath, most: int, like: re.Pattern[str]) -> list[str]:
    """Return such names among the first objects of a store: two pages of a listing."""
    if not folder.address.listable:
        return []
    try:
        names = [name for name, _ in itertools.islice(folder.below(), most)]
    except OSError:
        return []
    return [name for name in names if like.fullmatch(name)]


def _listed(folder: Path, limit: int) -> tuple[list[str], list[str], bool]:
    """Return files and folders in a folder, and whether it has metadata of its own."""
    try:
        with os.scandir(folder) as listing:
            some = list(itertools.islice(listing, limit))
    except OSError:
        return [], [], False
    below = [entry.name for entry in some if entry.is_dir() and entry.name[0] != "."]
    names = {entry.name for entry in some}
    return sorted(names - {*below}, key=_by_size), below, bool(names & _METADATA)


def _spread(names: list[str], count: int) -> list[str]:
    """Return some names from the first to the last, of numbers and of others alike."""
    chosen = []
    for numbers in (True, False):
        kind = sorted((n for n in names if n.isdecimal() is numbers), key=_by_size)
        taken = min(count, len(kind))
        last = max(taken - 1, 1)
        chosen += [kind[i * (len(kind) - 1) // last] for i in range(taken)]
    return chosen


def _by_size(name: str) -> tuple[int, str]:
    return len(name), name

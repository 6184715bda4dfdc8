"""Layout of N5 datasets and multiscale groups, from their JSON alone.

N5 counts the fastest axis first; everything returned here is in C order.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.errors import VolumeError
from blockseg.core.untrusted.json_text import MALFORMED, shortened
from blockseg.io.layout import (
    LABEL_MULTISET,
    MOST_LEVELS,
    AbsentLevel,
    ArrayLayout,
    ImageLayout,
    KeyStyle,
    SearchBudget,
    child_folders,
    joined,
)
from blockseg.io.n5.attributes import perhaps_attributes, read_attributes
from blockseg.io.n5.space import n5_space
from blockseg.io.stores.location import RemotePath, inner_of, lies_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blockseg.io.n5.attributes import N5Attributes
    from blockseg.io.stores.location import Location

_LEVEL = re.compile(r"s(\d{1,2})", re.ASCII)
_DEPTH = 6  # groups below the root in which datasets are looked for


def n5_container(path: Location) -> tuple[Location, str] | None:
    """Return the outermost N5 group around a path, and the path inside it.

    Returns
    -------
    None if no folder on the way states N5's version or is a dataset.
    """
    folders = [path, *path.parents]
    stated = [read_attributes(path), *map(perhaps_attributes, path.parents)]
    pairs = list(zip(folders, stated, strict=True))
    roots = [folder for folder, found in pairs if found.is_root]
    datasets = [folder for folder, found in pairs if found.is_dataset]
    if not roots and not datasets:
        return None
    container = roots[-1] if roots else datasets[-1]
    return container, inner_of(path, container).removeprefix(".")


def n5_image(container: Location, path: str) -> ImageLayout | None:
    """Return the dataset or the multiscale group at ``path``; None for other groups.

    Raises
    ------
    VolumeError
        If there is no folder at the path, or its metadata are damaged.
    """
    folder = container / path
    attributes = read_attributes(folder)
    if not attributes.is_dataset and not _is_there(folder):
        message = f"{folder} does not exist"
        raise VolumeError(message)
    if attributes.is_dataset:
        return ImageLayout(path, (_array(container, path, attributes),))
    levels = _levels(folder)
    if not levels:
        return None
    arrays = [
        _array(container, joined(path, name), read_attributes(folder / name))
        for _, name in levels
    ]
    return ImageLayout(path, tuple(arrays), tuple(_absent(folder, attributes, levels)))


def n5_images(container: Location, path: str = "") -> list[str]:
    """Return the paths of all datasets and multiscale groups in a group, sorted."""
    return list(_search(container, path, _DEPTH, SearchBudget(container)))


def _search(
    container: Location, path: str, depth: int, budget: SearchBudget
) -> Iterator[str]:
    budget.spend()
    folder = container / path
    if read_attributes(folder).is_dataset or _levels(folder):
        yield path
        return
    if depth:
        for name in sorted(child_folders(folder), key=_natural):
            inner = joined(path, name)
            yield from _search(container, inner, depth - 1, budget)


def _levels(folder: Location) -> list[tuple[int, str]]:
    found = []
    for child in _children(folder):
        match = _LEVEL.fullmatch(child.name)
        if match and read_attributes(child).is_dataset:
            found.append((int(match[1]), child.name))
    return sorted(found)


def _is_there(folder: Location) -> bool:
    return folder.is_dir() or (folder / "attributes.json").is_file()


def _children(folder: Location) -> Iterator[Location]:
    """Yield what is in a group; where nothing can be listed, levels by their names."""
    if not isinstance(folder, RemotePath) or folder.address.listable:
        yield from folder.iterdir()
        return
    for number in range(MOST_LEVELS):
        child = folder / f"s{number}"
        if not (child / "attributes.json").is_file():
            return
        yield child


def _absent(
    folder: Location, attributes: N5Attributes, levels: list[tuple[int, str]]
) -> Iterator[AbsentLevel]:
    """Yield the levels that a group's downsampling factors count and that are not there."""
    there = {number for number, _ in levels}
    counts = (
        found.declared_levels
        for found in (attributes, perhaps_attributes(folder.parent))
    )
    declared = next((count for count in counts if count is not None), 0)
    for number in range(max(max(there) + 1, min(declared, MOST_LEVELS))):
        if number not in there:
            reason = (
                f"{folder} has resolution levels, but no level {number}: s{number} is no "
                "N5 dataset; the copy is incomplete"
            )
            yield AbsentLevel(number, reason)


def _array(container: Location, path: str, attributes: N5Attributes) -> ArrayLayout:
    folder = container / path
    try:
        shape, chunks = attributes.shape, attributes.chunks
        around = perhaps_attributes(folder.parent)
        multisets = attributes.holds_multisets or around.holds_multisets
        stored = LABEL_MULTISET if multisets else attributes.dtype
        codec = attributes.codec
        axis_names = attributes.axes(len(shape))
        axes = axis_names.letters
    except MALFORMED as error:
        message = f"{attributes.file} cannot be understood ({shortened(error)})"
        raise VolumeError(message) from error
    if len(chunks) != len(shape) or min(chunks, default=1) < 1:
        message = f"{attributes.file}: dimensions and blockSize do not fit each other"
        raise VolumeError(message)
    match = _LEVEL.fullmatch(folder.name)
    level = int(match[1]) if match and folder != container else 0
    inside = [folder, *(p for p in folder.parents if lies_in(p, container))]
    lineage = [read_attributes(p) for p in inside]
    files = tuple(found.file for found in lineage if found.file.is_file())
    array = ArrayLayout(
        container=container,
        path=path,
        format="n5",
        shape=shape,
        dtype=_numpy_dtype(stored),
        stored_dtype=stored,
        chunks=chunks,
        files=chunks,
        codecs=(codec,),
        axes=axes,
        axis_names=axis_names,
        keys=KeyStyle(tuple(reversed(range(len(shape))))),
        level=level,
        metadata_files=files,
    )
    finest = read_attributes(folder.parent / "s0") if level else None
    return replace(array, space=n5_space(lineage, axes, level, finest))


def _numpy_dtype(stored: str) -> np.dtype[Any] | None:
    try:
        dtype = np.dtype(stored)
    except TypeError:
        return None
    return None if dtype.hasobject else dtype


def _natural(name: str) -> list[tuple[float, str]]:
    parts = re.split(r"(\d+)", name)
    return [(int(p), "") if p.isdigit() else (math.inf, p) for p in parts]

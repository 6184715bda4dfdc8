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
from blockseg.io.axis_names import AxisNames, letter_of
from blockseg.io.layout import (
    LABEL_MULTISET,
    AbsentLevel,
    ArrayLayout,
    ImageLayout,
    load_json,
)
from blockseg.io.n5.space import n5_space

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["n5_compression", "n5_container", "n5_image", "n5_images", "n5_metadata"]

_FILE = "attributes.json"
_MULTISET = "isLabelMultiset"
_LEVEL = re.compile(r"s(\d+)")
_DEPTH = 6  # groups below the root in which datasets are looked for


def n5_container(path: Path) -> tuple[Path, str] | None:
    """Return the outermost N5 group around a path, and the path inside it.

    Returns
    -------
    None if no folder on the way states N5's version or is a dataset.
    """
    folders = [path, *path.parents]
    stated = {p: _attributes(p) if p == path else _perhaps(p) for p in folders}
    roots = [p for p in folders if "n5" in stated[p]]
    datasets = [p for p in folders if _is_dataset(stated[p])]
    if not roots and not datasets:
        return None
    container = roots[-1] if roots else datasets[-1]
    return container, path.relative_to(container).as_posix().removeprefix(".")


def n5_image(container: Path, path: str) -> ImageLayout | None:
    """Return the dataset or the multiscale group at ``path``; None for other groups.

    Raises
    ------
    VolumeError
        If there is no folder at the path, or its metadata are damaged.
    """
    folder = container / path
    if not folder.is_dir():
        message = f"{folder} does not exist"
        raise VolumeError(message)
    attributes = _attributes(folder)
    if _is_dataset(attributes):
        return ImageLayout(path, (_array(container, path, attributes),))
    levels = _levels(folder)
    if not levels:
        return None
    arrays = [
        _array(container, _join(path, name), _attributes(folder / name))
        for _, name in levels
    ]
    return ImageLayout(path, tuple(arrays), tuple(_absent(folder, attributes, levels)))


def n5_images(container: Path, path: str = "") -> list[str]:
    """Return the paths of all datasets and multiscale groups in a group, sorted."""
    return list(_search(container, path, _DEPTH))


def n5_metadata(layout: ArrayLayout) -> dict[str, Any]:
    """Return the metadata that say how blocks are stored, in N5's own spelling.

    Keys that some writers add and that change nothing in the blocks, such as
    Blosc's number of threads, are left out.
    """
    attributes = _attributes(layout.folder)
    name, settings = n5_compression(attributes)
    return {
        "dimensions": attributes["dimensions"],
        "blockSize": attributes["blockSize"],
        "dataType": attributes["dataType"],
        "compression": {"type": name, **settings},
    }


def n5_compression(attributes: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the name of a dataset's compression, and the settings that decode it."""
    stated = attributes.get("compression")
    if not isinstance(stated, dict):  # before N5 2.0
        return str(attributes.get("compressionType", stated or "raw")), {}
    kept = {
        "gzip": ("level", "useZlib"),
        "bzip2": ("blockSize",),
        "xz": ("preset",),
        "blosc": ("cname", "clevel", "shuffle", "blocksize"),
        "zstd": ("level",),
    }
    name = str(stated.get("type", "raw"))
    return name, {k: stated[k] for k in kept.get(name, ()) if k in stated}


def _search(container: Path, path: str, depth: int) -> Iterator[str]:
    folder = container / path
    if _is_dataset(_attributes(folder)) or _levels(folder):
        yield path
        return
    if depth:
        children = [p.name for p in folder.iterdir() if p.is_dir()]
        for name in sorted(children, key=_natural):
            if not name.startswith("."):
                yield from _search(container, _join(path, name), depth - 1)


def _levels(folder: Path) -> list[tuple[int, str]]:
    found = []
    for child in folder.iterdir():
        match = _LEVEL.fullmatch(child.name)
        if match and _is_dataset(_attributes(child)):
            found.append((int(match[1]), child.name))
    return sorted(found)


def _absent(
    folder: Path, attributes: dict[str, Any], levels: list[tuple[int, str]]
) -> Iterator[AbsentLevel]:
    """Yield the levels that a group's downsampling factors count and that are not there."""
    there = {number for number, _ in levels}
    declared = max(there) + 1
    for stated in (attributes, _perhaps(folder.parent)):
        factors = stated.get("downsamplingFactors", stated.get("scales"))
        if isinstance(factors, list) and all(isinstance(f, list) for f in factors):
            declared = max(declared, len(factors))
            break
    for number in range(declared):
        if number not in there:
            reason = (
                f"{folder} has resolution levels, but no level {number}: s{number} is no "
                "N5 dataset; the copy is incomplete"
            )
            yield AbsentLevel(number, reason)


def _attributes(folder: Path) -> dict[str, Any]:
    return load_json(folder / _FILE) or {}


def _perhaps(folder: Path) -> dict[str, Any]:
    """Return the attributes of a folder that may have nothing to do with N5."""
    try:
        return _attributes(folder)
    except VolumeError:
        return {}


def _is_dataset(attributes: dict[str, Any]) -> bool:
    return {"dimensions", "blockSize", "dataType"} <= attributes.keys()


def _array(container: Path, path: str, attributes: dict[str, Any]) -> ArrayLayout:
    folder = container / path
    try:
        shape = tuple(int(n) for n in reversed(attributes["dimensions"]))
        chunks = tuple(int(n) for n in reversed(attributes["blockSize"]))
        stored = str(attributes["dataType"])
        if any(a.get(_MULTISET) is True for a in (attributes, _perhaps(folder.parent))):
            stored = LABEL_MULTISET
        name, settings = n5_compression(attributes)
        axis_names = _axes(attributes, len(shape))
        axes = axis_names.letters
    except (TypeError, ValueError, AttributeError) as error:
        message = f"{folder / _FILE} cannot be understood ({error!r})"
        raise VolumeError(message) from error
    if len(chunks) != len(shape) or min(chunks, default=1) < 1:
        message = f"{folder / _FILE}: dimensions and blockSize do not fit each other"
        raise VolumeError(message)
    match = _LEVEL.fullmatch(folder.name)
    level = int(match[1]) if match and folder != container else 0
    inside = [folder, *(p for p in folder.parents if p.is_relative_to(container))]
    lineage = [_attributes(p) for p in inside]
    files = tuple(p / _FILE for p in inside if (p / _FILE).is_file())
    array = ArrayLayout(
        container=container,
        path=path,
        format="n5",
        shape=shape,
        dtype=_numpy_dtype(stored),
        stored_dtype=stored,
        chunks=chunks,
        files=chunks,
        codecs=("-".join(filter(None, [name, settings.get("cname", "")])),),
        axes=axes,
        axis_names=axis_names,
        reversed_keys=True,
        level=level,
        metadata_files=files,
    )
    finest = _attributes(folder.parent / "s0") if level else {}
    return replace(array, space=n5_space(lineage, axes, level, finest))


def _axes(attributes: dict[str, Any], ndim: int) -> AxisNames:
    """Return the axes of a dataset in C order."""
    stated = attributes.get("axes")
    if not isinstance(stated, list):
        # Both of these count the slowest axis first.
        transform = attributes.get("transform")
        named = transform.get("axes") if isinstance(transform, dict) else None
        return AxisNames.of(named or attributes.get("_ARRAY_DIMENSIONS"), ndim)
    # x is N5's first axis, whichever way round the writer lists them.
    written = AxisNames.of(stated, ndim)
    turned = AxisNames.of(stated[::-1], ndim)
    return written if stated and letter_of(str(stated[-1])) == "x" else turned


def _numpy_dtype(stored: str) -> np.dtype[Any] | None:
    try:
        dtype = np.dtype(stored)
    except TypeError:
        return None
    return None if dtype.hasobject else dtype


def _natural(name: str) -> list[tuple[float, str]]:
    parts = re.split(r"(\d+)", name)
    return [(int(p), "") if p.isdigit() else (math.inf, p) for p in parts]


def _join(*parts: str) -> str:
    return "/".join(part for part in parts if part)

"""Folders and globs of 2-D TIFF slices: which files, and whether they fit together."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from blockseg.core.errors import VolumeError
from blockseg.volume.tiff_directory import TiffPageInfo, is_tiff, walk_pages

__all__ = ["check_file", "check_slices", "is_glob", "slice_files"]

_THREADS = 8  # slices opened at once; network file systems answer slowly


def is_glob(text: str) -> bool:
    """Say whether a path holds wildcards."""
    return glob.has_magic(text)


def slice_files(uri: str) -> list[str]:
    """Return the TIFF files of a folder or a glob, sorted naturally.

    In a folder, files that are no TIFF (previews, notes) are left out; those
    that a glob names are all wanted.

    Raises
    ------
    VolumeError
        If a file cannot be read, or a glob names one that is no TIFF.
    """
    if is_glob(uri) and not Path(uri).exists():
        matches = glob.glob(uri, recursive=True)  # noqa: PTH207 - of any root
        names = [name for name in matches if Path(name).is_file()]
        strict = True
    else:
        with os.scandir(uri) as entries:
            names = [e.path for e in entries if e.name[0] != "." and e.is_file()]
        strict = False
    names.sort(key=_natural)
    with ThreadPoolExecutor(_THREADS) as pool:
        good = list(pool.map(is_tiff, names))
    if strict and not all(good):
        message = f"{names[good.index(False)]} is not a TIFF file; narrow {uri}"
        raise VolumeError(message)
    return [name for name, is_good in zip(names, good, strict=True) if is_good]


def check_file(path: str) -> list[TiffPageInfo]:
    """Return the pages of a TIFF file, all of them complete.

    Raises
    ------
    VolumeError
        If the file is truncated, or damaged.
    """
    return list(walk_pages(path))


def check_slices(files: list[str]) -> TiffPageInfo:
    """Check that slices are complete and alike; return what each of them holds.

    Raises
    ------
    VolumeError
        Names the first file that is truncated, holds several pages, or differs
        from most others in shape or type.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        checked = list(pool.map(check_file, files))
    for file, pages in zip(files, checked, strict=True):
        if len(pages) > 1:
            message = (
                f"{file} holds {len(pages)} pages, but slices hold one; give one "
                "multi-page file, or a folder of 2-D slices"
            )
            raise VolumeError(message)
    kinds = [(pages[0].shape, pages[0].pixel) for pages in checked]
    ((usual, _),) = Counter(kinds).most_common(1)
    for file, kind in zip(files, kinds, strict=True):
        if kind != usual:
            message = (
                f"{file} is {_described(*kind)}, unlike most slices beside it, which "
                f"are {_described(*usual)}; move it away or use a glob"
            )
            raise VolumeError(message)
    return next(p[0] for p in checked)


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Sort key in which ``img9`` comes before ``img10``."""
    parts = re.split(r"(\d+)", name)
    key = [(0, int(p), "") if p.isdecimal() else (1, 0, p.lower()) for p in parts]
    return [*key, (2, 0, name)]


def _described(shape: tuple[int, int, int], pixel: tuple[int, int, int]) -> str:
    bits, sample_format, samples = pixel
    kind = {1: "unsigned", 2: "signed", 3: "float"}.get(sample_format, "unknown")
    colour = f", {samples} samples" if samples > 1 else ""
    return f"{shape[1]}×{shape[2]} pixels of {bits} bits {kind}{colour}"

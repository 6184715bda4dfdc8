"""Folders and globs of 2-D TIFF slices: which files, and whether they fit together."""

from __future__ import annotations

import glob
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from blockseg.core.errors import VolumeError
from blockseg.io.ahead import batches, map_ahead
from blockseg.io.slice_names.fields import TIFF_SUFFIX, skeleton
from blockseg.io.slice_names.order import arrange, other_axis
from blockseg.io.tiff.directory import TiffPageInfo, check_file, is_tiff

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_THREADS = 8  # slices opened at once; network file systems answer slowly
_BATCH = 64  # slices a thread looks at in one go; handing over costs as much as one


def tiff_files(uri: str) -> list[str]:
    """Return the files of a folder or a glob that are meant to be TIFF, in any order.

    By their suffix; in a folder, others count where they are TIFF or named like those
    that are, and what else lies there (previews, notes) does not. Those that a glob names
    are all wanted.

    Raises
    ------
    VolumeError
        If a file cannot be read, or a glob names one that is no TIFF.
    """
    return _look(uri)[0]


def slice_files(uri: str, *, allow_gaps: bool | None = False) -> list[str | None]:
    """Return the slices of a folder or a glob in the order of their planes.

    Parameters
    ----------
    uri
        The folder or glob.
    allow_gaps
        Whether planes may be missing; they are None. As for :func:`arrange`.

    Raises
    ------
    VolumeError
        If the names hold two counters, a number twice or gaps, or something that is no
        file is named like a slice.
    """
    files, strange = _look(uri)
    if not files:
        return []
    if strange:
        message = (
            f"{strange[0]} is named like a slice but is no regular file; restore it "
            "from a copy, or move it away"
        )
        raise VolumeError(message)
    root, names = _relative(files)
    others = _beside(files, root)
    arranged = arrange(names, root, allow_gaps=allow_gaps, others=others)
    return [None if i is None else files[i] for i in arranged.order]


def slice_doubt(uri: str) -> str:
    """Return why the slices of a folder or glob may not be neighbours; mostly empty.

    Raises
    ------
    VolumeError
        As :func:`slice_files`.
    """
    root, names = _relative(_look(uri)[0])
    return arrange(names, root).doubt


def require_planes(files: Sequence[str | None], uri: str) -> None:
    """Refuse a few slices that by their names are rather channels, tiles or times.

    Parameters
    ----------
    files
        Of the planes; None for a plane that is missing.
    uri
        How to call them in messages.

    Raises
    ------
    VolumeError
        With the values that tell them apart.
    """
    _, names = _relative([file for file in files if file is not None])
    values = other_axis(names)
    if values:
        message = (
            f"{uri}: its {len(names)} slices differ in {values} alone, which may be "
            "channels, tiles or times; give --axes zyx if they are planes (one plane of "
            "each is no volume)"
        )
        raise VolumeError(message)


def check_slices(files: Sequence[str | None]) -> TiffPageInfo:
    """Check that slices are complete and alike; return what each of them holds.

    Parameters
    ----------
    files
        Of the planes; None for a plane that is missing.

    Raises
    ------
    VolumeError
        Names the first file that is no TIFF, truncated, holds several pages, or differs
        from most others in shape or type.
    """
    stored = [file for file in files if file is not None]
    found = map_ahead(_check_files, batches(stored, _BATCH), _THREADS)
    checked = [pages for some in found for pages in some]
    for file, pages in zip(stored, checked, strict=True):
        if len(pages) > 1:
            message = (
                f"{file} holds {len(pages)} pages, but slices hold one; give one "
                "multi-page file, or a folder of 2-D slices"
            )
            raise VolumeError(message)
    kinds = [(pages[0].shape, pages[0].pixel) for pages in checked]
    ((usual, _),) = Counter(kinds).most_common(1)
    for file, kind in zip(stored, kinds, strict=True):
        if kind != usual:
            message = (
                f"{file} is {_described(*kind)}, unlike most slices beside it, which "
                f"are {_described(*usual)}; move it away or use a glob"
            )
            raise VolumeError(message)
    return next(p[0] for p in checked)


def _check_files(paths: Sequence[str]) -> list[list[TiffPageInfo]]:
    return [check_file(path) for path in paths]


def _look(uri: str) -> tuple[list[str], list[str]]:
    """Return files meant to be TIFF, and names like theirs that are no regular files."""
    strict = glob.has_magic(uri) and not Path(uri).exists()
    seen = list(_matches(uri) if strict else _entries(uri))
    files = [path for path, regular in seen if regular and TIFF_SUFFIX.search(path)]
    others = [
        path for path, regular in seen if regular and not TIFF_SUFFIX.search(path)
    ]
    with ThreadPoolExecutor(_THREADS) as pool:
        good = list(pool.map(is_tiff, others))
    if strict and not all(good):
        message = f"{others[good.index(False)]} is not a TIFF file; narrow {uri}"
        raise VolumeError(message)
    bare = [path for path, is_good in zip(others, good, strict=True) if is_good]
    kinds = {skeleton(_name(path)) for path in bare}

    def fits(path: str) -> bool:
        return skeleton(_name(path)) in kinds

    strange = [path for path, regular in seen if not regular]
    return (
        files + [path for path in others if fits(path)],
        [path for path in sorted(strange) if TIFF_SUFFIX.search(path) or fits(path)],
    )


def _beside(files: Sequence[str], root: str) -> Iterator[str]:
    """Yield what lies in the folders of files but is none of them, relative to ``root``."""
    known = set(files)
    for folder in {_folder(file) for file in files}:
        for path, _ in _entries(folder or "."):
            if path not in known:
                yield os.path.relpath(path, root)


def _entries(folder: str) -> Iterator[tuple[str, bool]]:
    """Yield what lies in a folder and is not hidden, and whether it is a regular file."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name[0] == ".":
                continue
            try:
                regular = entry.is_file()
            except OSError:  # a link that loops
                regular = False
            yield entry.path, regular


def _matches(pattern: str) -> Iterator[tuple[str, bool]]:
    for path in glob.glob(pattern, recursive=True):  # noqa: PTH207 - of any root
        yield path, Path(path).is_file()


def _folder(path: str) -> str:
    folder, slash, _ = path.rpartition("/")
    return folder or slash


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _relative(files: Sequence[str]) -> tuple[str, list[str]]:
    """Return the folder that holds all files, and their names in it."""
    root = os.path.commonpath({_folder(file) for file in files})
    start = len(root.rstrip("/")) + 1 if root else 0
    return root or ".", [file[start:] for file in files]


def _described(shape: tuple[int, int, int], pixel: tuple[int, int, int]) -> str:
    bits, sample_format, samples = pixel
    kind = {1: "unsigned", 2: "signed", 3: "float"}.get(sample_format, "unknown")
    colour = f", {samples} samples" if samples > 1 else ""
    return f"{shape[1]}×{shape[2]} pixels of {bits} bits {kind}{colour}"

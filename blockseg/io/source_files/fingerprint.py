"""Fingerprint of a source, which tells whether it is the one that a run began with.

Cheap at any size: metadata are hashed, and of the data the sizes and times of a
few files, always the same ones, are compared. All files of a run's source are looked at
by :mod:`~blockseg.io.source_files.files`.
"""

from __future__ import annotations

import hashlib
import math
import os
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from blockseg.core.errors import VolumeError
from blockseg.core.text import times
from blockseg.io.formats.table import image_of
from blockseg.io.open import open_volume
from blockseg.io.source_files.listing import THREADS, file_row
from blockseg.io.source_files.table import ABSENT
from blockseg.io.stores.location import inner_of, lies_in
from blockseg.io.tiff.slices import slice_files

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blockseg.core.specs import VolumeSpec
    from blockseg.io.layout import ArrayLayout
    from blockseg.io.stores.location import Location

Fingerprint: TypeAlias = "dict[str, str | int | list[str] | list[int]]"

_SAMPLED = 64
_HEAD = 65_536  # bytes of a TIFF file's start that count as its metadata


def fingerprint(spec: VolumeSpec) -> Fingerprint:
    """Return the identity of a source, as plain JSON values.

    Parameters
    ----------
    spec
        From :func:`find`.

    Returns
    -------
    Shape, type, choices, a SHA-256 of the metadata, and one line for each file
    that was looked at: its name, size in bytes and time of change in ns. Chunk
    files (shards, slices) are sampled evenly, 64 at most; a missing one counts.

    Raises
    ------
    VolumeError
        If the source cannot be opened.
    """
    volume = open_volume(spec)
    found: Fingerprint = {
        "uri": spec.uri,
        "path": spec.path,
        "format": spec.format,
        "channel": spec.channel,
        "timepoint": spec.timepoint,
        "shape": list(volume.shape),
        "dtype": volume.dtype.name,
    }
    if spec.format == "memory":
        found["metadata"] = hashlib.sha256(spec.uri.encode()).hexdigest()
        return found
    if spec.format != "tiff":
        layout = array_layout(spec)
        found["metadata"] = _sha256(layout.metadata_files)
        root = layout.together[0].parent if layout.together else layout.container
        found["store"] = _stats(layout.metadata_files, root)
        found["chunks"] = _stats(_sampled_chunks(layout), root)
        return found
    file = Path(spec.uri)
    if file.is_file():
        found["metadata"] = _sha256([file], _HEAD)
        found["store"] = _stats([file], file.parent)
        return found
    planes = slice_files(spec.uri, allow_gaps=spec.allow_gaps)
    files = [Path(name) for name in planes if name is not None]
    common = Path(os.path.commonpath(files))
    # A plane that is missing is a line without a name.
    names = "\n".join((name or "").removeprefix(f"{common}/") for name in planes)
    found["slices"] = len(files)
    found["metadata"] = hashlib.sha256(names.encode()).hexdigest()
    sample = [files[i] for i in evenly(len(files))]
    found["chunks"] = _stats(sample, common)
    return found


def differences(
    was: Fingerprint, is_now: Fingerprint, *, data: bool = True
) -> list[str]:
    """Return one line for each thing in which two fingerprints differ.

    The place is none of them: a source that was moved with its times is the same.

    Parameters
    ----------
    was, is_now
        Of the same source, at two times.
    data
        Whether files that hold voxels count.
    """
    found = []
    aside = {"uri"} if data else {"uri", *_of_data(was, is_now)}
    for key in sorted((was.keys() | is_now.keys()) - aside):
        before, after = was.get(key), is_now.get(key)
        if before == after:
            continue
        if key in ("store", "chunks"):
            found.append(_changed_files(key, before, after))
        elif key == "metadata":
            found.append("metadata have changed")
        else:
            found.append(f"{key} was {_shown(before)} and is {_shown(after)}")
    return found


def array_layout(spec: VolumeSpec) -> ArrayLayout:
    """Return the stored array of a source that is one.

    Raises
    ------
    VolumeError
        If it is gone, or the source is of another format.
    """
    image = image_of(spec)
    if image is None:
        message = f"{spec.uri} is not an array in a container of them"
        raise VolumeError(message)
    return image.levels[0]


def _of_data(was: Fingerprint, is_now: Fingerprint) -> set[str]:
    """Return the keys that tell of files with voxels."""
    if is_now.get("format") != "tiff" or "slices" in is_now:
        return {"chunks"}
    # One file is metadata and data in one: where it was written anew, neither counts.
    return {"store", "metadata"} if was.get("store") != is_now.get("store") else set()


def _sampled_chunks(layout: ArrayLayout) -> list[Location]:
    if layout.together:
        return [layout.together[i] for i in evenly(len(layout.together))]
    counts = layout.file_counts
    numbers = evenly(math.prod(counts))
    places = (np.unravel_index(number, counts) for number in numbers)
    return [layout.chunk_file(tuple(int(n) for n in place)) for place in places]


def evenly(count: int) -> list[int]:
    """Return which of so many files are looked at: 64 at most, always the same ones."""
    taken = min(_SAMPLED, count)
    return [(2 * i + 1) * count // (2 * taken) for i in range(taken)]


def _sha256(files: Sequence[Location], limit: int | None = None) -> str:
    digest = hashlib.sha256()
    for file in files:
        try:
            with file.open("rb") as stream:
                digest.update(stream.read(-1 if limit is None else limit))
        except OSError as error:
            message = f"{file} cannot be read: {error.strerror or error}"
            raise VolumeError(message) from error
    return digest.hexdigest()


def _stats(files: Sequence[Location], root: Location) -> list[str]:
    # In threads: of a store each answer takes its time, and a disk does not mind.
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(_stat, files, repeat(root)))


def _stat(file: Location, root: Location) -> str:
    name = inner_of(file, root) if lies_in(file, root) else str(file)
    _, size, time = file_row(0, file)
    return f"{name}: absent" if size == ABSENT else f"{name}: {size} bytes, {time} ns"


def _changed_files(key: str, before: object, after: object) -> str:
    what = {"store": "metadata files", "chunks": "sampled files of data"}[key]
    lines = [
        set(lines) if isinstance(lines, list) else set() for lines in (before, after)
    ]
    changed = sorted({line.rsplit(": ", 1)[0] for line in lines[0] ^ lines[1]})
    return f"{len(changed)} {what} have changed, such as {changed[0]}"


def _shown(value: object) -> str:
    if value is None:
        return "not stated"
    if isinstance(value, list):
        return times(value)
    return repr(value)

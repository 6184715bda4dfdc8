"""Creation of an output: its metadata written, its files looked after."""

from __future__ import annotations

import itertools
import json
import os
import zlib
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.errors import ConfigError, VolumeError
from blockseg.core.geometry import Roi
from blockseg.core.stored_file import StoredFile
from blockseg.core.untrusted.files import METADATA_BYTES, read_text
from blockseg.core.untrusted.json_text import parse_json
from blockseg.io.affordable import chunks_of
from blockseg.io.output.atomic_files import replace_file
from blockseg.io.output.label_listing import FOLDER, with_labels
from blockseg.io.output.metadata import (
    array_file,
    array_text,
    group_files,
    image_files,
    label_files,
    labels_files,
    provenance_in,
)
from blockseg.io.output.write_errors import write_error
from blockseg.io.stores.address import is_remote
from blockseg.io.stores.location import RemotePath, inner_of, location

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from blockseg.io.output.provenance import Provenance
    from blockseg.io.output.pyramid import PyramidSpec
    from blockseg.io.stores.location import Location

_LOCK = ".__lock"
_PARTIAL = ".partial"
_METADATA = frozenset({"zarr.json", ".zarray", ".zgroup", ".zattrs"})


def create_output(
    image: PyramidSpec,
    *labels: PyramidSpec,
    ours: Iterable[StoredFile] = (),
    shared: bool = False,
) -> tuple[StoredFile, ...]:
    """Write the metadata of an output; again gives the same bytes.

    Parameters
    ----------
    image
        Its ``uri`` is the output.
    labels
        Masks of the image, each with the ``uri`` OUT/labels/NAME.
    ours
        Metadata that this very run wrote before: where they differ now they are
        damaged, and written anew.
    shared
        Other drivers may write the same metadata at the same time.

    Returns
    -------
    tuple of StoredFile
        The files, to be given as ``ours`` another time.

    Raises
    ------
    ConfigError
        If a mask does not belong to the image.
    VolumeError
        If the output cannot be written, or holds arrays of other shapes or codecs.
    NoSpaceError
        If the disk is full.
    """
    documents = _documents(image, labels)
    return _write(location(image.uri), documents, ours, shared=shared)


def add_images(
    root: Location, images: Iterable[PyramidSpec], ours: Iterable[StoredFile] = ()
) -> tuple[StoredFile, ...]:
    """Write the metadata of images that a derived job adds to an output.

    Parameters
    ----------
    root
        The output.
    images
        Their ``within`` says where in it they lie; one in ``labels/`` becomes a label
        image of the output and is listed there.
    ours
        As of :func:`create_output`.

    Returns
    -------
    tuple of StoredFile
        The files that belong to these images alone, to be given as ``ours`` another time.

    Raises
    ------
    VolumeError, NoSpaceError
        As of :func:`create_output`.
    """
    files: dict[Location, str] = {}
    labels: list[PyramidSpec] = []
    for image in images:
        group = location(image.uri)
        is_label = group.parent == root / FOLDER
        labels += [image] * is_label
        described = label_files(image) if is_label else image_files(image)
        files |= _arrays(image) | _below(group, described)
    written = _write(root, files, ours)
    if labels:  # once they are there
        for path, text in _listing(root, labels).items():
            _replace(path, text)
    return written


def image_provenance(group: Location) -> Provenance | None:
    """Return the provenance stated by the image of a group; None if it states none."""
    texts = {}
    for name in ("zarr.json", ".zattrs"):
        with suppress(OSError, ValueError):
            texts[name] = read_text(group / name, METADATA_BYTES)
    return provenance_in(texts)


def _write(
    root: Location,
    documents: Mapping[Location, str],
    ours: Iterable[StoredFile],
    *,
    shared: bool = False,
) -> tuple[StoredFile, ...]:
    known, files = set(ours), {}
    for path, text in documents.items():
        name, data = inner_of(path, root), text.encode()
        files[path] = StoredFile(name, len(data), zlib.crc32(data))
        array = path.name in ("zarr.json", ".zarray")
        if array and files[path] not in known and _is_other_array(path, text):
            message = (
                f"{path.parent} already holds an array of another shape, type or codec; "
                "choose another output, or overwrite this one"
            )
            raise VolumeError(message)
    for path, text in documents.items():
        _replace(path, text, shared=shared)
    return tuple(files.values())


def predicted_files(spec: PyramidSpec, blocks: int | None = None) -> int:
    """Return the largest number of files of ``spec``, its own metadata included.

    Parameters
    ----------
    blocks
        How many blocks are not empty; all of them if not given.
    """
    blocks = len(spec.grid) if blocks is None else blocks
    files = len(group_files(spec.zarr_format))
    for level in spec.levels:
        unit = spec.file_shape(level)
        stored = chunks_of(Roi.whole(level.shape), unit).size
        if level.inline:
            stored = min(stored, blocks * chunks_of(Roi.whole(level.shard), unit).size)
        files += 1 + stored
    return files


def missing_files(
    spec: PyramidSpec, block_ids: Iterable[int], level: int = 0
) -> tuple[int, ...]:
    """Return which of the given blocks have no file on disk.

    Parameters
    ----------
    block_ids
        Blocks that were written with at least one nonzero voxel.
    level
        0 for the blocks of the run, which are looked for at every inline level; a
        level of the second pass for its shards.

    Notes
    -----
    In Zarr v3 a block is one file a level. In Zarr v2 it is several, and is missed
    when none of them exists. A mean may round to zero, so only the level itself is
    looked at there.
    """
    looked_at = [spec.levels[level]]
    if level == 0 and spec.reduce == "max":
        looked_at = list(spec.inline_levels)
    ids = np.fromiter(block_ids, np.int64)
    listed = _names_in_store if is_remote(spec.uri) else _names
    indices = np.stack(np.unravel_index(ids, looked_at[0].grid.counts), axis=1)
    gone = np.zeros(len(ids), bool)
    for stored in looked_at:
        names = lru_cache(maxsize=256)(listed)
        folder = str(spec.data_folder(stored))
        files = [
            s // f for s, f in zip(stored.shard, spec.file_shape(stored), strict=True)
        ]
        for row, index in enumerate(indices.tolist()):
            spans = [range(i * n, i * n + n) for i, n in zip(index, files, strict=True)]
            gone[row] |= not any(
                str(x) in names(f"{folder}/{z}/{y}")
                for z, y, x in itertools.product(*spans)
            )
    return tuple(ids[gone].tolist())


def has_data(root: str | Location, but: str) -> bool:
    """Say whether anything but metadata lies in an output.

    Parameters
    ----------
    root
        The output.
    but
        Name of a folder in it that does not count.
    """
    if isinstance(root, RemotePath):
        return any(
            name.rpartition("/")[2] not in _METADATA and not name.startswith(f"{but}/")
            for name, _ in root.below()
        )
    for folder, folders, names in os.walk(root):
        if Path(folder) == Path(root) and but in folders:
            folders.remove(but)
        if any(
            name not in _METADATA and not name.endswith((_LOCK, ".part", _PARTIAL))
            for name in names
        ):
            return True
    return False


def remove_stale_locks(root: str | Location) -> tuple[str, ...]:
    """Delete locks and unfinished files that killed writers left below ``root``.

    Only for whoever holds the lock of the run: those of live writers look the same.

    Returns
    -------
    tuple of str
        Paths of the deleted files, sorted.
    """
    if isinstance(root, RemotePath):
        return ()  # objects are written whole, without locks
    removed = []
    for folder, _, names in os.walk(root):
        for name in names:
            partial = name.startswith(".") and name.endswith(_PARTIAL)
            if partial or name.endswith(_LOCK):
                path = Path(folder, name)
                try:
                    path.unlink(missing_ok=True)
                except OSError as error:
                    raise write_error(error, str(path)) from error
                removed.append(str(path))
    return tuple(sorted(removed))


def _documents(
    image: PyramidSpec, labels: Sequence[PyramidSpec]
) -> dict[Location, str]:
    """Return every metadata file with its text; the root last, so it lists what exists."""
    root = location(image.uri)
    files: dict[Location, str] = {}
    for label in labels:
        group = location(label.uri)
        if group.parent != root / FOLDER or label.zarr_format != image.zarr_format:
            message = (
                f"mask {label.uri} (Zarr v{label.zarr_format}) must lie in labels/ of "
                f"{image.uri} (Zarr v{image.zarr_format})"
            )
            raise ConfigError(message)
        files |= _arrays(label) | _below(group, label_files(label))
    if labels:
        files |= _listing(root, labels)
    return files | _arrays(image) | _below(root, image_files(image))


def _listing(root: Location, labels: Sequence[PyramidSpec]) -> dict[Location, str]:
    """Return the files that list label images, those of others among them."""
    names = with_labels(root / FOLDER, [location(label.uri).name for label in labels])
    return _below(root / FOLDER, labels_files(labels[0].zarr_format, names))


def _arrays(spec: PyramidSpec) -> dict[Location, str]:
    name = array_file(spec.zarr_format)
    return {
        location(spec.uri) / str(level.index) / name: array_text(spec, level)
        for level in spec.levels
    }


def _below(group: Location, files: dict[str, str]) -> dict[Location, str]:
    return {group / name: text for name, text in files.items()}


def _is_other_array(path: Location, text: str) -> bool:
    """Say whether ``path`` describes an array that is not the one of ``text``."""
    try:
        found = parse_json(read_text(path, METADATA_BYTES))
    except (OSError, ValueError):
        return False  # nothing there yet, or torn: it is written anew
    return isinstance(found, dict) and "shape" in found and found != json.loads(text)


def _replace(path: Location, text: str, *, shared: bool = False) -> None:
    data = text.encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # An object is written again without a look: the look costs as much.
        same = isinstance(path, Path) and path.is_file()
        if same and path.read_bytes() == data:
            return
    except OSError as error:
        raise write_error(error, str(path)) from error
    replace_file(path, data, shared=shared)


def _names_in_store(folder: str) -> frozenset[str]:
    place = location(folder)
    try:
        return frozenset(path.name for path in place.iterdir())
    except FileNotFoundError:
        return frozenset()
    except OSError as error:
        raise write_error(error, folder) from error


def _names(folder: str) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder))  # noqa: PTH208  names, not paths
    except FileNotFoundError:
        return frozenset()

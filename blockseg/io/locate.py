"""Recognition of formats by the contents of a path, never by its name alone."""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from blockseg.core.errors import VolumeError
from blockseg.core.places import local_path
from blockseg.io.foreign_formats import folder_of_others, marked_folder, other_file
from blockseg.io.formats.bdv_project import is_bdv_xml
from blockseg.io.formats.hdf5 import MARK as HDF5
from blockseg.io.formats.hdf5 import hdf5_kind
from blockseg.io.formats.pictures import picture_files
from blockseg.io.formats.precomputed import is_precomputed
from blockseg.io.formats.table import ArrayKind
from blockseg.io.formats.v3draw import MARK as V3DRAW
from blockseg.io.formats.zipped import archive_around, is_zip, zarr_in_zip
from blockseg.io.n5.layout import n5_container, n5_images
from blockseg.io.stores.location import Location, RemotePath, location
from blockseg.io.tiff.directory import is_tiff
from blockseg.io.tiff.slices import tiff_files
from blockseg.io.zarr.layout import zarr_container, zarr_images, zarr_kind

Kind: TypeAlias = Literal[ArrayKind, "tiff", "slices"]

_READ = (
    "Zarr v2 or v3, OME-NGFF, N5, Imaris, BigDataViewer, Neuroglancer precomputed, Vaa3D "
    "raw, a TIFF file, and a folder or glob of slices can be read"
)
_START = 512  # bytes that tell a format


@dataclass(frozen=True, slots=True)
class Located:
    """Finding at a path."""

    kind: Kind
    """Kind of storage."""

    uri: str
    """Outermost container, file or slice folder; or the glob. Absolute."""

    inner: str = ""
    """Path inside the container, '/'-separated."""

    @property
    def array_kind(self) -> ArrayKind:
        """Kind of container of arrays.

        Raises
        ------
        VolumeError
            If it is TIFF, which is none.
        """
        if self.kind == "tiff" or self.kind == "slices":
            message = f"{self.uri} is no container of arrays"
            raise VolumeError(message)
        return self.kind


def locate(text: str) -> Located:
    """Find out how the thing at a path is stored.

    Raises
    ------
    VolumeError
        If there is nothing, or nothing that can be read.
    """
    text = local_path(text.removeprefix("precomputed://"))
    if "://" in text:
        return _remote(location(text), text)
    path = Path(os.path.abspath(text))  # noqa: PTH100 - links stay as they are given
    try:
        if path.is_dir():
            return _folder(path)
        if path.exists():
            return _file(path)
        if glob.has_magic(text):
            return _slices(str(path))
        archive = archive_around(path)
        if archive is not None:
            inner = path.relative_to(archive).as_posix()
            return Located("zarr", str(archive), inner)
        message = _missing(path)
    except OSError as error:
        message = f"{text} cannot be read: {error.strerror or error}"
    raise VolumeError(message)


def _remote(path: Location, text: str) -> Located:
    """Find out by names alone: of a store that may be large nothing is listed here."""
    if not isinstance(path, RemotePath):
        message = f"{text} is of no scheme that can be read"
        raise VolumeError(message)
    try:
        if zarr_kind(path) is not None:
            container = zarr_container(path)
            if container is not None:
                return Located("zarr", str(container[0]), container[1])
        n5 = n5_container(path)
        if n5 is not None:
            return Located("n5", str(n5[0]), n5[1])
        message = _nothing_remote(path)
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror or error}"
    raise VolumeError(message)


def _nothing_remote(path: RemotePath) -> str:
    """Say why there is no volume at a place of a store."""
    refused = ""
    for marker in ("zarr.json", ".zarray", ".zgroup", "attributes.json"):
        try:
            (path / marker).read_bytes()
        except PermissionError as error:
            refused = error.strerror or str(error)
        except FileNotFoundError:
            continue
    if refused:  # first, for of a HEAD a store gives no reason
        return f"{path} cannot be read: {refused}"
    if path.is_file():
        return (
            f"{path} is a single object; of stores Zarr v2 and v3, OME-NGFF and N5 are "
            "read: copy the file to a disk"
        )
    there = path.is_dir()
    return (
        f"{path} has objects, but is no Zarr and no N5; only these are read of stores"
        if there
        else f"{path} does not exist, or is no Zarr and no N5"
    )


def _folder(path: Path) -> Located:
    zarr = zarr_container(path)
    if zarr is not None and zarr_kind(path) is not None:
        return Located("zarr", str(zarr[0]), zarr[1])
    n5 = n5_container(path)
    if n5 is not None:
        return Located("n5", str(n5[0]), n5[1])
    if is_precomputed(path):
        return Located("precomputed", str(path))
    if tiff_files(str(path)):
        return _slices(str(path))
    if picture_files(str(path)):
        return Located("pictures", str(path))
    marked = marked_folder(path)
    if marked:
        message = f"{path} is {marked}"
        raise VolumeError(message)
    # Groups that have no metadata of their own: in N5 that is common.
    if n5_images(path):
        return Located("n5", str(path))
    if zarr is not None and zarr_images(*zarr):
        return Located("zarr", str(zarr[0]), zarr[1])
    others = folder_of_others(path)
    message = f"{path} is {others or f'a folder without a volume in it; {_READ}'}"
    raise VolumeError(message)


def _file(path: Path) -> Located:
    if not path.is_file():  # opening a pipe would wait for its other end
        message = f"{path} is neither a file nor a folder; {_READ}"
        raise VolumeError(message)
    if is_tiff(path):
        return Located("tiff", str(path))
    its_own = _of_its_own(path)
    if its_own is not None:
        return its_own
    kind = other_file(path)
    for found in (zarr_container(path.parent), n5_container(path.parent)):
        if found is not None:
            kind = f"a file inside {found[0]}; give that folder"
    message = f"{path} is {kind or f'not of a known format; {_READ}'}"
    raise VolumeError(message)


def _of_its_own(path: Path) -> Located | None:
    """Return the format of a file, of those that are one file; None for all others."""
    with path.open("rb") as stream:
        start = stream.read(_START)
    if start.startswith(V3DRAW):
        return Located("v3draw", str(path))
    if start.startswith(HDF5):
        kind = hdf5_kind(str(path))
        return None if kind is None else Located(kind, str(path))
    if is_bdv_xml(start):
        return Located("bdv", str(path))
    inner = zarr_in_zip(path) if is_zip(path) else None
    return None if inner is None else Located("zarr", str(path), inner)


def _slices(uri: str) -> Located:
    if picture_files(uri):
        return Located("pictures", uri)
    files = tiff_files(uri)
    if not files:
        message = f"no file matches {uri}"
        raise VolumeError(message)
    return Located("tiff", files[0]) if len(files) == 1 else Located("slices", uri)


def _missing(path: Path) -> str:
    message = f"{path} does not exist"
    parent = next(p for p in path.parents if p.exists())
    if not parent.is_dir():
        return message
    zarr, n5 = zarr_container(parent), n5_container(parent)
    if zarr is not None:
        images = zarr_images(zarr[0])
        return f"{message}; {zarr[0]} holds {', '.join(images[:12]) or 'no array'}"
    if n5 is not None:
        images = n5_images(n5[0])
        return f"{message}; {n5[0]} holds {', '.join(images[:12]) or 'no dataset'}"
    return message

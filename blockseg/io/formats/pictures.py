"""Folders and globs of JPEG 2000 or JPEG XL slices, decoded with imagecodecs."""

from __future__ import annotations

import glob
import math
import os
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np

from blockseg.core.errors import CorruptDataError, VolumeError
from blockseg.core.untrusted.files import read_bytes
from blockseg.io.ahead import batches, map_ahead
from blockseg.io.chunks.read_again import read_again
from blockseg.io.chunks.stored_files import MISSING, why_no_file
from blockseg.io.chunks.tensorstores import ReadLimits
from blockseg.io.chunks.volume import ChunkedVolume, one_line
from blockseg.io.formats.picture_headers import (
    ENOUGH,
    PictureHeader,
    read_picture_header,
)
from blockseg.io.layout import ArrayLayout, ImageLayout, KeyStyle
from blockseg.io.slice_names.order import arrange

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from blockseg.core.specs import VolumeSpec
    from blockseg.io.axes import Index
    from blockseg.io.chunks.tensorstores import BeginRead

_SUFFIX = re.compile(r"\.(?:jp2|j2k|j2c|jpc|jpf|jpx|jph|jxl)$", re.IGNORECASE)
_THREADS, _BATCH = 8, 64
_SPARE = 2**20  # bytes that a picture may take beyond its pixels


@dataclass(frozen=True, slots=True)
class _Named(KeyStyle):
    """Slices by their names."""

    names: tuple[str | None, ...] = ()
    """In the order of their planes; None for one that is missing."""

    @property
    def listed(self) -> bool:
        return False

    def key(self, place: tuple[int, ...]) -> str:
        return self.names[place[0]] or f"no plane {place[0]}"


def picture_files(uri: str) -> list[str]:
    """Return the files of a folder or a glob that are named like such pictures.

    Raises
    ------
    VolumeError
        If a glob names other files beside them, or one of them is no regular file.
    """
    strict = glob.has_magic(uri) and not Path(uri).exists()
    if strict:
        seen = glob.glob(uri, recursive=True)  # noqa: PTH207 - of any root
    else:
        with os.scandir(uri) as entries:
            seen = [entry.path for entry in entries if entry.name[0] != "."]
    found = [path for path in seen if _SUFFIX.search(path)]
    strange = next((path for path in found if not Path(path).is_file()), None)
    if strange is not None:
        message = (
            f"{strange} is named like a slice but is no regular file; restore it from a "
            "copy, or move it away"
        )
        raise VolumeError(message)
    if strict and found and len(found) < len(seen):
        other = next(path for path in seen if not _SUFFIX.search(path))
        message = f"{other} is no JPEG 2000 or JPEG XL picture; narrow {uri}"
        raise VolumeError(message)
    return found


def pictures_image(
    container: Path,
    path: str,
    *,
    allow_gaps: bool | None = None,
    checked: bool = True,
) -> ImageLayout | None:
    """Return the volume that slices make.

    Parameters
    ----------
    container
        The folder or glob.
    path
        Empty: there is nothing inside.
    allow_gaps
        As for :func:`blockseg.io.slice_names.order.arrange`.
    checked
        Whether every slice is looked at, and not only the first; each is when it is read.

    Raises
    ------
    VolumeError
        If their names hold two counters or gaps, or they are damaged or unlike.
    """
    if path:
        message = f"{container} are slices without datasets and levels; leave those out"
        raise VolumeError(message)
    uri = str(container)
    files = picture_files(uri)
    if len(files) < 2:
        message = f"{uri} holds {len(files)} slices; a volume has at least two"
        raise VolumeError(message)
    root = os.path.commonpath({os.path.dirname(file) for file in files})  # noqa: PTH120
    names = [os.path.relpath(file, root) for file in files]
    arranged = arrange(
        [_SUFFIX.sub("", name) for name in names], root, allow_gaps=allow_gaps
    )
    ordered = [None if i is None else names[i] for i in arranged.order]
    stored = [name for name in ordered if name is not None]
    header = _usual(root, stored if checked else stored[:1])
    shape = (len(ordered), *header.shape)
    array = ArrayLayout(
        container=Path(root),
        path="",
        format="pictures",
        shape=shape,
        dtype=header.dtype,
        stored_dtype=header.dtype.name,
        chunks=(1, *header.shape),
        files=(1, *header.shape),
        codecs=(header.codec,),
        axes=("z", "y", "x"),
        keys=_Named((0, 1, 2), names=tuple(ordered)),
    )
    return ImageLayout("", (array,))


def pictures_images(container: Path, path: str = "") -> list[str]:  # noqa: ARG001 - as all
    """Return the only volume of a folder."""
    return [path]


def open_pictures(spec: VolumeSpec, limits: ReadLimits) -> ChunkedVolume:
    """Open slices read-only.

    Raises
    ------
    VolumeError
        If they are gone, damaged or unlike.
    """
    image = pictures_image(
        Path(spec.uri), spec.path, allow_gaps=spec.allow_gaps, checked=False
    )
    if image is None:
        message = f"{spec.uri} holds no slices"
        raise VolumeError(message)
    return ChunkedVolume(spec, image.levels[0], _begin, _reopened, limits)


def _reopened(spec: VolumeSpec) -> ChunkedVolume:
    return open_pictures(spec, ReadLimits())


def _begin(layout: ArrayLayout, limits: ReadLimits) -> BeginRead:
    pool = ThreadPoolExecutor(limits.copy_threads, "pictures")
    names = layout.keys.names if isinstance(layout.keys, _Named) else ()

    def begin(index: Index) -> Callable[[], NDArray[Any]]:
        planes = range(index[0].start, index[0].stop)
        futures = [
            pool.submit(
                _plane,
                None if names[z] is None else f"{layout.container}/{names[z]}",
                layout,
            )
            for z in planes
        ]
        return lambda: np.stack([one.result()[index[1:]] for one in futures])

    return begin


def _plane(file: str | None, layout: ArrayLayout) -> NDArray[Any]:
    if file is None:
        return np.zeros(layout.shape[1:], layout.dtype)
    return _decoded(file, layout)


def _decoded(file: str, layout: ArrayLayout) -> NDArray[Any]:
    what = why_no_file(file)
    if what:
        is_what = "gone" if what == MISSING else f"{what}, not a file"
        message = f"slice {file} is {is_what}; restore it from a copy"
        raise CorruptDataError(message, file)
    most = 2 * layout.chunk_bytes + _SPARE
    data = read_again(lambda: read_bytes(file, most))
    header = read_picture_header(data[:ENOUGH])
    if header.shape != layout.shape[1:] or header.dtype != layout.dtype:
        message = f"slice {file} is {_described(header)}, unlike the others"
        raise CorruptDataError(message, file)
    decode = (
        imagecodecs.jpeg2k_decode
        if header.codec == "jpeg2000"
        else imagecodecs.jpegxl_decode
    )
    picture = np.asarray(decode(data))
    return picture.reshape(header.shape).astype(header.dtype, copy=False)


def _usual(root: str, names: Sequence[str]) -> PictureHeader:
    """Return the header of the slices, which all of them share."""

    def look(some: Sequence[str]) -> list[PictureHeader]:
        return [_header(f"{root}/{name}") for name in some]

    found = [
        h for some in map_ahead(look, batches(names, _BATCH), _THREADS) for h in some
    ]
    ((usual, _),) = Counter(found).most_common(1)
    for name, header in zip(names, found, strict=True):
        if header != usual:
            message = (
                f"{root}/{name} is {_described(header)}, unlike most slices beside it, which "
                f"are {_described(usual)}; move it away or use a glob"
            )
            raise VolumeError(message)
    if usual.samples != 1:
        message = (
            f"{root}: its slices have {usual.samples} colours a pixel; convert them to one "
            "grey channel"
        )
        raise VolumeError(message)
    return usual


def _header(file: str) -> PictureHeader:
    try:
        with Path(file).open("rb") as stream:
            header = read_picture_header(stream.read(ENOUGH))
    except (ValueError, OSError) as error:
        message = f"{file} cannot be read as a picture: {one_line(error)}"
        raise VolumeError(message, file) from error
    if min(header.shape) < 1 or math.prod(header.shape) >= 2**40:
        message = f"{file} is damaged: it states {_described(header)}"
        raise VolumeError(message, file)
    return header


def _described(header: PictureHeader) -> str:
    y, x = header.shape
    colours = f", {header.samples} colours" if header.samples > 1 else ""
    return f"{header.codec} of {y}×{x} pixels {header.dtype.name}{colours}"

"""TIFF volumes: one file of many pages, or many files of one page each."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from blockseg.core.errors import VolumeError
from blockseg.core.geometry import Roi, Zyx, to_zyx
from blockseg.core.space import Space
from blockseg.io.axes import AxisSelection
from blockseg.io.chunks.decodable import require_decodable
from blockseg.io.chunks.tensorstores import ReadLimits
from blockseg.io.decoded_cache import DecodedCache
from blockseg.io.formats.mapped import MappedVolume
from blockseg.io.protocol import check_roi
from blockseg.io.tiff.pages import Page, PageReader, page_chunk, require_codec
from blockseg.io.tiff.series import TiffImage, open_tiff_file, read_image
from blockseg.io.tiff.slices import slice_files

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from blockseg.core.specs import VolumeSpec
    from blockseg.io.protocol import Volume

_SLICES_KNOWN = 512  # descriptions of slices kept; about 10 kB each


def open_tiff(spec: VolumeSpec, limits: ReadLimits | None = None) -> Volume:
    """Open a TIFF file or slices read-only.

    A file whose voxels lie in one piece is mapped into memory; of others, only
    the strips and tiles that a region touches are read and decoded, and kept
    for the next region up to a limit.

    Parameters
    ----------
    spec
        A file, or a folder or glob of 2-D slices.
    limits
        Memory for decoded strips and tiles.

    Raises
    ------
    VolumeError
        If the source is gone, damaged, or encoded as no library here can read.
    """
    limits = limits or ReadLimits()
    if not Path(spec.uri).is_file():
        files = slice_files(spec.uri, allow_gaps=spec.allow_gaps)
        if not files:
            message = f"{spec.uri} holds no TIFF files"
            raise VolumeError(message)
        return _PagedTiff(spec, _Slices(files), Space(), limits)
    with open_tiff_file(spec.uri) as tif:
        found = read_image(tif, spec.uri, spec.path, spec.level)
        image = found.renamed(spec.axes, spec.uri)
        require_codec(image.pages[0])
    selection = AxisSelection.choose(
        image.axes,
        image.shape,
        channel=spec.channel,
        timepoint=spec.timepoint,
        where=spec.uri,
    )
    if image.offset is not None:
        return MappedVolume(
            spec,
            image.dtype,
            image.offset,
            image.shape,
            selection,
            image.space,
            open_tiff,
        )
    return _PagedTiff(spec, _Stack(image, selection, spec.uri), image.space, limits)


class _Planes(Protocol):
    """Places of the z planes of a volume."""

    shape: Zyx
    dtype: np.dtype[Any]

    def page(self, z: int) -> tuple[Page, int] | None:
        """Return a plane's page, and its place in it if the page is volumetric.

        None for a plane that is missing.
        """
        ...

    @property
    def first(self) -> Page:
        """A page that shows how all are stored."""
        ...


class _Stack:
    """The planes of one file."""

    def __init__(self, image: TiffImage, selection: AxisSelection, path: str) -> None:
        flat = tuple(name for name in image.axes if name != "s")
        leading = [n for n, a in zip(image.shape, image.axes, strict=True) if a != "s"]
        if flat[-2:] != ("y", "x"):
            message = f"{path} has axes {''.join(flat)}; y and x must come last"
            raise VolumeError(message)
        self._depth = int(image.pages[0].key.imagedepth)
        planes = math.prod(leading[:-2])
        if len(image.pages) * self._depth != planes:
            message = (
                f"{path} has {len(image.pages)} pages where its metadata announce "
                f"{planes} planes; the copy is incomplete"
            )
            raise VolumeError(message)
        self._pages = image.pages
        self.shape = selection.pick(image.shape)
        self.dtype = image.dtype.newbyteorder("=")
        numbers = np.arange(planes).reshape([*leading[:-2], 1, 1])
        fixed = {a: i for a, i in selection.fixed if image.axes[a] != "s"}
        shifted = {a - image.axes[:a].count("s"): i for a, i in fixed.items()}
        index = tuple(shifted.get(a, slice(None)) for a in range(len(flat)))
        self._planes = numbers[index].ravel()

    @property
    def first(self) -> Page:
        return self.page(0)[0]

    def page(self, z: int) -> tuple[Page, int]:
        number, depth = divmod(int(self._planes[z]), self._depth)
        return self._pages[number], depth


class _Slices:
    """The planes of many files of one page each."""

    def __init__(self, files: Sequence[str | None]) -> None:
        self._files = files
        self._known = lru_cache(_SLICES_KNOWN)(_first_page)
        self.first = self._known(next(file for file in files if file is not None))
        key = self.first.key
        if key.samplesperpixel > 1:
            message = (
                f"{self.first.file} has colour pixels of {key.samplesperpixel} samples; "
                "convert the slices to one grey channel"
            )
            raise VolumeError(message)
        self.shape = (len(files), key.imagelength, key.imagewidth)
        self.dtype = _dtype(self.first)

    def page(self, z: int) -> tuple[Page, int] | None:
        file = self._files[z]
        if file is None:
            return None
        page = self._known(file)
        key = page.key
        if (key.imagelength, key.imagewidth) != self.shape[1:] or _dtype(
            page
        ) != self.dtype:
            message = (
                f"{page.file} is {key.imagelength}×{key.imagewidth} {_dtype(page)}, "
                f"unlike the first slice ({self.shape[1]}×{self.shape[2]} {self.dtype})"
            )
            raise VolumeError(message)
        return page, 0


class _PagedTiff:
    """A volume in pages that are decoded piece by piece."""

    def __init__(
        self, spec: VolumeSpec, planes: _Planes, space: Space, limits: ReadLimits
    ) -> None:
        self._spec = spec
        self._planes = planes
        self._cache = DecodedCache(limits.cache_bytes)
        self.shape = planes.shape
        self.dtype = planes.dtype
        pairs = zip(page_chunk(planes.first), self.shape, strict=True)
        self.chunk_shape = to_zyx(min(c, n) for c, n in pairs)
        self.space = space
        piece = planes.first.piece_shape
        if not planes.first.has_plain_rows:
            nbytes = math.prod(piece) * self.dtype.itemsize
            require_decodable(spec.uri, piece, nbytes)

    def read(self, roi: Roi) -> NDArray[Any]:
        """Return a region; see :meth:`Volume.read`."""
        check_roi(self.shape, roi)
        out = np.empty(roi.shape, self.dtype)
        zs, rows, columns = roi.slices()
        if not out.size:
            return out
        with PageReader(self._cache) as reader:
            for z in range(zs.start, zs.stop):
                found = self._planes.page(z)
                if found is None:
                    out[z - zs.start] = 0
                else:
                    reader.read(*found, rows, columns, out[z - zs.start])
        return out

    def __reduce__(self) -> tuple[Callable[[VolumeSpec], Volume], tuple[VolumeSpec]]:
        return open_tiff, (self._spec,)


def _first_page(file: str) -> Page:
    with open_tiff_file(file) as tif:
        page = Page.of(file, tif.pages.first)
        require_codec(page)
    return page


def _dtype(page: Page) -> np.dtype[Any]:
    if page.key.dtype is None:
        message = f"{page.file} holds voxels of a type that NumPy lacks"
        raise VolumeError(message)
    return np.dtype(page.key.dtype).newbyteorder("=")

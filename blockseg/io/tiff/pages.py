"""Rectangles of TIFF pages, decoding only the strips and tiles they touch."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import tifffile

from blockseg.core.errors import CorruptDataError, VolumeError
from blockseg.io.chunks.read_again import read_again
from blockseg.io.chunks.volume import one_line
from blockseg.io.decoded_cache import count_decoded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx
    from blockseg.io.decoded_cache import DecodedCache


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """Position and encoding of the pieces of one page."""

    file: str
    """Path of the file."""

    number: int
    """Place in the file, from 0; of a coarser level, the place of its finest page."""

    offsets: tuple[int, ...]
    """First byte of each strip or tile."""

    counts: tuple[int, ...]
    """Bytes of each strip or tile; 0 for one that is not stored."""

    key: tifffile.TiffPage
    """The page that describes the encoding; its file is closed."""

    @classmethod
    def of(cls, file: str, page: Any) -> Page:
        """Return a page of an open file.

        Raises
        ------
        VolumeError
            If the file does not say where each strip or tile lies.
        """
        made = cls(
            file,
            int(page.treeindex[0]),  # of sub-directories, the index itself is 0
            tuple(int(n) for n in page.dataoffsets),
            tuple(int(n) for n in page.databytecounts),
            page.keyframe,
        )
        key = page.keyframe
        extent = (int(key.imagedepth), int(key.imagelength), int(key.imagewidth))
        pieces = math.prod(
            -(-n // step) for n, step in zip(extent, made.piece_shape, strict=True)
        )
        if min(len(made.offsets), len(made.counts)) < pieces:
            message = (
                f"{file} is damaged: page {made.number} lists {len(made.offsets)} of its "
                f"{pieces} strips or tiles"
            )
            raise VolumeError(message)
        return made

    @property
    def piece_shape(self) -> Zyx:
        """Voxels of a tile or a strip, along (z, y, x)."""
        key = self.key
        if key.is_tiled:
            return (key.tiledepth, key.tilelength, key.tilewidth)
        return (1, min(key.rowsperstrip, key.imagelength), key.imagewidth)

    @property
    def has_plain_rows(self) -> bool:
        """Whether rows lie one after the other as the bytes of numbers."""
        key = self.key
        return (
            not key.is_tiled
            and int(key.compression) == 1
            and int(key.predictor) == 1
            and key.fillorder == 1
            and key.dtype is not None
            and key.bitspersample == 8 * key.dtype.itemsize
        )


def page_chunk(page: Page) -> Zyx:
    """Return the voxels that one read of a page must decode, along (z, y, x)."""
    return (1, 1, page.key.imagewidth) if page.has_plain_rows else page.piece_shape


def require_codec(page: Page) -> None:
    """Raise VolumeError if no library here decodes the page's compression."""
    key = page.key
    try:
        if int(key.compression) != 1:
            tifffile.TIFF.DECOMPRESSORS[key.compression]
        if int(key.predictor) != 1:
            tifffile.TIFF.UNPREDICTORS[key.predictor]
        _ = key.decode
    except (KeyError, ValueError, TypeError, NotImplementedError) as error:
        name = getattr(key.compression, "name", key.compression)
        message = (
            f"{page.file} is compressed with {name} (predictor {key.predictor!r}), "
            "which no library here reads; convert it to deflate or LZW"
        )
        raise VolumeError(message) from error


class PageReader:
    """Reads rectangles of pages during one call; holds its last file open.

    Parameters
    ----------
    cache
        Decoded strips and tiles, shared with other readers.
    """

    def __init__(self, cache: DecodedCache) -> None:
        self._cache = cache
        self._file = ""
        self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def read(
        self, page: Page, depth: int, rows: slice, columns: slice, out: NDArray[Any]
    ) -> None:
        """Copy a rectangle of a page into ``out``.

        Parameters
        ----------
        page
            The page.
        depth
            Plane inside the page, 0 but for volumetric pages.
        rows, columns
            The rectangle, inside the page.
        out
            Array of the rectangle's shape.

        Raises
        ------
        CorruptDataError
            If a strip or tile cannot be decoded; names it, its page and file.
        VolumeError
            If the file cannot be read.
        """
        step = page.piece_shape
        across = 1 if not page.key.is_tiled else -(-page.key.imagewidth // step[2])
        down = -(-page.key.imagelength // step[1])
        for j in range(rows.start // step[1], -(-rows.stop // step[1])):
            y = slice(max(rows.start, j * step[1]), min(rows.stop, (j + 1) * step[1]))
            to = slice(y.start - rows.start, y.stop - rows.start)
            above = j * step[1]
            if page.has_plain_rows:
                number = depth * down + j
                out[to] = self._plain(page, number, y.start - above, y.stop - above)[
                    :, columns
                ]
                continue
            first, last = columns.start // step[2], -(-columns.stop // step[2])
            for i in range(first, last):
                x = slice(
                    max(columns.start, i * step[2]),
                    min(columns.stop, (i + 1) * step[2]),
                )
                number = (depth // step[0] * down + j) * across + i
                piece = self._piece(page, number, (depth // step[0], j, i))
                out[to, x.start - columns.start : x.stop - columns.start] = piece[
                    depth % step[0],
                    y.start - above : y.stop - above,
                    x.start - i * step[2] : x.stop - i * step[2],
                ]

    def _plain(self, page: Page, strip: int, first: int, last: int) -> NDArray[Any]:
        key = page.key
        if not page.counts[strip]:
            return np.zeros((last - first, key.imagewidth), key.dtype)
        dtype = key.dtype.newbyteorder(key.parent.byteorder)  # type: ignore[union-attr]
        row = key.imagewidth * dtype.itemsize
        count = (last - first) * row
        raw = self._bytes(page, page.offsets[strip] + first * row, count, strip)
        count_decoded(count)
        return np.frombuffer(raw, dtype).reshape(last - first, key.imagewidth)

    def _piece(self, page: Page, number: int, place: Zyx) -> NDArray[Any]:
        def decode() -> NDArray[Any]:
            step = page.piece_shape
            if not page.counts[number]:
                return np.full(step, page.key.nodata, page.key.dtype)
            raw = self._bytes(page, page.offsets[number], page.counts[number], number)
            tables = page.key.jpegtables
            try:
                data, _, _ = page.key.decode(
                    raw, number, **({} if tables is None else {"jpegtables": tables})
                )
                return np.array(np.asarray(data)[..., 0], page.key.dtype)
            except Exception as error:
                what = "tile" if page.key.is_tiled else "strip"
                message = (
                    f"chunk {(page.number + place[0], *place[1:])} ({what} {number} of "
                    f"page {page.number}) of {page.file} cannot be decoded "
                    f"({one_line(error)}); restore this file from a copy"
                )
                raise CorruptDataError(message, page.file) from error

        # Pages of coarser levels share their numbers, and made-up ones may lack an offset
        # of their own: only where its bytes lie is a piece's own. One that is not stored
        # may be said to lie where the next one does.
        bytes_at = (page.offsets[number], page.counts[number])
        return self._cache.get((page.file, *bytes_at, number), decode)

    def _bytes(self, page: Page, offset: int, count: int, piece: int) -> bytes:
        try:
            raw = read_again(lambda: self._read(page.file, offset, count))
        except OSError as error:
            message = f"{page.file} cannot be read: {error.strerror or error}"
            raise VolumeError(message, page.file) from error
        if len(raw) < count:
            message = (
                f"{page.file} is truncated: strip or tile {piece} of page {page.number} "
                f"lacks {count - len(raw)} bytes; restore this file from a copy"
            )
            raise CorruptDataError(message, page.file)
        return raw

    def _read(self, file: str, offset: int, count: int) -> bytes:
        if self._file != file:
            self._close()
            self._descriptor = os.open(file, os.O_RDONLY)
            self._file = file
        return _pread(self._descriptor, offset, count)

    def _close(self) -> None:
        if self._file:
            os.close(self._descriptor)
            self._file = ""


def _pread(descriptor: int, offset: int, count: int) -> bytes:
    """Read like os.pread, which stops at 2 GiB."""
    parts: list[bytes] = []
    while count and (part := os.pread(descriptor, count, offset)):
        parts.append(part)
        count, offset = count - len(part), offset + len(part)
    return b"".join(parts)

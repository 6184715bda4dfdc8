"""Directories of a TIFF file, walked to check that the file is complete.

A truncated file often still opens: readers follow the chain of pages as far as
it goes. So the whole chain is followed here, and the last byte that each page
needs is compared with the size of the file.

Layout: TIFF 6.0 (Adobe, 1992), section 2; BigTIFF has 8-byte offsets.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.errors import VolumeError
from blockseg.core.text import times

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# Sizes of the field types by code; 0 stands for codes that are not assigned.
_TYPE_SIZE = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8)
_INTEGERS = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 17: "i8", 18: "u8"}
_WIDTH, _LENGTH, _BITS, _COMPRESSION = 256, 257, 258, 259
_SAMPLES, _FORMAT, _DEPTH = 277, 339, 32997
_OFFSETS, _COUNTS = (273, 324), (279, 325)
_SUB = 330  # directories of the coarser levels of a pyramid
_WANTED = {
    _WIDTH, _LENGTH, _BITS, _COMPRESSION, _SAMPLES, _FORMAT, _DEPTH,
    *_OFFSETS, *_COUNTS, _SUB,
}  # fmt: skip
_READ = 4096  # bytes fetched at once; most directories fit
_LONGEST = 2**24  # pixels along an edge of a page; slide scanners have a million
_MOST_PAGES = 2_000_000


@dataclass(frozen=True, slots=True)
class TiffPageInfo:
    """Contents of one page of a TIFF file."""

    index: int
    """Number of the page, from 0."""

    shape: tuple[int, int, int]
    """Voxels along (z, y, x); z is 1 but for volumetric pages."""

    pixel: tuple[int, int, int]
    """Bits a sample, sample format (1 unsigned, 2 signed, 3 float), samples."""

    compression: int
    """TIFF's code."""


def is_tiff(path: str | os.PathLike[str]) -> bool:
    """Say whether a file begins as TIFF and BigTIFF files do.

    VSI files do too, but hold labels and previews; their pixels lie beside them.

    Raises
    ------
    VolumeError
        If the file cannot be read.
    """
    if os.fspath(path).lower().endswith(".vsi"):
        return False
    try:
        with open(path, "rb") as stream:  # noqa: PTH123 - many slices, called often
            return stream.read(4) in _MAGIC
    except OSError as error:
        message = f"{os.fspath(path)} cannot be read: {error.strerror or error}"
        raise VolumeError(message) from error


def check_file(path: str | os.PathLike[str]) -> list[TiffPageInfo]:
    """Return the pages of a TIFF file, each one checked to lie in the file.

    Raises
    ------
    VolumeError
        If the file is truncated (names the page and the missing bytes), its
        chain of pages is broken, or it cannot be read.
    """
    try:
        with open(path, "rb") as stream:  # noqa: PTH123 - many slices, called often
            return list(_walk(_File(os.fspath(path), stream.fileno())))
    except OSError as error:
        message = f"{os.fspath(path)} cannot be read: {error.strerror or error}"
        raise VolumeError(message) from error


class _File:
    """Bytes of a file, and the byte order and widths of its header."""

    def __init__(self, path: str, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor
        self.size = os.fstat(descriptor).st_size
        header = os.pread(descriptor, 16, 0)
        if header[:4] not in _MAGIC or len(header) < 8:
            what = "not a TIFF file" if header else "empty"
            message = f"{path} is {what}; restore it from a copy, or move it away"
            raise VolumeError(message)
        self.order = "<" if header[:2] == b"II" else ">"
        self.big = 43 in header[2:4]
        if self.big and len(header) < 16:
            self.truncated(0, 16)
        at, kind = (8, "Q") if self.big else (4, "I")
        (self.first,) = struct.unpack_from(self.order + kind, header, at)

    def truncated(self, page: int, needed: int) -> None:
        message = (
            f"{self.path} is truncated: page {page} needs {needed} bytes, the file "
            f"has {self.size} ({needed - self.size} missing); copy it again"
        )
        raise VolumeError(message)

    def bytes_at(self, offset: int, count: int, page: int) -> bytes:
        if offset + count > self.size:
            self.truncated(page, offset + count)
        return os.pread(self.descriptor, count, offset)


def _walk(file: _File) -> Iterator[TiffPageInfo]:
    offset, page, seen = file.first, 0, set[int]()
    while offset:
        if offset in seen:
            message = (
                f"{file.path} is damaged: its pages loop back after page {page - 1}"
            )
            raise VolumeError(message)
        seen.add(offset)
        tags, offset = _directory(file, offset, page)
        if _WIDTH not in tags or _LENGTH not in tags:
            message = f"{file.path} is damaged: page {page} states no size"
            raise VolumeError(message)
        _check_extent(file, tags, page)
        for coarser in tags.get(_SUB, ()):
            _check_extent(file, _directory(file, int(coarser), page)[0], page)
        shape = (_first(tags, _DEPTH, 1), _first(tags, _LENGTH), _first(tags, _WIDTH))
        _require_shape(file, shape, page)
        yield TiffPageInfo(
            page,
            shape,
            (
                _first(tags, _BITS, 1),
                _first(tags, _FORMAT, 1),
                _first(tags, _SAMPLES, 1),
            ),
            _first(tags, _COMPRESSION, 1),
        )
        page += 1
        if page > _MOST_PAGES:
            message = f"{file.path} has more than {_MOST_PAGES} pages; split it"
            raise VolumeError(message)
    if not page:
        message = f"{file.path} is damaged: it has no pages"
        raise VolumeError(message)


def _directory(
    file: _File, offset: int, page: int
) -> tuple[dict[int, np.ndarray[Any, np.dtype[Any]]], int]:
    """Return the wanted tags of a directory and the offset of the next one."""
    head, entry, pointer = (8, 20, 8) if file.big else (2, 12, 4)
    word = "Q" if file.big else "I"
    if offset + head > file.size:
        file.truncated(page, offset + head)
    buffer = os.pread(file.descriptor, _READ, offset)
    (entries,) = struct.unpack_from(file.order + ("Q" if file.big else "H"), buffer)
    needed = head + entries * entry + pointer
    if needed > len(buffer):
        buffer = file.bytes_at(offset, needed, page)
    tags = {}
    for i in range(entries):
        at = head + i * entry
        code, kind, count = struct.unpack_from(file.order + "HH" + word, buffer, at)
        size = count * (_TYPE_SIZE[kind] if kind < len(_TYPE_SIZE) else 0)
        place = at + 4 + pointer
        if size > pointer:
            (place,) = struct.unpack_from(file.order + word, buffer, place)
            if place + size > file.size:
                file.truncated(page, place + size)
        if code not in _WANTED or kind not in _INTEGERS:
            continue
        if size > pointer:
            raw = file.bytes_at(place, size, page)
        else:
            raw = buffer[place : place + size]
        tags[code] = np.frombuffer(raw, file.order + _INTEGERS[kind])
    (following,) = struct.unpack_from(file.order + word, buffer, head + entries * entry)
    return tags, int(following)


def _check_extent(file: _File, tags: dict[int, Any], page: int) -> None:
    for offsets, counts in zip(_OFFSETS, _COUNTS, strict=True):
        starts, lengths = tags.get(offsets, ()), tags.get(counts, ())
        if not len(starts) or len(starts) != len(lengths):
            continue
        # In Python's integers: damaged offsets must not wrap around.
        needed = max(int(a) + int(n) for a, n in zip(starts, lengths, strict=True))
        if needed > file.size:
            file.truncated(page, needed)


def _require_shape(file: _File, shape: tuple[int, int, int], page: int) -> None:
    if not all(0 < length <= _LONGEST for length in shape):
        message = (
            f"{file.path} is damaged: page {page} states {times(shape)} pixels, which no "
            "page has"
        )
        raise VolumeError(message)


def _first(tags: dict[int, Any], code: int, default: int = 0) -> int:
    values = tags.get(code)
    return default if values is None or not len(values) else int(values[0])

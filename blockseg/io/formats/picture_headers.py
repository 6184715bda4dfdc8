"""Headers of JPEG 2000 and JPEG XL pictures: size and type, known before decoding.

After ITU-T T.800 (its marker segment SIZ) and ISO/IEC 18181-1 (SizeHeader, ImageMetadata).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

_SIZ = b"\xff\x4f\xff\x51"
_JXL = b"\xff\x0a"
_BOXES = {"jp2": b"\0\0\0\x0cjP  \r\n\x87\n", "jxl": b"\0\0\0\x0cJXL \r\n\x87\n"}
_RATIOS = {
    1: (1, 1),
    2: (12, 10),
    3: (4, 3),
    4: (3, 2),
    5: (16, 9),
    6: (5, 4),
    7: (2, 1),
}

ENOUGH = 2**16
"""Bytes at the start of a file that hold its header."""


@dataclass(frozen=True, slots=True)
class PictureHeader:
    """Description of one picture, before it is decoded."""

    codec: str
    """``jpeg2000`` or ``jpegxl``."""

    shape: tuple[int, int]
    """Pixels along (y, x)."""

    dtype: np.dtype[np.generic]
    """Type of a pixel."""

    samples: int
    """Colours or channels of a pixel."""


def is_picture(start: bytes) -> bool:
    """Return whether a file begins like a JPEG 2000 or JPEG XL picture."""
    return start.startswith((_SIZ, _JXL, *_BOXES.values()))


def read_picture_header(start: bytes) -> PictureHeader:
    """Return shape and type of a picture, from its first bytes.

    Raises
    ------
    ValueError
        If they are no header, or of a type that no slice of a volume has.
    """
    if start.startswith(_JXL):
        return _jpeg_xl(start[2:])
    if start.startswith(_BOXES["jxl"]):
        return _jpeg_xl(_codestream(start))
    at = start.find(_SIZ)
    if at < 0:
        message = "it begins with no header of a picture"
        raise ValueError(message)
    return _jpeg_2000(start[at + 4 :])


def _jpeg_2000(segment: bytes) -> PictureHeader:
    if len(segment) < 39:
        message = "its header is cut off"
        raise ValueError(message)
    x1, y1, x0, y0 = struct.unpack(">4I", segment[4:20])
    (components,) = struct.unpack(">H", segment[36:38])
    bits = (segment[38] & 0x7F) + 1
    if segment[38] & 0x80:
        message = "its pixels are signed"
        raise ValueError(message)
    return PictureHeader("jpeg2000", (y1 - y0, x1 - x0), _unsigned(bits), components)


def _codestream(start: bytes) -> bytes:
    """Return the codestream of a JPEG XL in boxes, as far as it is there."""
    at = 0
    while at + 8 <= len(start):
        length, kind = struct.unpack(">I4s", start[at : at + 8])
        inside = at + 8
        if length == 1:
            (length,) = struct.unpack(">Q", start[inside : inside + 8].ljust(8, b"\0"))
            inside += 8
        if kind in (b"jxlc", b"jxlp"):
            begin = inside + (4 if kind == b"jxlp" else 0)
            if start[begin : begin + 2] != _JXL:
                break
            return start[begin + 2 :]
        if length < 8:
            break
        at += length
    message = "its boxes hold no picture"
    raise ValueError(message)


class _Bits:
    """Bits of a codestream, the lowest of each byte first."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data[:64], "little")
        self._left = 8 * min(len(data), 64)

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            message = "its header is cut off"
            raise ValueError(message)
        value = self._value & ((1 << count) - 1)
        self._value >>= count
        return value

    def choose(self, *ways: tuple[int, int]) -> int:
        """Return U32 of the specification: an offset and so many bits, by two bits."""
        offset, count = ways[self.take(2)]
        return offset + self.take(count)


def _jpeg_xl(codestream: bytes) -> PictureHeader:
    bits = _Bits(codestream)
    shape = _size(bits)
    if bits.take(1):  # all by default: 8 bits of colour
        return PictureHeader("jpegxl", shape, np.dtype("uint8"), 3)
    if bits.take(1):  # extra fields
        bits.take(3)  # orientation
        if bits.take(1):
            _size(bits)
        if bits.take(1) or bits.take(1):
            message = "it is animated, or has a preview"
            raise ValueError(message)
    is_float = bits.take(1)
    if is_float:
        depth = bits.choose((32, 0), (16, 0), (24, 0), (1, 6))
        bits.take(4)
    else:
        depth = bits.choose((8, 0), (10, 0), (12, 0), (1, 6))
    bits.take(1)
    extra = bits.choose((0, 0), (1, 0), (2, 4), (1, 12))
    if extra:
        message = f"it has {extra} channels beside its grey levels"
        raise ValueError(message)
    bits.take(1)  # whether it is encoded as XYB
    grey = not bits.take(1) and not bits.take(1) and _colour_space(bits) == 1
    if is_float and depth != 32:
        message = f"its pixels are floats of {depth} bits"
        raise ValueError(message)
    dtype = np.dtype("float32") if is_float else _unsigned(depth)
    return PictureHeader("jpegxl", shape, dtype, 1 if grey else 3)


def _colour_space(bits: _Bits) -> int:
    return bits.choose((0, 0), (1, 0), (2, 4), (18, 6))


def _size(bits: _Bits) -> tuple[int, int]:
    small = bits.take(1)
    ways = ((1, 9), (1, 13), (1, 18), (1, 30))

    def length() -> int:
        return 8 * (bits.take(5) + 1) if small else bits.choose(*ways)

    y = length()
    ratio = bits.take(3)
    if not ratio:
        return y, length()
    up, down = _RATIOS[ratio]
    return y, y * up // down


def _unsigned(bits: int) -> np.dtype[np.generic]:
    if bits > 16:
        message = f"its pixels have {bits} bits"
        raise ValueError(message)
    return np.dtype("uint8" if bits <= 8 else "uint16")

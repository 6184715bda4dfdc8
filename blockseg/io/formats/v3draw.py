"""Raw stacks of Vaa3D (``.v3draw``, ``.raw``), mapped into memory.

After Vaa3D's ``basic_4dimage`` and ``stackutil``: 24 bytes of a mark, ``B`` or ``L`` for the
byte order, a 16-bit type, and the lengths along x, y, z and channels, each of 32 bits, or of
16 in old files: the one that fits the size of the file is meant. x is the fastest axis. No
voxel size is stated.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.errors import VolumeError
from blockseg.io.chunks.tensorstores import ReadLimits
from blockseg.io.formats.mapped import MappedVolume
from blockseg.io.layout import ArrayLayout, ImageLayout, KeyStyle

if TYPE_CHECKING:
    from blockseg.core.specs import VolumeSpec

MARK = b"raw_image_stack_by_hpeng"
"""First bytes of a file."""

_TYPES = {1: "u1", 2: "u2", 4: "f4"}
_ORDERS = {b"L": "<", b"B": ">"}
_HEADER = len(MARK) + 1 + 2 + 4 * 4
_AXES = ("c", "z", "y", "x")


@dataclass(frozen=True, slots=True)
class _Header:
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int


def v3draw_image(container: Path, path: str) -> ImageLayout | None:
    """Return the stack in a file.

    Raises
    ------
    VolumeError
        If the header is damaged, or promises more or less than the file holds.
    """
    if path:
        message = f"{container} holds one stack and no {path!r}; leave it out"
        raise VolumeError(message)
    header = _header(container)
    array = ArrayLayout(
        container=container,
        path="",
        format="v3draw",
        shape=header.shape,
        dtype=header.dtype.newbyteorder("="),
        stored_dtype=header.dtype.name,
        chunks=(1, 1, 1, header.shape[3]),
        files=header.shape,
        codecs=(),
        axes=_AXES,
        keys=KeyStyle((0, 1, 2, 3)),
        together=(container,),
    )
    return ImageLayout("", (array,))


def v3draw_images(container: Path, path: str = "") -> list[str]:  # noqa: ARG001 - as all
    """Return the only stack of a file."""
    return [path]


def open_v3draw(spec: VolumeSpec, limits: ReadLimits) -> MappedVolume:  # noqa: ARG001
    """Map a stack into memory read-only.

    Raises
    ------
    VolumeError
        If it is gone or damaged.
    """
    image = v3draw_image(Path(spec.uri), spec.path)
    if image is None:
        message = f"{spec.uri} holds no stack"
        raise VolumeError(message)
    layout = image.levels[0].renamed(spec.axes)
    header = _header(Path(spec.uri))
    return MappedVolume(
        spec,
        header.dtype,
        header.offset,
        header.shape,
        layout.selection(spec),
        layout.space,
        _reopened,
    )


def _reopened(spec: VolumeSpec) -> MappedVolume:
    return open_v3draw(spec, ReadLimits())


def _header(file: Path) -> _Header:
    try:
        with file.open("rb") as stream:
            start = stream.read(_HEADER)
        size = file.stat().st_size
    except OSError as error:
        message = f"{file} cannot be read: {error.strerror or error}"
        raise VolumeError(message, str(file)) from error
    order = _ORDERS.get(start[24:25])
    if len(start) < _HEADER or order is None:
        message = (
            f"{file} is damaged: its Vaa3D header is cut off or states no byte order"
        )
        raise VolumeError(message, str(file))
    (kind,) = struct.unpack(f"{order}h", start[25:27])
    if kind not in _TYPES:
        message = (
            f"{file} holds voxels of Vaa3D's type {kind}, and 1, 2 and 4 are known (uint8, "
            "uint16, float32)"
        )
        raise VolumeError(message, str(file))
    dtype = np.dtype(f"{order}{_TYPES[kind]}")
    long = struct.unpack(f"{order}4i", start[27:43])
    short = struct.unpack(f"{order}4h", start[27:35])
    for lengths, offset in ((long, 43), (short, 35)):
        needed = math.prod(lengths) * dtype.itemsize
        if min(lengths) > 0 and offset + needed == size:
            return _Header(dtype, tuple(reversed(lengths)), offset)
    message = (
        f"{file} is damaged: its header promises {long[0]}×{long[1]}×{long[2]} voxels (x, y, "
        f"z) of {long[3]} channels in {dtype.name}, and the file has {size} bytes; copy it again"
    )
    raise VolumeError(message, str(file))

"""The header of an N5 block: what is in the file, and how many voxels of it."""

from __future__ import annotations

import io
import struct
from typing import IO, TYPE_CHECKING

from blockseg.io.chunks.stored_files import why_no_file
from blockseg.io.stores.location import RemotePath

if TYPE_CHECKING:
    from blockseg.io.stores.location import Location

_HEADER = 4 + 4 * 16  # mode, number of axes, and 16 lengths at most
_KINDS = {1: "of variable length", 2: "of objects"}


def why_no_voxels(file: Location) -> str:
    """Say what a block holds in place of one value a voxel; empty if nothing of the kind."""
    header = _header(file)
    if header is None or header[0] not in _KINDS:
        return ""
    return (
        f"{file} is an N5 block of mode {header[0]} ({_KINDS[header[0]]}, as of label "
        "multisets and lists), not of one value a voxel; export the volume as scalars"
    )


def block_shape_of(file: Location) -> tuple[int, ...] | None:
    """Return the voxels along each axis of a block, in C order; None if it has none."""
    header = _header(file)
    return header[1] if header is not None and header[0] == 0 else None


def _first_bytes(file: Location) -> IO[bytes]:
    if isinstance(file, RemotePath):
        return io.BytesIO(file.read_range(0, _HEADER))
    return file.open("rb")


def _header(file: Location) -> tuple[int, tuple[int, ...]] | None:
    if why_no_file(file):
        return None
    try:
        with _first_bytes(file) as stream:
            start = stream.read(4)
            mode, ndim = struct.unpack(">HH", start)
            if mode or not 0 < ndim <= 16:
                return mode, ()
            shape = struct.unpack(f">{ndim}I", stream.read(4 * ndim))
    except (OSError, struct.error):
        return None
    return mode, tuple(reversed(shape))

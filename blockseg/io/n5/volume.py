"""N5 volumes, read with tensorstore."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockseg.core.errors import VolumeError
from blockseg.io.chunks.tensorstores import OPENING_ERRORS, ReadLimits, open_read_only
from blockseg.io.chunks.volume import ChunkedVolume, one_line
from blockseg.io.n5.attributes import read_attributes
from blockseg.io.n5.layout import n5_image
from blockseg.io.stores.location import location

if TYPE_CHECKING:
    from blockseg.core.specs import VolumeSpec
    from blockseg.io.chunks.tensorstores import BeginRead
    from blockseg.io.layout import ArrayLayout

_CODECS = ("raw", "gzip", "bzip2", "xz", "blosc", "zstd")


def open_n5(spec: VolumeSpec, limits: ReadLimits | None = None) -> ChunkedVolume:
    """Open an N5 dataset read-only.

    Raises
    ------
    VolumeError
        If it is gone, damaged, or compressed in a way that tensorstore lacks.
    """
    image = n5_image(location(spec.uri), spec.path)
    if image is None or image.path != image.levels[0].path:
        message = f"{location(spec.uri) / spec.path} is not an N5 dataset"
        raise VolumeError(message)
    array, limits = image.levels[0], limits or ReadLimits()
    return ChunkedVolume(spec, array, open_n5_array, open_n5, limits)


def open_n5_array(layout: ArrayLayout, limits: ReadLimits) -> BeginRead:
    """Return a function that reads parts of an N5 dataset.

    Raises
    ------
    VolumeError
        If it is compressed in a way that tensorstore lacks.
    """
    attributes = read_attributes(layout.folder)
    codec = attributes.compression
    if codec not in _CODECS:
        message = (
            f"{layout.name} is compressed with {codec}, which no library here reads; "
            f"copy it with one of {', '.join(_CODECS)}"
        )
        raise VolumeError(message)
    try:
        # tensorstore refuses attributes.json with keys it does not know.
        return open_read_only(
            "n5",
            layout.folder,
            limits,
            reverse_axes=True,
            metadata=attributes.storage(),
        )
    except OPENING_ERRORS as error:
        message = f"{layout.name} cannot be opened: {one_line(error)}"
        raise VolumeError(message) from error

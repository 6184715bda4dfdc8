"""N5 volumes, read with tensorstore."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from blockseg.core.errors import VolumeError
from blockseg.io.axes import AxisSelection
from blockseg.io.chunks.tensorstores import OPENING_ERRORS, ReadLimits, open_read_only
from blockseg.io.chunks.volume import ChunkedVolume, number_type, one_line
from blockseg.io.n5.attributes import read_attributes
from blockseg.io.n5.layout import n5_image

if TYPE_CHECKING:
    from blockseg.core.specs import VolumeSpec

__all__ = ["open_n5"]

_CODECS = ("raw", "gzip", "bzip2", "xz", "blosc", "zstd")


def open_n5(spec: VolumeSpec, limits: ReadLimits | None = None) -> ChunkedVolume:
    """Open an N5 dataset read-only.

    Raises
    ------
    VolumeError
        If it is gone, damaged, or compressed in a way that tensorstore lacks.
    """
    image = n5_image(Path(spec.uri), spec.path)
    if image is None or image.path != image.levels[0].path:
        message = f"{Path(spec.uri) / spec.path} is not an N5 dataset"
        raise VolumeError(message)
    layout = image.levels[0].renamed(spec.axes)
    selection = AxisSelection.choose(
        layout.axes,
        layout.shape,
        channel=spec.channel,
        timepoint=spec.timepoint,
        where=layout.name,
    )
    number_type(layout)
    attributes = read_attributes(layout.folder)
    codec = attributes.compression
    if codec not in _CODECS:
        message = (
            f"{layout.name} is compressed with {codec}, which no library here reads; "
            f"copy it with one of {', '.join(_CODECS)}"
        )
        raise VolumeError(message)
    limits = (limits or ReadLimits()).for_chunks(layout.chunk_bytes)
    try:
        # tensorstore refuses attributes.json with keys it does not know.
        begin = open_read_only(
            "n5",
            layout.folder,
            limits,
            reverse_axes=True,
            metadata=attributes.storage(),
        )
    except OPENING_ERRORS as error:
        message = f"{layout.name} cannot be opened: {one_line(error)}"
        raise VolumeError(message) from error
    return ChunkedVolume(spec, layout, selection, begin, open_n5, limits.cache_bytes)

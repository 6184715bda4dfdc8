"""Opening of a volume that :func:`blockseg.io.find` found, in any process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockseg.io.chunks.tensorstores import ReadLimits
from blockseg.io.downsampled import Downsampled
from blockseg.io.formats.table import open_array
from blockseg.io.protocol import ConstantVolume
from blockseg.io.reinterpreted import Reinterpreted

if TYPE_CHECKING:
    from blockseg.core.specs import VolumeSpec
    from blockseg.io.protocol import Volume


def open_volume(spec: VolumeSpec, limits: ReadLimits | None = None) -> Volume:
    """Open a volume read-only.

    Cheap enough for every worker: it reads metadata and no voxels. The volume
    may be read from several threads, and can be pickled.

    Parameters
    ----------
    spec
        From :func:`find`.
    limits
        Memory and threads that this volume may use; 256 MiB and few threads if
        not given.

    Raises
    ------
    VolumeError
        If the source is gone, damaged, or encoded as no library here can read.
    """
    volume = _open(spec, limits or ReadLimits())
    if spec.stored_as:
        volume = Reinterpreted(volume, spec.stored_as)
    return Downsampled(volume, spec.downsample) if max(spec.downsample) > 1 else volume


def _open(spec: VolumeSpec, limits: ReadLimits) -> Volume:
    if spec.format == "memory":
        return ConstantVolume.parse(spec.uri)
    # Each engine loads libraries of its own: only the one needed is imported.
    if spec.format == "tiff":
        from blockseg.io.tiff.volume import open_tiff

        return open_tiff(spec, limits)
    return open_array(spec, limits)

"""Open a volume that :func:`blockseg.volume.find` found, in any process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockseg.volume.protocol import ConstantVolume
from blockseg.volume.reinterpreted import Reinterpreted
from blockseg.volume.tensorstores import ReadLimits

if TYPE_CHECKING:
    from blockseg.core.specs import VolumeSpec
    from blockseg.volume.protocol import Volume

__all__ = ["open_volume"]


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
    return Reinterpreted.of(volume, spec.stored_as) if spec.stored_as else volume


def _open(spec: VolumeSpec, limits: ReadLimits) -> Volume:
    if spec.format == "memory":
        return ConstantVolume.parse(spec.uri)
    # Each engine loads libraries of its own: only the one needed is imported.
    if spec.format == "tiff":
        from blockseg.volume.tiff_volume import open_tiff

        return open_tiff(spec, limits)
    if spec.format == "n5":
        from blockseg.volume.n5_volume import open_n5

        return open_n5(spec, limits)
    from blockseg.volume.zarr_volume import open_zarr

    return open_zarr(spec, limits)

"""Writing of a small volume as one TIFF stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tifffile

from blockseg.io.output.atomic_files import replacing

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from blockseg.core.space import Space


def write_tiff(path: Path, data: NDArray[np.generic], space: Space) -> None:
    """Write a stack in one step: a reader sees all of it or nothing.

    Parameters
    ----------
    path
        File to write.
    data
        Voxels, axes (z, y, x).
    space
        Voxel size, stored in the way of ImageJ where its unit is known.

    Raises
    ------
    NoSpaceError
        If the disk is full.
    VolumeError
        If the file cannot be written.
    """
    metadata: dict[str, object] = {"axes": "ZYX"}
    resolution = (1.0, 1.0)
    if space.unit is not None:
        z, y, x = space.voxel_size
        metadata |= {"spacing": z, "unit": "um"}
        resolution = (1 / x, 1 / y)
    with replacing(path) as part:
        tifffile.imwrite(
            part,
            data,
            imagej=True,
            compression="zlib",
            resolution=resolution,
            metadata=metadata,
        )

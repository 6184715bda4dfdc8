"""Find out what a path is, by looking at what is there."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.errors import VolumeError
from blockseg.core.specs import VolumeSpec
from blockseg.volume.axes import AxisSelection
from blockseg.volume.open import open_volume
from blockseg.volume.protocol import ConstantVolume
from blockseg.volume.zarr_layout import zarr_container, zarr_image, zarr_images

if TYPE_CHECKING:
    from blockseg.volume.layout import ImageLayout

__all__ = ["IMAGE_DTYPES", "find"]

IMAGE_DTYPES = ("uint8", "uint16", "int16", "float32")
_LISTED = 12


def find(
    uri: str | os.PathLike[str],
    *,
    level: int = 0,
    dataset: str | None = None,
    channel: int | None = None,
    timepoint: int | None = None,
    mask: bool = False,
) -> VolumeSpec:
    """Find a 3-D volume and check that it can be opened.

    Names count for nothing: a path is what its content says it is.

    Parameters
    ----------
    uri
        A Zarr v2 or v3 array or group, an OME-NGFF image, an N5 container or
        dataset, a TIFF file, a folder or a glob of 2-D TIFF slices; or a path
        inside one of these containers.
    level
        Resolution level, 0 the finest.
    dataset
        Path of an image inside the container.
    channel, timepoint
        Index on these axes; needed where they are longer than one.
    mask
        Whether any type of number is welcome, and not only those of images.

    Returns
    -------
    What :func:`open_volume` opens, with an absolute path.

    Raises
    ------
    VolumeError
        If there is no volume, or none that can be read; one line that says why
        and what to do.
    """
    text = os.fspath(uri)
    if text.startswith("constant://"):
        ConstantVolume.parse(text)
        return VolumeSpec(text, "memory")
    if "://" in text:
        message = f"{text} is remote; copy it to a local or mounted disk"
        raise VolumeError(message)
    path = Path(os.path.abspath(text))  # noqa: PTH100 - links stay as given
    spec = _find_zarr(path, level, dataset, channel, timepoint)
    volume = open_volume(spec)
    if not mask and volume.dtype.name not in IMAGE_DTYPES:
        message = (
            f"{text} holds {volume.dtype.name} voxels; convert it to one of "
            f"{', '.join(IMAGE_DTYPES)}"
        )
        raise VolumeError(message)
    if mask and not np.issubdtype(volume.dtype, np.number) and volume.dtype != bool:
        message = f"{text} holds {volume.dtype.name} voxels, which make no mask"
        raise VolumeError(message)
    return spec


def _find_zarr(
    path: Path,
    level: int,
    dataset: str | None,
    channel: int | None,
    timepoint: int | None,
) -> VolumeSpec:
    found = zarr_container(path)
    if found is None:
        message = f"{path} is no volume"
        raise VolumeError(message)
    container, inner = found
    inner = "/".join(part for part in (inner, (dataset or "").strip("/")) if part)
    image = zarr_image(container, inner)
    if image is None:
        inner = _only_one(zarr_images(container, inner), container, inner, "Zarr")
        image = zarr_image(container, inner)
    if image is None:
        message = f"{container / inner} holds no image"
        raise VolumeError(message)
    return _spec(image, level, channel, timepoint)


def _only_one(paths: list[str], container: Path, inner: str, kind: str) -> str:
    where = container / inner
    if not paths:
        message = f"{where} is an empty {kind} group: it holds no array"
        raise VolumeError(message)
    if len(paths) > 1:
        more = f" and {len(paths) - _LISTED} more" if len(paths) > _LISTED else ""
        message = (
            f"{where} holds {len(paths)} images: {', '.join(paths[:_LISTED])}{more}; "
            f"give the path of one, such as {container / paths[0]}"
        )
        raise VolumeError(message)
    return paths[0]


def _spec(
    image: ImageLayout, level: int, channel: int | None, timepoint: int | None
) -> VolumeSpec:
    levels = {array.level: array for array in image.levels}
    if level == 0 and len(levels) == 1:  # an array that was pointed at
        level = next(iter(levels))
    if level not in levels:
        message = (
            f"{image.levels[0].container / image.path} has the levels "
            f"{', '.join(str(n) for n in levels)}; --level {level} is not one of them"
        )
        raise VolumeError(message)
    array = levels[level]
    selection = AxisSelection.choose(
        array.axes,
        array.shape,
        channel=channel,
        timepoint=timepoint,
        where=array.name,
    )
    chosen = {array.axes[axis]: index for axis, index in selection.fixed}
    spec = VolumeSpec(str(array.container), array.format, array.path, level)
    return replace(spec, channel=chosen.get("c", 0), timepoint=chosen.get("t", 0))

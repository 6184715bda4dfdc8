"""Label images that belong to an OME-Zarr image."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from blockseg.io.zarr.layout import zarr_images

if TYPE_CHECKING:
    from blockseg.core.specs import VolumeSpec


def label_paths(image: VolumeSpec) -> dict[str, str]:
    """Return the label images of an image: their paths in its container, by name.

    Parameters
    ----------
    image
        From :func:`blockseg.io.find`; the labels lie in ``labels/`` of the nearest
        group around it that has one.

    Raises
    ------
    VolumeError
        If metadata are damaged.
    """
    if image.format not in ("zarr2", "zarr3"):
        return {}
    for group in PurePosixPath("/", image.path).parents or (PurePosixPath("/"),):
        labels = str(group / "labels").lstrip("/")
        if (Path(image.uri) / labels).is_dir():
            found = zarr_images(Path(image.uri), labels)
            return {path.removeprefix(f"{labels}/"): path for path in found}
    return {}

"""The same layers in napari: the one file that knows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.errors import MissingExtraError, VolumeError
from blockseg.core.geometry import Roi, to_zyx
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.viewing.served_volume import ServedVolume
from blockseg.web.content import Folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from blockseg.io.protocol import Volume
    from blockseg.viewing.layers import Layer, View


class VolumeArray:
    """A volume with the look of an array, read where it is looked at.

    Parameters
    ----------
    volume
        Axes (z, y, x).
    """

    ndim = 3

    def __init__(self, volume: Volume) -> None:
        self._volume = volume
        self.shape, self.dtype = volume.shape, volume.dtype

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Return what basic indexing selects."""
        keys = key if isinstance(key, tuple) else (key,)
        keys = (*(k for k in keys if k is not Ellipsis), *[slice(None)] * 3)[:3]
        spans: list[tuple[int, int]] = []
        then: list[slice | int] = []
        for one, length in zip(keys, self.shape, strict=True):
            if isinstance(one, slice):
                first, last, step = one.indices(length)
                spans.append((first, max(last, first)))
                then.append(slice(None, None, step))
            else:
                place = int(one) % length
                spans.append((place, place + 1))
                then.append(0)
        roi = Roi(to_zyx(a for a, _ in spans), to_zyx(b for _, b in spans))
        voxels: NDArray[Any] = self._volume.read(roi)[tuple(then)]
        return voxels

    def __array__(
        self,
        dtype: Any = None,
        copy: bool | None = None,
    ) -> NDArray[Any]:
        """Return all of it."""
        return np.asarray(self[...], dtype)


def show_in_napari(view: View) -> None:
    """Open a window of napari and return when it is closed.

    Skeletons and metrics stay out: napari has no layer for the former.

    Raises
    ------
    MissingExtraError
        If napari is not installed.
    """
    try:
        import napari  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        what = "napari"
        raise MissingExtraError(what, "napari") from error

    window = napari.Viewer(title=view.title, ndisplay=2)
    size, unit = view.space.voxel_size, view.space.unit
    for layer in view.layers:
        if layer.scheme != "zarr" or layer.store is None:
            continue
        levels = list(_levels(layer))
        placed: dict[str, Any] = {
            "scale": levels[0].space.voxel_size,
            "name": layer.name,
        }
        placed["translate"] = levels[0].space.translation
        placed["visible"] = layer.visible
        arrays = [VolumeArray(level) for level in levels]
        if layer.kind == "segmentation":
            window.add_labels(arrays, multiscale=True, opacity=0.5, **placed)
        elif layer.name in ("mask", "clean"):
            window.add_labels(arrays, multiscale=True, opacity=0.6, **placed)
        else:
            over = layer.name != "image"
            window.add_image(
                arrays,
                multiscale=True,
                blending="additive" if over else "translucent",
                colormap="cyan" if over else "gray",
                **placed,
            )
    window.dims.set_point(0, view.place[0] * size[0] + view.space.translation[0])
    window.scale_bar.visible = True
    window.scale_bar.unit = "um" if unit else None
    napari.run()


def _levels(layer: Layer) -> Iterator[Volume]:
    if isinstance(layer.store, ServedVolume):
        yield from (level.volume for level in layer.store.levels)
    elif isinstance(layer.store, Folder):
        for number in range(32):
            try:
                yield open_volume(find(str(layer.store.root), level=number, mask=True))
            except VolumeError:
                return

"""Layers in napari; the only module that imports it."""

from __future__ import annotations

import math
import re
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


_MASKS = ("mask", "clean")
_RANGE = re.compile(r"range=\[([^,]+), ([^\]]+)\]")


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

    @property
    def size(self) -> int:
        """Voxels of it."""
        return math.prod(self.shape)

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
                if not -length <= int(one) < length:  # by which iteration ends
                    message = f"there is no {one} among {length}"
                    raise IndexError(message)
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

    Skeletons, metrics and picks stay out: napari has no layer for the first, and the
    others are looked at in the browser.

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
    add_layers(window, view)
    napari.run()


def add_layers(window: Any, view: View) -> None:
    """Add the layers of a view to a viewer of napari, and go to its place.

    Parameters
    ----------
    window
        ``napari.Viewer``, or its model without a window.
    view
        What is shown.
    """
    unit = "µm" if view.space.unit else "pixel"
    for layer in view.layers:
        if layer.store is None or layer.scheme != "zarr":
            continue
        if layer.name.startswith("metric_"):
            continue
        levels = list(_levels(layer))
        placed: dict[str, Any] = {
            "name": layer.name,
            "scale": levels[0].space.voxel_size,
            "translate": levels[0].space.translation,
            "units": (unit,) * 3,
            "visible": layer.visible,
            # Of a pyramid of one level napari's labels would take planes for levels.
            "multiscale": len(levels) > 1,
        }
        arrays = [VolumeArray(level) for level in levels]
        data = arrays if len(arrays) > 1 else arrays[0]
        if layer.kind == "segmentation" or layer.name in _MASKS:
            window.add_labels(data, opacity=0.5, **placed)
        elif layer.name == "image":
            window.add_image(data, contrast_limits=_limits(layer), **placed)
        else:
            window.add_image(
                data,
                contrast_limits=(0, 255),
                blending="additive",
                colormap="cyan",
                **placed,
            )
    size, first = view.space.voxel_size, view.space.translation
    for axis in range(3):
        window.dims.set_point(axis, view.place[axis] * size[axis] + first[axis])
    window.scale_bar.visible = True


def _limits(layer: Layer) -> tuple[float, float]:
    """Return black and white of an image, which its shader has."""
    found = _RANGE.search(str(layer.look.get("shader", "")))
    return (float(found[1]), float(found[2])) if found else (0.0, 255.0)


def _levels(layer: Layer) -> Iterator[Volume]:
    if isinstance(layer.store, ServedVolume):
        yield from (level.volume for level in layer.store.levels)
    elif isinstance(layer.store, Folder):
        for number in range(32):
            try:
                yield open_volume(find(str(layer.store.root), level=number, mask=True))
            except VolumeError:
                return

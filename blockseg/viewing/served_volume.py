"""Any volume as an OME-Zarr that exists only while it is viewed.

So a browser sees TIFF, N5, channels of larger arrays, means over voxels and what a network
predicts, all alike.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.errors import VolumeError
from blockseg.core.geometry import Roi, to_zyx
from blockseg.io.coarse_levels import coarse_levels
from blockseg.io.downsampled import Downsampled
from blockseg.io.open import open_volume
from blockseg.web.content import Bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blockseg.core.geometry import Zyx
    from blockseg.core.space import Space
    from blockseg.core.specs import VolumeSpec
    from blockseg.io.protocol import Volume
    from blockseg.web.content import Wanted

CHUNK = 64
"""Edge of a chunk, in voxels."""

_COARSEST = 256  # voxels along the longest edge, below which no level is added
_LARGEST_FACTOR = (
    8  # of levels that are not stored: a chunk is the mean over 512³ voxels
)


@dataclass(frozen=True, slots=True)
class ServedLevel:
    """A level of a volume that is served."""

    volume: Volume
    """Its voxels."""

    factors: Zyx
    """Voxels along (z, y, x) of the finest level that one of its voxels covers."""


@dataclass(frozen=True, slots=True)
class ServedVolume:
    """A pyramid in Zarr v3 with the metadata of OME-NGFF 0.5, made on demand."""

    levels: tuple[ServedLevel, ...]
    """The finest first."""

    space: Space
    """Space of the finest level, as the user or the source states it."""

    def open(self, key: str, wanted: Wanted) -> Bytes | None:
        """Return metadata or a chunk; None if there is none, or it is not needed any more."""
        if key == "zarr.json":
            return _json(self._group())
        number, _, rest = key.partition("/")
        if not number.isdecimal() or not int(number) < len(self.levels):
            return None
        level = self.levels[int(number)].volume
        if rest == "zarr.json":
            return _json(_array(level))
        roi = _chunk(rest, level.shape)
        if roi is None or not wanted():
            return None
        data = np.zeros((CHUNK,) * 3, level.dtype)
        data[tuple(slice(0, n) for n in roi.shape)] = level.read(roi)
        return Bytes(data.astype(data.dtype.newbyteorder("<")).tobytes())

    def _group(self) -> dict[str, Any]:
        axis: dict[str, Any] = {"type": "space"}
        if self.space.unit is not None:
            axis["unit"] = self.space.unit
        image = {
            "axes": [{"name": name, **axis} for name in "zyx"],
            "datasets": [
                self._dataset(number, level.factors)
                for number, level in enumerate(self.levels)
            ],
        }
        ome = {"version": "0.5", "multiscales": [image]}
        return {"zarr_format": 3, "node_type": "group", "attributes": {"ome": ome}}

    def _dataset(self, number: int, factors: Zyx) -> dict[str, Any]:
        space = self.space.binned(factors)
        placed = [
            {"type": "scale", "scale": list(space.voxel_size)},
            {"type": "translation", "translation": list(space.translation)},
        ]
        return {"path": str(number), "coordinateTransformations": placed}


def served_source(spec: VolumeSpec, space: Space) -> ServedVolume:
    """Return a volume with the levels that are stored beside it, or means over voxels.

    Parameters
    ----------
    spec
        Of the finest level.
    space
        Of that level.

    Raises
    ------
    VolumeError
        If it cannot be opened.
    """
    fine = open_volume(spec)
    return ServedVolume((ServedLevel(fine, (1, 1, 1)), *_coarser(spec, fine)), space)


def _coarser(spec: VolumeSpec, fine: Volume) -> Iterator[ServedLevel]:
    if max(spec.downsample) == 1:
        try:
            stored = list(coarse_levels(spec))
        except VolumeError:
            stored = []
        if stored:
            for level in stored:
                coarse = replace(level.spec, stored_as=spec.stored_as)
                yield ServedLevel(open_volume(coarse), level.factors)
            return
    factor = 2
    while max(fine.shape) // factor >= _COARSEST and factor <= _LARGEST_FACTOR:
        factors = to_zyx(factor if n >= factor else 1 for n in fine.shape)
        yield ServedLevel(Downsampled(fine, factors), factors)
        factor *= 2


def _json(document: dict[str, Any]) -> Bytes:
    return Bytes(json.dumps(document).encode())


def _array(level: Volume) -> dict[str, Any]:
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(level.shape),
        "data_type": level.dtype.name,
        "chunk_grid": {
            "name": "regular",
            "configuration": {"chunk_shape": [CHUNK] * 3},
        },
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0,
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
        "attributes": {},
        "dimension_names": ["z", "y", "x"],
    }


def _chunk(key: str, shape: Zyx) -> Roi | None:
    """Return the voxels of the chunk ``c/Z/Y/X``; None if it is none."""
    c, *parts = key.split("/")
    if c != "c" or len(parts) != 3 or not all(part.isdecimal() for part in parts):
        return None
    index = [int(part) for part in parts]
    if any(i >= math.ceil(n / CHUNK) for i, n in zip(index, shape, strict=True)):
        return None
    start = to_zyx(i * CHUNK for i in index)
    stop = to_zyx(min(a + CHUNK, n) for a, n in zip(start, shape, strict=True))
    return Roi(start, stop)

"""Maximum projections of a run's images and of its source, from coarse levels."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.blockwise.record.record import Paths, RunRecord
from blockseg.core.errors import VolumeError
from blockseg.core.geometry import Roi
from blockseg.io.chunks.tensorstores import ReadLimits
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.io.output.create import image_provenance
from blockseg.io.output.picture import coloured

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from blockseg.core.specs import VolumeSpec
    from blockseg.io.protocol import Volume
    from blockseg.io.stores.location import Location

MASK = "labels/foreground"
"""Path of the mask in an output."""

_LIMITS = ReadLimits(cache_bytes=16 * 2**20)  # what is drawn is read once

COMPONENTS, CLEAN = "labels/components", "labels/foreground_clean"
"""Paths of the label images of objects in an output."""


def open_level(group: Location, level: int) -> Volume:
    """Open a level of an image.

    Raises
    ------
    VolumeError
        If there is none.
    """
    return open_volume(find(str(group), level=level, mask=True), _LIMITS)


def level_within(group: Location, side: int) -> int:
    """Return the finest level whose planes have no side of more than so many pixels."""
    level = 0
    while max(open_level(group, level).shape[1:]) > side:
        level += 1
    return level


def project(volume: Volume, roi: Roi | None = None) -> NDArray[np.generic]:
    """Return the maximum along z, ``(y, x)``, read a row of chunks at a time."""
    region = roi or Roi.whole(volume.shape)
    (z0, y0, x0), (z1, y1, x1) = region.start, region.stop
    found: NDArray[np.generic] = np.empty(region.shape[1:], volume.dtype)
    for a, b in _cuts(y0, y1, volume.chunk_shape[1]):
        tops = (
            volume.read(Roi((z, a, x0), (end, b, x1))).max(axis=0)
            for z, end in _cuts(z0, z1, volume.chunk_shape[0])
        )
        row = next(tops)
        for top in tops:
            np.maximum(row, top, out=row)
        found[a - y0 : b - y0] = row
    return found


def _cuts(start: int, stop: int, step: int) -> Iterator[tuple[int, int]]:
    """Yield the pieces of a range, cut at multiples of a number."""
    edges = [start, *range((start // step + 1) * step, stop, step), stop]
    return pairwise(edges)


def project_axes(
    volume: Volume, roi: Roi | None = None
) -> tuple[NDArray[np.generic], NDArray[np.generic], NDArray[np.generic]]:
    """Return the maxima along z, y and x: ``(y, x)``, ``(z, x)`` and ``(z, y)``."""
    region = roi or Roi.whole(volume.shape)
    step = volume.chunk_shape[0]
    (z0, y0, x0), (z1, y1, x1) = region.start, region.stop
    along_z: NDArray[np.generic] | None = None
    along_y, along_x = [], []
    for z in range(z0, z1, step):
        slab = volume.read(Roi((z, y0, x0), (min(z + step, z1), y1, x1)))
        top = slab.max(axis=0)
        along_z = top if along_z is None else np.maximum(along_z, top)
        along_y.append(slab.max(axis=1))
        along_x.append(slab.max(axis=2))
    if along_z is None:
        message = f"nothing lies in {region}"
        raise VolumeError(message)
    return along_z, np.concatenate(along_y), np.concatenate(along_x)


def project_objects(root: Location, level: int) -> NDArray[np.uint8] | None:
    """Return the clean objects of a run in colours, ``(y, x, 3)``; None without any."""
    record = RunRecord.of(Paths(root))
    made = image_provenance(root / COMPONENTS)
    if record is None or made is None or made.run != record.fingerprint:
        return None
    components = open_level(root / COMPONENTS, level)
    clean = open_level(root / CLEAN, level)
    found = np.zeros(components.shape[1:], np.uint64)
    depth, height, width = components.shape
    for a, b in _cuts(0, height, components.chunk_shape[1]):
        for z, end in _cuts(0, depth, components.chunk_shape[0]):
            row = Roi((z, a, 0), (end, b, width))
            inside = clean.read(row) > 0
            if inside.any():
                top = np.where(inside, components.read(row), 0).max(axis=0)
                np.maximum(found[a:b], top, out=found[a:b])
    return coloured(found)


def project_source(
    root: Location, level: int, most_voxels: int
) -> NDArray[np.generic] | None:
    """Return the projection of a run's source, at the cheapest level.

    Parameters
    ----------
    root
        Output of the run.
    level
        Level of the output that it is to be laid beside; coarser ones show too little.
    most_voxels
        Voxels to read at most.

    Returns
    -------
    ndarray
        ``(y, x)``, of any size; None where the source is not at hand or every level has
        more voxels.
    """
    found = source_beside(root, level, most_voxels)
    return None if found is None else project(*found)


def source_beside(
    root: Location, level: int, most_voxels: int
) -> tuple[Volume, Roi] | None:
    """Return a level of what a run read and the region that it covers there.

    Parameters
    ----------
    root, level, most_voxels
        As of :func:`project_source`.

    Returns
    -------
    tuple of Volume and Roi
        None where the source is not at hand or every level has more voxels.
    """
    record = RunRecord.of(Paths(root))
    if record is None or record.source is None:
        return None
    spec, roi, shape = record.source.spec, record.roi, record.volume_shape
    if roi is None or shape is None:
        return None
    for further in range(level, -1, -1):
        try:
            volume = open_volume(
                find(
                    spec.uri,
                    dataset=_dataset(spec),
                    level=spec.level + further,
                    channel=spec.channel,
                    timepoint=spec.timepoint,
                    downsample=spec.downsample,
                ),
                _LIMITS,
            )
        except VolumeError:
            continue
        factors = [
            max(1, round(n / m)) for n, m in zip(shape, volume.shape, strict=True)
        ]
        z, y, x = (
            (a // f, -(-b // f))
            for a, b, f in zip(roi.start, roi.stop, factors, strict=True)
        )
        region = Roi((z[0], y[0], x[0]), (z[1], y[1], x[1]))
        region = region.intersection(Roi.whole(volume.shape))
        if 0 < region.size * math.prod(spec.downsample) <= most_voxels:
            return volume, region
    return None


def resized(plane: NDArray[np.generic], shape: tuple[int, ...]) -> NDArray[np.generic]:
    """Return the plane at another size, by the maximum of what each pixel covers."""
    for axis, length in enumerate(shape):
        have = plane.shape[axis]
        edges = np.arange(length) * have // length
        if have > length:
            plane = np.maximum.reduceat(plane, edges, axis=axis)
        elif have < length:
            plane = plane.take(edges, axis=axis)
    return plane


def binned(plane: NDArray[Any], most: int, join: np.ufunc = np.add) -> NDArray[Any]:
    """Return the plane with at most so many pixels a side, neighbours joined.

    Parameters
    ----------
    plane
        ``(y, x)``; one that is small enough is returned as it is.
    most
        Pixels of its longest side at most.
    join
        Function of two pixels: their sum if not given.
    """
    step = -(-max(plane.shape) // most)
    if step > 1:
        for axis, length in enumerate(plane.shape):
            plane = join.reduceat(plane, np.arange(0, length, step), axis=axis)
    return plane


def _dataset(spec: VolumeSpec) -> str | None:
    return None if spec.format == "tiff" or not spec.path else spec.path

"""``blockseg preview``: maximum projections of image, probability and mask."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from blockseg.blockwise.outputs import absolute
from blockseg.blockwise.planning.decisions import decisions_from
from blockseg.blockwise.record.record import FOLDER, Paths, RunRecord
from blockseg.core.errors import GeometryError, VolumeError
from blockseg.core.geometry import Roi
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.io.output.create import image_provenance
from blockseg.io.output.picture import as_grey, coloured, panels, save_png
from blockseg.normalization.interpolation import sampled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.specs import VolumeSpec
    from blockseg.io.protocol import Volume

_LARGEST_SIDE = 1024
_MOST_IMAGE_VOXELS = 2**31
_PLANES = 16  # of a background field, of which the mean is drawn


def preview(out: str, picture: str | None = None) -> Path:
    """Draw what a run made, beside what it was made from.

    Parameters
    ----------
    out
        Output of a run.
    picture
        PNG to write; ``OUT/.blockseg/preview.png`` if not given.

    Returns
    -------
    Path
        The picture: projections along z of the image (where it is at hand and no
        level needs more than 2 gigavoxels to be read), probability and mask; where its
        objects were labelled, those of the clean mask, a colour each; where the run saw its source by a background field, also the means of level and noise SD
        along z, black at 0.

    Raises
    ------
    VolumeError
        If there is no such output or the picture cannot be written.
    """
    root = absolute(out)
    level = 0
    while max(_level(root, level).shape[1:]) > _LARGEST_SIDE:
        level += 1
    probability = _project(_level(root, level))
    mask = _project(_level(root / "labels" / "foreground", level)).astype(bool)
    planes = [
        ("probability", probability.astype(np.uint8)),
        ("mask", mask * np.uint8(255)),
    ]
    image = _image(root, level)
    if image is not None:
        planes.insert(0, ("image", as_grey(_fitted(image, probability.shape))))
    planes += _objects(root, level)
    planes += _background(root, probability.shape)
    odd = [name for name, plane in planes if plane.shape[:2] != probability.shape]
    if odd:
        message = (
            f"OUT {root} is damaged: {odd[0]} and probability have other shapes at level "
            f"{level}; blockseg run with --verify makes damaged files again"
        )
        raise VolumeError(message)
    target = Path(picture) if picture else root / FOLDER / "preview.png"
    if not target.absolute().parent.is_dir():
        message = f"{target} cannot be written: there is no folder {target.parent}"
        raise VolumeError(message)
    save_png(target, panels(planes, across=True))
    return target


def _level(group: Path, level: int) -> Volume:
    return open_volume(find(str(group), level=level, mask=True))


def _project(volume: Volume, roi: Roi | None = None) -> NDArray[np.generic]:
    """Return the maximum along z, read a slab of chunks at a time."""
    region = roi or Roi.whole(volume.shape)
    step = volume.chunk_shape[0]
    (z0, y0, x0), (z1, y1, x1) = region.start, region.stop
    slabs = (
        volume.read(Roi((z, y0, x0), (min(z + step, z1), y1, x1))).max(axis=0)
        for z in range(z0, z1, step)
    )
    result: NDArray[np.generic] = next(slabs)
    for slab in slabs:
        np.maximum(result, slab, out=result)
    return result


def _objects(root: Path, level: int) -> list[tuple[str, NDArray[np.uint8]]]:
    """Draw the clean objects of a run, a colour each; nothing where there are none."""
    record = RunRecord.of(Paths(root))
    made = image_provenance(root / "labels" / "components")
    if record is None or made is None or made.run != record.fingerprint:
        return []
    components = _level(root / "labels" / "components", level)
    clean = _level(root / "labels" / "foreground_clean", level)
    found = np.zeros(components.shape[1:], np.uint64)
    step = components.chunk_shape[0]
    _, height, width = components.shape
    for z in range(0, components.shape[0], step):
        slab = Roi((z, 0, 0), (min(z + step, components.shape[0]), height, width))
        inside = clean.read(slab) > 0
        np.maximum(
            found, np.where(inside, components.read(slab), 0).max(axis=0), out=found
        )
    return [("objects", coloured(found))]


def _image(root: Path, level: int) -> NDArray[np.generic] | None:
    """Project the source at the level that costs least and still shows enough."""
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
                )
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
        if 0 < region.size * math.prod(spec.downsample) <= _MOST_IMAGE_VOXELS:
            return _project(volume, region)
    return None


def _background(
    root: Path, shape: tuple[int, ...]
) -> list[tuple[str, NDArray[np.uint8]]]:
    """Draw the background field of a run; nothing where it has none."""
    record = RunRecord.of(Paths(root))
    if record is None or record.roi is None or "field" not in record.decisions:
        return []
    try:
        field = decisions_from(record.decisions).field
    except (AttributeError, GeometryError, IndexError, KeyError, TypeError, ValueError):
        return []  # a record that was changed: run and status say so, the rest is drawn
    if field is None:
        return []
    first, last = record.roi.start, record.roi.stop
    z = np.linspace(first[0], last[0] - 1, min(_PLANES, last[0] - first[0]))
    y, x = (
        a + (np.arange(n) + 0.5) * (b - a) / n - 0.5
        for a, b, n in zip(first[1:], last[1:], shape, strict=True)
    )
    level, scale = (part.mean(axis=0) for part in sampled(field, z, y, x))
    sd = scale * record.gain
    return [
        (f"{name}, at most {plane.max():.4g}", _up_from_zero(plane))
        for name, plane in (("background level", level), ("noise SD", sd))
    ]


def _up_from_zero(plane: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return grey values from 0 to the brightest."""
    top = max(float(plane.max()), 1e-12)
    grey: NDArray[np.uint8] = np.rint(np.clip(plane / top, 0, 1) * 255).astype(np.uint8)
    return grey


def _dataset(spec: VolumeSpec) -> str | None:
    return None if spec.format == "tiff" or not spec.path else spec.path


def _fitted(plane: NDArray[np.generic], shape: tuple[int, ...]) -> NDArray[np.generic]:
    """Return the plane at another size, by the maximum of what each pixel covers."""
    for axis, length in enumerate(shape):
        have = plane.shape[axis]
        edges = np.arange(length) * have // length
        if have > length:
            plane = np.maximum.reduceat(plane, edges, axis=axis)
        elif have < length:
            plane = plane.take(edges, axis=axis)
    return plane

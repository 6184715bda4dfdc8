"""``blockseg preview``: maximum projections of image, probability and mask."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from blockseg.blockwise.planning.decisions import decisions_from
from blockseg.blockwise.record.record import Paths, RunRecord
from blockseg.blockwise.store_state import paths_of
from blockseg.core.errors import GeometryError, VolumeError
from blockseg.io.output.picture import as_grey, panels, save_png
from blockseg.normalization.interpolation import sampled
from blockseg.reports.projections import (
    MASK,
    level_within,
    open_level,
    project,
    project_objects,
    project_source,
    resized,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.io.stores.location import Location

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
    paths = paths_of(out)
    root = paths.out
    level = level_within(root, _LARGEST_SIDE)
    probability = project(open_level(root, level))
    mask = project(open_level(root / MASK, level)).astype(bool)
    planes = [
        ("probability", probability.astype(np.uint8)),
        ("mask", mask * np.uint8(255)),
    ]
    image = project_source(root, level, _MOST_IMAGE_VOXELS)
    if image is not None:
        planes.insert(0, ("image", as_grey(resized(image, probability.shape))))
    objects = project_objects(root, level)
    planes += [] if objects is None else [("objects", objects)]
    planes += _background(root, probability.shape)
    odd = [name for name, plane in planes if plane.shape[:2] != probability.shape]
    if odd:
        message = (
            f"OUT {root} is damaged: {odd[0]} and probability have other shapes at level "
            f"{level}; blockseg run with --verify makes damaged files again"
        )
        raise VolumeError(message)
    target = Path(picture) if picture else paths.folder / "preview.png"
    if not target.absolute().parent.is_dir():
        message = f"{target} cannot be written: there is no folder {target.parent}"
        raise VolumeError(message)
    save_png(target, panels(planes, across=True))
    return target


def _background(
    root: Location, shape: tuple[int, ...]
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

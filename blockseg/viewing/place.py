"""First place to show of a run or a volume: one with neurites."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from blockseg.core.errors import BlocksegError
from blockseg.core.geometry import Roi, to_zyx
from blockseg.core.grid import BlockGrid
from blockseg.reports.projections import MASK, open_level
from blockseg.reports.samples import around_cube, metric_images, notable_cubes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blockseg.core.geometry import Zyx
    from blockseg.io.protocol import Volume
    from blockseg.reports.facts import JobFacts

_LOOK = (32, 96, 96)  # voxels of a box in which something bright is looked for
_WIDE = 11  # voxels from which on something is no neurite
_AT_ONCE = 160  # edge of a box that is looked through, in voxels


def interesting_place(run: JobFacts) -> Zyx:
    """Return a voxel of a run's output with foreground; its middle if there is none."""
    mask = open_level(run.paths.out / MASK, 0)
    for box in _boxes(run, mask.shape):
        voxel = _within(mask, box)
        if voxel is not None:
            return voxel
    return to_zyx(n // 2 for n in mask.shape)


def bright_place(volume: Volume) -> Zyx:
    """Return a voxel on something thin and bright; the middle if there is none.

    27 boxes, evenly over the volume, are looked at, whatever its size. Edges of tissue,
    bubbles and cell bodies are wider than neurites, and do not count.
    """
    best, place = 0.0, to_zyx(n // 2 for n in volume.shape)
    starts = [
        sorted({(n - min(n, edge)) * k // 4 for k in (1, 2, 3)})
        for n, edge in zip(volume.shape, _LOOK, strict=True)
    ]
    for z in starts[0]:
        for y in starts[1]:
            for x in starts[2]:
                start = to_zyx((z, y, x))
                stop = to_zyx(
                    min(a + edge, n)
                    for a, edge, n in zip(start, _LOOK, volume.shape, strict=True)
                )
                values = np.nan_to_num(volume.read(Roi(start, stop)).astype(np.float32))
                # A single hot pixel is no neurite.
                smooth = ndimage.uniform_filter(values, 3)
                thin = smooth - ndimage.grey_opening(smooth, _WIDE)
                contrast = float(np.percentile(thin, 99.9) - np.median(thin))
                if contrast > best:
                    at = np.unravel_index(int(thin.argmax()), thin.shape)
                    best = contrast
                    place = to_zyx(a + int(n) for a, n in zip(start, at, strict=True))
    return place


def _boxes(run: JobFacts, shape: Zyx) -> Iterator[Roi]:
    """Yield the densest cube, then the middle of the block with the most foreground."""
    first = (0, 0, 0) if run.record.roi is None else run.record.roi.start
    try:
        for _, index in notable_cubes(metric_images(run.paths.out)):
            yield around_cube(index, first, shape)
    except BlocksegError:
        pass  # of a run that goes on the metrics come last
    if run.foreground.any():
        block = BlockGrid(shape, run.record.block).numbered(
            int(run.foreground.argmax())
        )
        yield _middle(block.write_roi)
        yield block.write_roi


def _middle(roi: Roi) -> Roi:
    start = to_zyx(
        max(a, (a + b - _AT_ONCE) // 2)
        for a, b in zip(roi.start, roi.stop, strict=True)
    )
    stop = to_zyx(min(a + _AT_ONCE, b) for a, b in zip(start, roi.stop, strict=True))
    return Roi(start, stop)


def _within(mask: Volume, box: Roi) -> Zyx | None:
    """Return the voxel of the mask nearest to the middle of its fullest plane."""
    found = mask.read(box) > 0
    counts = found.sum(axis=(1, 2))
    z = int(counts.argmax())
    if not counts[z]:
        return None
    places = np.argwhere(found[z])
    away = np.square(places - places.mean(axis=0)).sum(axis=1)
    y, x = places[int(away.argmin())].tolist()
    return to_zyx(a + n for a, n in zip(box.start, (z, y, x), strict=True))

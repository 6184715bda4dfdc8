"""Samples of a run for its report: cubes, the histogram of the probability, metrics."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.blocks import BlockState
from blockseg.core.errors import BlocksegError
from blockseg.core.geometry import Roi, to_zyx
from blockseg.core.grid import BlockGrid
from blockseg.dhpr.cubes import CUBE
from blockseg.dhpr.metrics import DHPR_METRICS
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.reports.projections import MASK, open_level
from blockseg.runtime.ledger.ledger import STATE_CODES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx
    from blockseg.io.protocol import Volume
    from blockseg.io.stores.location import Location
    from blockseg.reports.facts import JobFacts

METRICS = "blocks"
"""Folder of an output with an image a metric."""

_CHOSEN = (
    ("densest", "foreground", True),
    ("dimmest", "snr_50", False),
    ("most uncertain", "entropy", True),
)
_SAID = {
    "foreground": "{:,.0f} voxels of foreground",
    "snr_50": "median SNR {:.3g}",
    "entropy": "entropy {:.3g} bits",
}
_ENOUGH = 200  # voxels of F⁺ in a cube from which its SNR and entropy say something
_HALF = 48  # voxels around the centre of a cube that are shown
_HISTOGRAM_VOXELS = 2**25


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A small box of a run, as it was seen and segmented."""

    why: str
    """Reason to look at it, with the value."""

    roi: Roi
    """Voxels of the output."""

    image: NDArray[np.generic] | None
    """Projection of the source along z; None where it is not at hand."""

    probability: NDArray[np.uint8]
    """Projection of the probability along z."""

    mask: NDArray[np.uint8]
    """Projection of the mask along z: 0 or 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Frequencies of a run's probability."""

    counts: NDArray[np.int64]
    """Voxels with each of the bytes 0 to 255."""

    whole: bool
    """Whether every voxel was counted; else those of some blocks."""


def metric_images(out: Location) -> dict[str, NDArray[np.float32]]:
    """Return the metrics of a run by name, each ``(z, y, x)`` with a voxel a cube."""
    found = {}
    for name in DHPR_METRICS:
        if (out / METRICS / name).is_dir():
            volume = open_volume(find(str(out / METRICS / name)))
            found[name] = volume.read(Roi.whole(volume.shape))
    return found


def notable_cubes(
    metrics: Mapping[str, NDArray[np.float32]],
) -> Iterator[tuple[str, Zyx]]:
    """Yield reasons and cubes, by index: the densest, the dimmest, the most uncertain."""
    seen: set[Zyx] = set()
    for word, name, largest in _CHOSEN:
        values = metrics.get(name)
        if values is None:
            continue
        plus = metrics.get("foreground_plus")
        score = np.where(np.isfinite(values), values, np.nan).astype(np.float64)
        score = score if largest else -score
        if plus is not None:
            score[~(plus >= _ENOUGH)] = np.nan
        for number in np.argsort(-score, axis=None, kind="stable")[: len(seen) + 1]:
            index = to_zyx(int(i) for i in np.unravel_index(number, score.shape))
            if np.isfinite(score[index]) and index not in seen:
                seen.add(index)
                yield f"{word}: {_SAID[name].format(float(values[index]))}", index
                break


def around_cube(index: Zyx, origin: Zyx, shape: Zyx) -> Roi:
    """Return the voxels of an output around the centre of a cube.

    Parameters
    ----------
    index
        Of the cube among those of the metrics.
    origin
        First voxel of the output in the source.
    shape
        Voxels of the output.
    """
    start, stop = [], []
    for i, first, length in zip(index, origin, shape, strict=True):
        centre = (first // CUBE + i) * CUBE + CUBE // 2 - first
        low = min(max(centre - _HALF, 0), max(length - 2 * _HALF, 0))
        start.append(low)
        stop.append(min(low + 2 * _HALF, length))
    return Roi(to_zyx(start), to_zyx(stop))


def places(
    run: JobFacts, metrics: Mapping[str, NDArray[np.float32]]
) -> Iterator[Place]:
    """Yield the boxes of a run that are worth a look."""
    out, origin = run.paths.out, run.record.roi
    probability, mask = open_level(out, 0), open_level(out / MASK, 0)
    shape = probability.shape
    first = (0, 0, 0) if origin is None else origin.start
    source = _source(run)
    for why, index in notable_cubes(metrics):
        roi = around_cube(index, first, shape)
        image = None
        if source is not None:
            with suppress(BlocksegError):  # damaged there: the failures say so
                image = source.read(roi.shifted(first)).max(axis=0)
        yield Place(
            why,
            roi,
            image,
            probability.read(roi).max(axis=0).astype(np.uint8),
            (mask.read(roi) > 0).max(axis=0).astype(np.uint8),
        )


def probability_histogram(run: JobFacts) -> Histogram:
    """Return how often each probability occurs, over all voxels or a sample of blocks.

    Of more than 2²⁵ voxels only those of blocks that are done count, some of them, evenly
    among them.
    """
    volume = open_level(run.paths.out, 0)
    grid = BlockGrid(volume.shape, run.record.block)
    done = np.flatnonzero(run.states == STATE_CODES[BlockState.DONE])
    counts = np.zeros(256, np.int64)
    block = Roi.whole(run.record.block).size
    most = max(_HISTOGRAM_VOXELS // block, 1)
    chosen = done[:: max(-(-len(done) // most), 1)]
    for number in chosen.tolist():
        for plane in volume.read(grid.numbered(number).write_roi):
            counts += np.bincount(plane.ravel(), minlength=256)  # 8 bytes of each
    return Histogram(counts, whole=len(chosen) == len(run.states))


def _source(run: JobFacts) -> Volume | None:
    if run.record.source is None:
        return None
    try:
        return open_volume(run.record.source.spec)
    except BlocksegError:
        return None

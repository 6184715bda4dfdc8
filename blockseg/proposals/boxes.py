"""Boxes of whole cubes with their metrics: the blocks of a brain that may be picked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.errors import ConfigError
from blockseg.core.geometry import Zyx, floor_to, to_zyx
from blockseg.core.text import counted
from blockseg.dhpr.cubes import CUBE
from blockseg.dhpr.metrics import dhpr_features, dhpr_metrics
from blockseg.dhpr.selection.table import BlockTable
from blockseg.measurement.cube_source import load_cubes
from blockseg.proposals.lookup import Faces, commonest, sampled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.dhpr.metrics import Flavour
    from blockseg.io.protocol import Volume
    from blockseg.proposals.brain import Brain

_ROOM = 2  # boxes a pick that there should be
_HALF = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """Blocks of one shape on a lattice; those at far borders may be smaller."""

    table: BlockTable
    """Table that is selected from."""

    metrics: dict[str, NDArray[np.float64]]
    """Columns of :data:`blockseg.dhpr.metrics.DHPR_METRICS`, each of shape (n,)."""

    shape: Zyx
    """Voxels along (z, y, x)."""

    notes: tuple[str, ...]
    """Notes for the user, a line each."""


def pick_cubes(
    region: Zyx, count: int, shape: Zyx | None = None, *, largest: int = 320
) -> Zyx:
    """Return how many cubes a pick has along (z, y, x).

    Parameters
    ----------
    region
        Voxels that were measured, along (z, y, x).
    count
        Picks: they get the largest edge with which the region holds twice as many.
    shape
        Voxels that the user wants instead; multiples of a cube.
    largest
        Voxels of an edge, at most, where no shape is given.

    Raises
    ------
    ConfigError
        If the shape is no multiple of a cube, or larger than the region.
    """
    have = to_zyx(-(-n // CUBE) for n in region)
    if shape is not None:
        cubes = to_zyx(n // CUBE for n in shape)
        if any(n % CUBE for n in shape) or any(
            a > b for a, b in zip(cubes, have, strict=True)
        ):
            by = ",".join(str(n) for n in shape)
            most = ",".join(str(n * CUBE) for n in have)
            message = (
                f"--pick-shape {by}: give multiples of {CUBE} voxels, {most} at most"
            )
            raise ConfigError(message)
        return cubes
    for edge in range(largest // CUBE, 0, -1):
        cubes = to_zyx(min(edge, n) for n in have)
        boxes = np.prod([n // c for n, c in zip(have, cubes, strict=True)])
        if boxes >= _ROOM * count:
            break
    return cubes


def measured_boxes(
    brain: Brain,
    cubes: Zyx,
    *,
    flavour: Flavour = "extended",
    mask: Volume | None = None,
    regions: Volume | None = None,
) -> Boxes:
    """Return the blocks of a brain.

    A block may be picked if it is known: it lies in no block that is missing, at least
    half of it was measured and holds grey levels, and half of a whole block along each axis
    lies in the region.

    Parameters
    ----------
    brain
        Brain whose cubes were counted.
    cubes
        Along (z, y, x) of a block.
    flavour
        Formulas of the metrics.
    mask
        Blocks less than half of which lie in it may not be picked.
    regions
        Labels of regions; each block lies in that which most of it lies in.
    """
    region = brain.grid.region
    origin = to_zyx(n // CUBE for n in region.start)
    found = load_cubes(brain.out, cubes, origin)
    edge = to_zyx(n * CUBE for n in cubes)
    first = np.array([floor_to(n, CUBE) for n in region.start])
    start = np.maximum(first + found.index * edge, region.start)
    stop = np.minimum(first + (found.index + 1) * edge, region.stop)
    voxels = np.prod(stop - start, axis=1)
    metrics = dhpr_metrics(found, flavour)
    kept = found.sum("voxels") >= _HALF * voxels
    kept &= metrics["empty"] + metrics["nonfinite"] <= _HALF
    whole = np.minimum(edge, region.shape)
    kept &= (stop - start >= _HALF * whole).all(axis=1)
    notes = []
    if brain.missing:
        touched = _missing(brain, start, stop)
        kept &= ~touched
        notes.append(
            f"{counted(brain.missing, 'block')} of the run missing: "
            f"{int(touched.sum())} of {len(start)} cannot be judged and are left out"
        )
    numbers, faces = _place(brain, edge, found.index)

    def looked_up(volume: Volume) -> NDArray[np.generic]:
        whole = brain.grid.volume_shape
        return sampled(volume, faces, whole, brain.space)[numbers]

    if mask is not None:
        kept &= (np.nan_to_num(looked_up(mask)) != 0).mean(axis=1) >= _HALF
    region_numbers = np.zeros(len(start), np.int64)
    if regions is not None:
        region_numbers = commonest(looked_up(regions))
        if not region_numbers.any():
            notes.append("no block lies in a region of --regions; it has no effect")
    table = BlockTable(
        start=start,
        stop=stop,
        foreground=found.sum("foreground"),
        extended=found.sum("plus"),
        density=metrics["density"],
        level=metrics["level"],
        noise=metrics["sd"],
        low_snr=metrics["low_snr"],
        entropy=metrics["entropy"],
        fragmentation=metrics["fragmentation"],
        saturation=metrics["saturated"],
        features=dhpr_features(found),
        region=region_numbers,
        kept=kept,
    )
    return Boxes(table, metrics, edge, tuple(notes))


def _missing(
    brain: Brain, start: NDArray[np.int64], stop: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return the boxes that share a voxel with a block that is not done."""
    total = np.zeros([n + 1 for n in brain.grid.counts], np.int64)
    total[1:, 1:, 1:] = (~brain.done).cumsum(0).cumsum(1).cumsum(2)
    origin, block = np.array(brain.grid.region.start), np.array(brain.grid.block_shape)
    low, high = (start - origin) // block, (stop - 1 - origin) // block + 1
    count = np.zeros(len(start), np.int64)
    for corner in np.ndindex(2, 2, 2):
        at = np.where(np.array(corner, bool), high, low)
        sign = 1 if sum(corner) % 2 else -1
        count += sign * total[tuple(at.T)]
    return count > 0


def _place(
    brain: Brain, edge: Zyx, index: NDArray[np.int64]
) -> tuple[NDArray[np.int64], Faces]:
    """Return the boxes' numbers in their lattice, and its faces along each axis."""
    region = brain.grid.region
    faces = []
    for a, b, step in zip(region.start, region.stop, edge, strict=True):
        inner = np.arange(floor_to(a, CUBE) + step, b, step)
        faces.append(np.concatenate([[a], inner, [b]]).astype(np.int64))
    counts = [len(face) - 1 for face in faces]
    numbers = np.ravel_multi_index(tuple(index.T), counts)
    z, y, x = faces
    return np.asarray(numbers), (z, y, x)

"""A smooth random field over a brain of any size."""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.geometry import Roi, Zyx, to_zyx
from blockseg.synthetic.fields import tile_generator
from blockseg.synthetic.lattice import TILE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.synthetic.fields import Floats

_HELD = 4_000_000  # nodes: more are drawn where they are needed
_CUBE = 32  # edge length of what is drawn at once, in nodes
# Nodes of SD 1 make a spline of SD (151/315)^(3/2) = 0.33; the rest is kept as it was, so
# that a seed stays the brain that it is.
_SD = 0.52


class SlowField:
    """A smooth random field of mean 0 and SD about 0.64: a cubic B-spline over nodes.

    Parameters
    ----------
    shape
        Voxels of the brain along (z, y, x).
    spacing
        Distance of the nodes, in voxels.
    rng
        Generator of the node values, if they are few enough to be held.
    seed, purpose
        Of the brain and of this field: what the node values come from else.
    """

    def __init__(
        self,
        shape: Zyx,
        spacing: float,
        rng: np.random.Generator,
        *,
        seed: int,
        purpose: int,
    ) -> None:
        self._spacing = spacing
        self._seed, self._purpose = seed, purpose
        # The last tile overhangs the brain.
        counts = [int((n + TILE) / spacing) + 6 for n in shape]
        self._nodes: Floats | None = None
        if np.prod(counts) <= _HELD:
            self._nodes = (rng.standard_normal(counts) / _SD).astype(np.float32)

    def __call__(self, roi: Roi) -> Floats:
        """Return the field over ``roi`` (inside the brain), shape (z, y, x)."""
        splines = [
            _spline_weights(np.arange(a, b), self._spacing)
            for a, b in zip(roi.start, roi.stop, strict=True)
        ]
        values = self._around([(f, w.shape[1]) for f, w in splines])
        for axis, (_, weights) in enumerate(splines):
            along = np.tensordot(weights, values, axes=(1, axis))
            values = np.moveaxis(along, 0, axis)
        return np.ascontiguousarray(values)

    def at(self, position: NDArray[np.float32]) -> Floats:
        """Return the field at points of the brain, shape (n,).

        Parameters
        ----------
        position
            (n, 3), (z, y, x) in voxels.
        """
        if not len(position):
            return np.zeros(0, np.float32)
        splines = [_spline_weights(along, self._spacing) for along in position.T]
        values = self._around([(f, w.shape[1]) for f, w in splines])
        total = np.zeros(len(position), np.float32)
        base = [
            np.floor(p / self._spacing).astype(int) - f
            for p, (f, _) in zip(position.T, splines, strict=True)
        ]
        rows = np.arange(len(position))
        for offset in product(range(4), repeat=3):
            node = [b + o for b, o in zip(base, offset, strict=True)]
            weight = np.ones(len(position), np.float32)
            for (_, weights), n in zip(splines, node, strict=True):
                weight *= weights[rows, n]
            total += weight * values[node[0], node[1], node[2]]
        return total

    def _around(self, spans: list[tuple[int, int]]) -> Floats:
        """Return the nodes of a box: first node and count along each axis."""
        starts = [first + 1 for first, _ in spans]
        stops = [first + 1 + count for first, count in spans]
        if self._nodes is not None:
            box = tuple(slice(a, b) for a, b in zip(starts, stops, strict=True))
            return self._nodes[box]
        out = np.empty([count for _, count in spans], np.float32)
        ranges = [
            range(a // _CUBE, -(-b // _CUBE))
            for a, b in zip(starts, stops, strict=True)
        ]
        for cube in product(*ranges):
            values = _drawn(self._seed, self._purpose, to_zyx(cube))
            here, there = [], []
            for i, a, b in zip(cube, starts, stops, strict=True):
                low, high = max(a, i * _CUBE), min(b, (i + 1) * _CUBE)
                here.append(slice(low - i * _CUBE, high - i * _CUBE))
                there.append(slice(low - a, high - a))
            out[tuple(there)] = values[tuple(here)]
        return out


@lru_cache(maxsize=32)
def _drawn(seed: int, purpose: int, cube: Zyx) -> Floats:
    """Return the nodes of one cube of the lattice of nodes."""
    rng = tile_generator(seed, purpose, cube)
    values: Floats = rng.standard_normal((_CUBE,) * 3, dtype=np.float32)
    values /= np.float32(_SD)
    values.setflags(write=False)
    return values


def _spline_weights(place: NDArray[np.generic], spacing: float) -> tuple[int, Floats]:
    """Return the first node and the weights (place, node) of a cubic B-spline."""
    scaled = place.astype(np.float64) / spacing
    node = np.floor(scaled).astype(int)
    t = scaled - node
    first = int(node.min())
    weights = np.zeros((len(scaled), int(node.max()) - first + 4), dtype=np.float32)
    cubic = (
        (1 - t) ** 3 / 6,
        (3 * t**3 - 6 * t**2 + 4) / 6,
        (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6,
        t**3 / 6,
    )
    rows = np.arange(len(scaled))
    for offset, weight in enumerate(cubic):
        weights[rows, node - first + offset] = weight
    return first, weights

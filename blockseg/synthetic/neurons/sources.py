"""Sources of a brain's neurites: all at once, or site by site of a lattice.

A small brain's neurites are drawn and held as a whole. A large one is cut into sites,
each with a population of its own that reaches at most into the sites around it, so
that any region needs 27 populations, however large the brain is.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Protocol

import numpy as np

from blockseg.core.errors import GeometryError
from blockseg.core.geometry import Roi
from blockseg.core.grid import BlockGrid
from blockseg.synthetic.fields import stream
from blockseg.synthetic.neurons.populate import Numbers, crossing, populate
from blockseg.synthetic.neurons.tracing import Tracing
from blockseg.synthetic.neurons.walks import Domain
from blockseg.synthetic.raster import TileIndex
from blockseg.synthetic.recent import Recent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blockseg.core.geometry import Zyx
    from blockseg.synthetic.params import SynthParams

SITE = 256
"""Edge length of a site, in voxels."""

REACH = 224.0
"""Distance that a neurite of a site runs from where it began; with glow, bundles
and the point spread it still ends inside the neighbouring sites."""

_WHOLE_VOXELS = 2**28  # some seconds and 60 MB; larger brains are made of sites
_WHOLE_EDGE = 2048
_INDEX = 64  # edge length of what a site's points are sorted into, in voxels
_CACHED = 36  # sites: a row of blocks goes on with nine new ones


class Neurites(Protocol):
    """Neurites to draw, wherever they come from."""

    units: BlockGrid
    """Parts each of which owns some neurons."""

    def near(self, roi: Roi, reach: float) -> Tracing:
        """Return the points within ``reach`` voxels of a region, and its somata.

        Somata count as far as they glow. Parents of points are not told: the other
        points may be missing.
        """
        ...

    def owned(self, index: Zyx) -> Iterator[Tracing]:
        """Yield the neurons that one part owns, whole, one or several at a time."""
        ...


def neurites(shape: Zyx, params: SynthParams, seed: int) -> Whole | TiledNeurites:
    """Return the procedural neurites of a brain.

    Parameters
    ----------
    shape
        Voxels along (z, y, x).
    params, seed
        Of the brain.

    Raises
    ------
    GeometryError
        If the brain has more neurites than ids.
    """
    if math.prod(shape) <= _WHOLE_VOXELS and max(shape) <= _WHOLE_EDGE:
        return Whole(shape, params, seed)
    return TiledNeurites(shape, params, seed)


class Whole:
    """Neurites of a brain that is small enough to hold them all.

    Its parameters are those of :func:`neurites`.
    """

    def __init__(self, shape: Zyx, params: SynthParams, seed: int) -> None:
        self.units = BlockGrid(shape, shape)
        domain = Domain(shape, Roi.whole(shape))
        self._tracing = populate(domain, params, stream(seed, 11))
        self._index = TileIndex(self._tracing.points.position, _INDEX)
        self._glow = params.clutter.glow_reach

    def near(self, roi: Roi, reach: float) -> Tracing:
        """Return the points within ``reach`` voxels of a region, and its somata."""
        return _near_points(self._tracing, self._index, roi, reach, self._glow)

    def owned(self, index: Zyx) -> Iterator[Tracing]:
        """Yield everything: there is one part."""
        del index
        yield self._tracing


class TiledNeurites:
    """Neurites of a brain of any size; what was made last is kept.

    Several threads may ask at once.

    Parameters
    ----------
    shape, params, seed
        Those of :func:`neurites`, which says what it raises.
    site
        Edge length of a site, in voxels.
    """

    def __init__(
        self, shape: Zyx, params: SynthParams, seed: int, site: int = SITE
    ) -> None:
        self._shape, self._params, self._seed = shape, params, seed
        self._reach = REACH * site / SITE
        self.units = BlockGrid(shape, (site, site, site))
        self._neurons, self._branches = _capacities(
            params, site**3 / 1e6, crossing(self._domain((0, 0, 0)))
        )
        for what, most in (("neurons", self._neurons), ("branches", self._branches)):
            if len(self.units) * most > np.iinfo(np.uint32).max:
                message = (
                    f"a brain of {shape} voxels has more {what} than there are 32-bit "
                    "ids; make a smaller or sparser one"
                )
                raise GeometryError(message)
        self._sites: Recent[Zyx, tuple[Tracing, TileIndex]] = Recent(_CACHED)

    def near(self, roi: Roi, reach: float) -> Tracing:
        """Return the points within ``reach`` voxels of a region, and its somata."""
        glow = self._params.clutter.glow_reach
        site = self.units.block_shape[0]
        far = max(reach + self._reach, glow)
        ranges = [
            range(
                max(0, math.floor((a - far) / site)),
                min(n, math.ceil((b + far) / site)),
            )
            for a, b, n in zip(roi.start, roi.stop, self.units.counts, strict=True)
        ]
        parts = []
        for z, y, x in product(*ranges):
            tracing, index = self._sites.get((z, y, x), self._populated)
            parts.append(_near_points(tracing, index, roi, reach, glow))
        return Tracing.joined(parts)

    def owned(self, index: Zyx) -> Iterator[Tracing]:
        """Yield the neurons that began in one site."""
        yield self._sites.get(index, self._populated)[0]

    def _domain(self, index: Zyx) -> Domain:
        return Domain(self._shape, self.units.block(index).write_roi, self._reach)

    def _populated(self, index: Zyx) -> tuple[Tracing, TileIndex]:
        number = self.units.id_of(index)
        numbers = Numbers(
            number * self._neurons,
            number * self._branches,
            self._neurons,
            self._branches,
        )
        rng = stream(self._seed, 15, *index)
        tracing = populate(self._domain(index), self._params, rng, numbers)
        return tracing, TileIndex(tracing.points.position, _INDEX)


def _near_points(
    tracing: Tracing, index: TileIndex, roi: Roi, reach: float, glow: float
) -> Tracing:
    """Return the points within ``reach`` of a region, and the somata within ``glow``."""
    points, branches, somata = tracing.points, tracing.branches, tracing.somata
    chosen = index.near(roi, reach)
    rows, branch = np.unique(points.branch[chosen], return_inverse=True)
    low, high = np.array(roi.start) - glow, np.array(roi.stop) + glow
    bodies = np.all((somata.position >= low) & (somata.position < high), axis=1)
    kept = replace(
        points.chosen(chosen),
        branch=branch.astype(np.uint32),
        parent=np.full(len(chosen), -1),
    )
    return Tracing(kept, branches.chosen(rows), somata.chosen(bodies))


def _capacities(params: SynthParams, millions: float, trunk: float) -> tuple[int, int]:
    """Return how many neurons and branches a site may have: more than it ever has."""
    shape = params.morphology
    axons = shape.axon_density * millions / trunk
    neurons = shape.neurons * millions
    most = neurons + axons
    # Collaterals of one order, for each voxel of the order before.
    again = shape.collateral_length / shape.branch_every
    long = 1 + trunk / shape.branch_every * (1 + again + again**2)
    branches = axons * (1 + long) + neurons * (long + 8 * (1 + shape.dendrites))
    branches += 2 * params.clutter.vessels * millions
    return ample(most), ample(branches, spread=2 * long)


def ample(expected: float, spread: float = 1.0) -> int:
    """Return a power of two far above a Poisson number of this mean."""
    far = expected + 12 * math.sqrt(spread * expected) + 24
    return 1 << math.ceil(math.log2(far))

"""Spots, cells and holes, drawn tile by tile: no list of them is ever held."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from blockseg.synthetic.fields import tile_generator
from blockseg.synthetic.lattice import TILE
from blockseg.synthetic.neurons.tracing import Rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx
    from blockseg.synthetic.params import SynthParams

_PURPOSE = 5


@dataclass(frozen=True, slots=True)
class Clump(Rows):
    """Balls that are not neurites."""

    dtypes = (np.float32, np.float32, np.float32)

    position: NDArray[np.float32]
    """(n, 3), (z, y, x) in voxels."""

    radius: NDArray[np.float32]
    """(n,), in voxels."""

    amplitude: NDArray[np.float32]
    """(n,), brightness before the point spread, in grey levels."""


def _own(tile: Zyx, params: SynthParams, seed: int) -> Clump:
    """Return what has its centre inside one tile."""
    clutter = params.clutter
    rng = tile_generator(seed, _PURPOSE, tile)
    millions = TILE**3 / 1e6
    counts = [
        int(rng.poisson(per_million * millions))
        for per_million in (clutter.puncta, clutter.cells, clutter.holes)
    ]
    n = sum(counts)
    position = np.array(tile) * TILE + rng.uniform(0, TILE, (n, 3))
    u = rng.uniform(0, 1, n)
    low = np.repeat([0.4, clutter.cell_radius[0], clutter.cell_radius[0]], counts)
    high = np.repeat([1.2, clutter.cell_radius[1], clutter.cell_radius[1]], counts)
    radius = low + (high - low) * rng.uniform(0, 1, n)
    depth = params.background.level - params.noise.offset
    snr_low, snr_high = (
        np.repeat([clutter.puncta_snr[i], clutter.cell_snr[i], 1.0], counts)
        for i in (0, 1)
    )
    amplitude = params.contrast_unit * snr_low * (snr_high / snr_low) ** u
    # Undo the dimming by the point spread: the light of a small ball is spread over it.
    volume = 4 / 3 * math.pi * (radius + 0.1) ** 3
    spread = (2 * math.pi) ** 1.5 * math.prod(params.optics.sigma)
    amplitude /= 1 - np.exp(-volume / spread)
    amplitude[counts[0] + counts[1] :] = -depth * rng.uniform(0.1, 0.6, counts[2])
    return Clump(
        position.astype(np.float32),
        radius.astype(np.float32),
        amplitude.astype(np.float32),
    )


def clumps(tile: Zyx, params: SynthParams, seed: int) -> Clump:
    """Return all spots that may reach into a tile: its own and its neighbours'."""
    clutter = params.clutter
    if clutter.puncta <= 0 and clutter.cells <= 0 and clutter.holes <= 0:
        return Clump.none()
    found = Clump.joined(
        _own((tile[0] + dz, tile[1] + dy, tile[2] + dx), params, seed)
        for dz, dy, dx in product((-1, 0, 1), repeat=3)
    )
    low, high = np.array(tile) * TILE - 24, (np.array(tile) + 1) * TILE + 24
    near = np.all((found.position >= low) & (found.position < high), axis=1)
    return found.chosen(np.asarray(near))

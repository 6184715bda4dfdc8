"""Scene of a tile before a camera looks at it: light, and whose it is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter1d

from blockseg.core.geometry import Roi, Zyx, to_zyx
from blockseg.synthetic.clutter import clumps
from blockseg.synthetic.fields import stream
from blockseg.synthetic.lattice import tile_roi
from blockseg.synthetic.neurons.tracing import VESSEL
from blockseg.synthetic.neurons.walks import unit_vector
from blockseg.synthetic.raster import Canvas
from blockseg.synthetic.slow_field import SlowField

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.space import Vector
    from blockseg.synthetic.fields import Floats
    from blockseg.synthetic.neurons.sources import Neurites
    from blockseg.synthetic.neurons.tracing import Branches, Somata
    from blockseg.synthetic.params import Optics, SynthParams

_SURFACE = 7  # purpose of a tile generator
_TRUNCATED, _HAZE_TRUNCATED = 3.0, 2.0  # SDs


@dataclass(frozen=True, slots=True)
class Scene:
    """Scene of a tile, before any light is collected."""

    light: Floats
    """After the point spread, in grey levels."""

    branch: NDArray[np.uint32]
    """Id of the branch; 0 for none."""

    soma: NDArray[np.uint32]
    """Label of the neuron whose soma covers the voxel; 0 for none."""

    tissue: Floats | None
    """Signed distance to the surface in voxels, positive inside; None if all is inside."""

    branches: Branches
    """The branches of this tile and its surroundings."""


def _reach(optics: Optics) -> Zyx:
    """Return how far light spreads, in voxels."""
    reach = [_TRUNCATED * sigma for sigma in optics.sigma]
    if optics.haze > 0:
        wide = _HAZE_TRUNCATED * optics.haze_width
        reach = [max(r, wide * s) for r, s in zip(reach, optics.sigma, strict=True)]
    return to_zyx(math.ceil(r) for r in reach)


def _seen(light: Floats, optics: Optics) -> Floats:
    """Return light after the point spread, and its haze."""
    seen = _blurred(light, optics.sigma, _TRUNCATED)
    if optics.haze > 0:
        z, y, x = (sigma * optics.haze_width for sigma in optics.sigma)
        seen += np.float32(optics.haze) * _blurred(light, (z, y, x), _HAZE_TRUNCATED)
    return seen


def _blurred(light: Floats, sigma: Vector, truncated: float) -> Floats:
    for axis, along in enumerate(sigma):
        light = gaussian_filter1d(
            light, along, axis, truncate=truncated, mode="constant"
        )
    return light


class SceneMaker:
    """Draws tiles of one brain.

    Parameters
    ----------
    shape
        Voxels along (z, y, x).
    params, neurites
        What there is to draw.
    seed
        Of the brain.
    """

    def __init__(
        self, shape: Zyx, params: SynthParams, neurites: Neurites, seed: int
    ) -> None:
        self._shape = shape
        self._params = params
        self._neurites = neurites
        self._seed = seed
        rng = stream(seed, 14)
        self._surface = SlowField(shape, 24, rng, seed=seed, purpose=_SURFACE)
        self._normal = unit_vector(rng)

    def __call__(self, tile: Zyx) -> Scene:
        """Return what one tile shows."""
        core = tile_roi(tile)
        halo = _reach(self._params.optics)
        wide = core.grown(halo)
        around = self._neurites.near(wide, 12)
        points, bodies = around.points, around.somata
        spots = clumps(tile, self._params, self._seed)
        near_soma = np.all(
            (bodies.position + 24 >= wide.start) & (bodies.position - 24 < wide.stop),
            axis=1,
        )
        branch = np.zeros(core.shape, np.uint32)
        soma = np.zeros(core.shape, np.uint32)
        light = np.zeros(core.shape, np.float32)
        if len(points.radius) or len(spots.radius) or near_soma.any():
            canvas = Canvas.blank(wide)
            vessel = around.branches.kind[points.branch] == VESSEL
            neurite = ~vessel
            canvas.draw(
                points.position[neurite],
                points.radius[neurite],
                points.amplitude[neurite],
                # What is stored is the number plus 1, as 0 means nobody.
                around.branches.number[points.branch[neurite]] - np.uint32(1),
            )
            inner = core.slices(wide.start)
            owner = canvas.owner.reshape(wide.shape)[inner]
            branch = (owner & np.uint64(0xFFFFFFFF)).astype(np.uint32)
            canvas.draw(
                points.position[vessel], points.radius[vessel], points.amplitude[vessel]
            )
            canvas.draw(spots.position, spots.radius, spots.amplitude)
            soma = self._draw_somata(canvas, bodies, np.flatnonzero(near_soma), core)
            branch = np.where(soma > 0, 0, branch)
            total = (canvas.light + canvas.dark).reshape(wide.shape)
            light = np.ascontiguousarray(_seen(total, self._params.optics)[inner])
        light += self._glow(core, bodies)
        tissue = self._distance(core)
        if tissue is not None:
            outside = tissue < 0
            branch[outside] = 0
            soma[outside] = 0
            light[outside] = 0
        return Scene(light, branch, soma, tissue, around.branches)

    def _draw_somata(
        self, canvas: Canvas, bodies: Somata, rows: NDArray[np.int64], core: Roi
    ) -> NDArray[np.uint32]:
        """Draw cell bodies as lumps of balls; return who covers each voxel of ``core``."""
        body = Canvas.blank(canvas.roi)
        for row in rows:
            rng = stream(self._seed, 13, int(bodies.number[row]))
            r = float(bodies.radius[row])
            offset = rng.normal(0, 0.3 * r, (6, 3)).astype(np.float32)
            radius = (r * rng.uniform(0.6, 0.95, 6)).astype(np.float32)
            body.draw(
                bodies.position[row] + offset,
                radius,
                np.full(6, bodies.amplitude[row], np.float32),
                np.full(6, bodies.neuron[row], np.uint32),
            )
        np.maximum(canvas.light, body.light, out=canvas.light)
        owner = body.owner.reshape(canvas.roi.shape)[core.slices(canvas.roi.start)]
        # The stored number is the neuron plus 1; 0 means nobody.
        number = (owner & np.uint64(0xFFFFFFFF)).astype(np.uint32)
        return np.where(number > 0, number - np.uint32(1), np.uint32(0))

    def _glow(self, core: Roi, bodies: Somata) -> Floats:
        """Return the light that somata spread around themselves."""
        total = np.zeros(core.shape, np.float32)
        clutter = self._params.clutter
        if clutter.glow <= 0:
            return total
        sigma = clutter.glow_width * bodies.radius
        low, high = np.array(core.start), np.array(core.stop)
        reach = 4 * sigma[:, None]
        near = np.all(
            (bodies.position + reach >= low) & (bodies.position - reach < high), axis=1
        )
        for row in np.flatnonzero(near):
            s = float(sigma[row])
            z, y, x = (
                np.exp(-0.5 * np.square((np.arange(a, b) - c) / w)).astype(np.float32)
                for a, b, c, w in zip(
                    core.start,
                    core.stop,
                    bodies.position[row],
                    (s / 1.5, s, s),
                    strict=True,
                )
            )
            peak = np.float32(clutter.glow * bodies.amplitude[row])
            total += (peak * z)[:, None, None] * y[None, :, None] * x[None, None, :]
        return total

    def in_tissue(self, position: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Say of points of the brain, (n, 3) in voxels, which lie inside the tissue."""
        if self._params.tissue.kind == "full" or not len(position):
            return np.ones(len(position), bool)
        distance = self._ideal(*position.T)
        return distance + self._rough(self._surface.at(position)) >= 0

    def _distance(self, core: Roi) -> Floats | None:
        """Return the signed distance to the tissue's surface, positive inside."""
        if self._params.tissue.kind == "full":
            return None
        z, y, x = (
            np.arange(a, b, dtype=np.float32)
            for a, b in zip(core.start, core.stop, strict=True)
        )
        distance = self._ideal(z[:, None, None], y[None, :, None], x[None, None, :])
        return np.asarray(distance + self._rough(self._surface(core)))

    def _rough(self, surface: Floats) -> Floats:
        return np.float32(self._params.tissue.roughness) * surface

    def _ideal(self, z: Floats, y: Floats, x: Floats) -> Floats:
        """Return the signed distance to the surface without roughness, broadcast."""
        tissue, shape = self._params.tissue, self._shape
        z, y, x = (
            (v + 0.5 - n / 2).astype(np.float32)
            for v, n in zip((z, y, x), shape, strict=True)
        )
        if tissue.kind == "plane":
            nz, ny, nx = (np.float32(v) for v in self._normal)
            extent = sum(abs(c) * n for c, n in zip(self._normal, shape, strict=True))
            shift = np.float32(extent * (0.5 - tissue.outside_share))
            return np.asarray(nz * z + ny * y + nx * x + shift)
        half = [np.float32(max(1.0, 0.46 * n)) for n in shape]
        away = np.sqrt((z / half[0]) ** 2 + (y / half[1]) ** 2 + (x / half[2]) ** 2)
        return np.asarray((1 - away) * min(half))

"""What a tile of a brain shows before a camera looks at it: light, and whose it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter1d

from blockseg.core.geometry import Roi, Zyx, to_zyx
from blockseg.training.synth.clutter import clumps
from blockseg.training.synth.fields import SlowField, stream
from blockseg.training.synth.lattice import TILE, tile_roi
from blockseg.training.synth.raster import Canvas, TileIndex
from blockseg.training.synth.tracing import VESSEL
from blockseg.training.synth.walks import unit_vector

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.training.synth.fields import Floats
    from blockseg.training.synth.params import SynthParams
    from blockseg.training.synth.tracing import Tracing

__all__ = ["Scene", "SceneMaker"]


@dataclass(frozen=True, slots=True)
class Scene:
    """What a tile shows, before any light is collected."""

    light: Floats
    """After the point spread, in grey levels."""

    branch: NDArray[np.uint32]
    """Row of the branch plus 1; 0 for none."""

    soma: NDArray[np.uint32]
    """Label of the neuron whose soma covers the voxel; 0 for none."""

    tissue: Floats | None
    """Signed distance to the surface in voxels, positive inside; None if all is inside."""


class SceneMaker:
    """Draws tiles of one brain.

    Parameters
    ----------
    shape
        Voxels along (z, y, x).
    params, tracing
        What there is to draw.
    seed
        Of the brain.
    """

    def __init__(
        self, shape: Zyx, params: SynthParams, tracing: Tracing, seed: int
    ) -> None:
        self._shape = shape
        self._params = params
        self._tracing = tracing
        self._seed = seed
        self._index = TileIndex(tracing.points.position, TILE)
        rng = stream(seed, 14)
        self._surface = SlowField(shape, 24, rng)
        self._normal = unit_vector(rng)

    def __call__(self, tile: Zyx) -> Scene:
        """Return what one tile shows."""
        core = tile_roi(tile)
        halo = to_zyx(int(np.ceil(3 * s)) for s in self._params.optics.sigma)
        wide = core.grown(halo)
        points, branches, bodies = (
            self._tracing.points,
            self._tracing.branches,
            self._tracing.somata,
        )
        near = self._index.near(wide, 12)
        spots = clumps(tile, self._params, self._seed)
        near_soma = np.all(
            (bodies.position + 24 >= wide.start) & (bodies.position - 24 < wide.stop),
            axis=1,
        )
        branch = np.zeros(core.shape, np.uint32)
        soma = np.zeros(core.shape, np.uint32)
        light = np.zeros(core.shape, np.float32)
        if len(near) or len(spots.radius) or near_soma.any():
            canvas = Canvas.blank(wide)
            dark = branches.kind[points.branch[near]] == VESSEL
            neurite, vessel = near[~dark], near[dark]
            canvas.draw(
                points.position[neurite],
                points.radius[neurite],
                points.amplitude[neurite],
                points.branch[neurite],
            )
            inner = core.slices(wide.start)
            owner = canvas.owner.reshape(wide.shape)[inner]
            branch = (owner & np.uint64(0xFFFFFFFF)).astype(np.uint32)
            canvas.draw(
                points.position[vessel], points.radius[vessel], points.amplitude[vessel]
            )
            canvas.draw(spots.position, spots.radius, spots.amplitude)
            soma = self._draw_somata(canvas, np.flatnonzero(near_soma), core)
            branch = np.where(soma > 0, 0, branch)
            total = (canvas.light + canvas.dark).reshape(wide.shape)
            for axis, sigma in enumerate(self._params.optics.sigma):
                total = gaussian_filter1d(
                    total, sigma, axis, truncate=3.0, mode="constant"
                )
            light = np.ascontiguousarray(total[inner])
        light += self._glow(core)
        tissue = self._distance(core)
        if tissue is not None:
            outside = tissue < 0
            branch[outside] = 0
            soma[outside] = 0
            light[outside] = 0
        return Scene(light, branch, soma, tissue)

    def _draw_somata(
        self, canvas: Canvas, rows: NDArray[np.int64], core: Roi
    ) -> NDArray[np.uint32]:
        """Draw cell bodies as lumps of balls; return who covers each voxel of ``core``."""
        bodies = self._tracing.somata
        body = Canvas.blank(canvas.roi)
        for row in rows:
            rng = stream(self._seed, 13, int(row))
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

    def _glow(self, core: Roi) -> Floats:
        """Return the light that somata spread around themselves."""
        total = np.zeros(core.shape, np.float32)
        clutter, bodies = self._params.clutter, self._tracing.somata
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

    def _distance(self, core: Roi) -> Floats | None:
        """Return the signed distance to the tissue's surface, positive inside."""
        tissue = self._params.tissue
        if tissue.kind == "full":
            return None
        axes = [
            (np.arange(a, b, dtype=np.float32) + 0.5 - n / 2)
            for a, b, n in zip(core.start, core.stop, self._shape, strict=True)
        ]
        z, y, x = axes[0][:, None, None], axes[1][None, :, None], axes[2][None, None, :]
        if tissue.kind == "plane":
            nz, ny, nx = (np.float32(v) for v in self._normal)
            extent = sum(
                abs(c) * n for c, n in zip(self._normal, self._shape, strict=True)
            )
            shift = np.float32(extent * (0.5 - tissue.outside_share))
            distance = nz * z + ny * y + nx * x + shift
        else:
            half = [np.float32(max(1.0, 0.46 * n)) for n in self._shape]
            away = np.sqrt((z / half[0]) ** 2 + (y / half[1]) ** 2 + (x / half[2]) ** 2)
            distance = (1 - away) * min(half)
        return np.asarray(distance + np.float32(tissue.roughness) * self._surface(core))

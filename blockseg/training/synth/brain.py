"""A synthetic brain of any size, any region of which can be had at any time."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter1d

from blockseg.core.errors import GeometryError
from blockseg.core.geometry import Roi, Zyx, to_zyx
from blockseg.core.grid import BlockGrid
from blockseg.training.synth.clutter import clumps
from blockseg.training.synth.fields import SlowField, TextureField, stream, tile_generator
from blockseg.training.synth.neurons import populate
from blockseg.training.synth.params import SynthParams
from blockseg.training.synth.presets import preset
from blockseg.training.synth.raster import Canvas, TileIndex
from blockseg.training.synth.tracing import VESSEL
from blockseg.training.synth.walks import unit_vector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from blockseg.training.synth.fields import Floats
    from blockseg.training.synth.tracing import Tracing

__all__ = ["TILE", "SynthBlock", "SyntheticBrain"]

TILE = 64
"""Edge length of the lattice of tiles in which everything is computed, in voxels."""

_CACHED_TILES = 8
_NOISE, _SEAM, _PLANE, _LINE = 1, 2, 3, 4  # purposes of tile generators


@dataclass(frozen=True, slots=True)
class SynthBlock:
    """One block of a synthetic brain with its truth."""

    roi: Roi
    """Its place."""

    image: NDArray[np.uint16]
    """Grey levels, shape (z, y, x)."""

    labels: NDArray[np.uint32]
    """Neuron of each voxel, from 1; 0 for none."""

    mask: NDArray[np.uint8]
    """1 on neurites; 0 elsewhere, somata included."""


@dataclass(frozen=True, slots=True)
class _Scene:
    """What a tile shows, before any light is collected."""

    light: Floats
    """After the point spread, in grey levels."""

    branch: NDArray[np.uint32]
    """Row of the branch plus 1; 0 for none."""

    soma: NDArray[np.uint32]
    """Label of the neuron whose soma covers the voxel; 0 for none."""

    tissue: Floats | None
    """Signed distance to the surface in voxels, positive inside; None if all is inside."""


class SyntheticBrain:
    """A brain as a function of its parameters, its seed and the place.

    Only the centrelines are held. Everything else is computed tile by tile on a
    fixed lattice, so that any two regions agree to the bit where they overlap.

    Parameters
    ----------
    shape
        Voxels along (z, y, x).
    params
        Name of a preset, or parameters.
    seed
        Any integer from 0.

    Raises
    ------
    ConfigError
        If there is no such preset.
    GeometryError
        If the shape has no voxels.
    """

    def __init__(
        self, shape: Zyx, params: SynthParams | str = "fmost", seed: int = 0
    ) -> None:
        if min(shape) < 1 or len(shape) != 3:
            message = f"a brain needs three positive edge lengths, not {shape}"
            raise GeometryError(message)
        self.shape = to_zyx(shape)
        self.params = preset(params) if isinstance(params, str) else params
        self.seed = seed
        self.tracing: Tracing = populate(self.shape, self.params, seed)
        p, rng = self.params, stream(seed, 12)
        self._index = TileIndex(self.tracing.points.position, TILE)
        self._uneven = SlowField(self.shape, p.background.uneven_scale, rng)
        elongation = p.optics.axial_fwhm / p.optics.lateral_fwhm
        self._texture = TextureField(
            p.background.texture_scales,
            elongation=elongation,
            skew=p.background.texture_skew,
            seed=seed,
        )
        z, y, x = unit_vector(rng)
        self._streaks = TextureField(
            (), elongation=1, skew=0, seed=seed + 1, streak_direction=(z, y, x)
        )
        self._surface = SlowField(self.shape, 24, rng)
        self._normal = unit_vector(rng)
        self._scenes: OrderedDict[Zyx, _Scene] = OrderedDict()

    def image(self, roi: Roi) -> NDArray[np.uint16]:
        """Return the image of a region.

        Parameters
        ----------
        roi
            Inside the brain.

        Returns
        -------
        Grey levels, shape (z, y, x).

        Raises
        ------
        GeometryError
            If the region does not lie inside the brain.
        """
        out = np.empty(roi.shape, np.uint16)
        for tile, box in self._tiles(roi):
            out[box.slices(roi.start)] = self._tile_image(tile)[
                box.slices(_tile_roi(tile).start)
            ]
        return out

    def branches(self, roi: Roi) -> NDArray[np.uint32]:
        """Return the row of ``tracing.branches`` plus 1 of each voxel; 0 for none.

        The truth by SNR: ``tracing.branches.snr[branches - 1]`` where above 0.
        """
        out = np.empty(roi.shape, np.uint32)
        for tile, box in self._tiles(roi):
            part = self._scene(tile).branch
            out[box.slices(roi.start)] = part[box.slices(_tile_roi(tile).start)]
        return out

    def somata(self, roi: Roi) -> NDArray[np.uint32]:
        """Return the neuron of each voxel inside a soma; 0 elsewhere."""
        out = np.empty(roi.shape, np.uint32)
        for tile, box in self._tiles(roi):
            part = self._scene(tile).soma
            out[box.slices(roi.start)] = part[box.slices(_tile_roi(tile).start)]
        return out

    def labels(self, roi: Roi) -> NDArray[np.uint32]:
        """Return the neuron of each voxel, somata included; 0 for none."""
        neuron = np.concatenate([np.zeros(1, np.uint32), self.tracing.branches.neuron])
        labels = neuron[self.branches(roi)]
        somata = self.somata(roi)
        return np.where(somata > 0, somata, labels)

    def mask(self, roi: Roi) -> NDArray[np.uint8]:
        """Return 1 on neurites, 0 elsewhere; somata do not count as neurites."""
        return (self.branches(roi) > 0).astype(np.uint8)

    def swc(self) -> dict[int, str]:
        """Return every neuron's centreline as SWC text, in voxels, by its label."""
        neurons = np.union1d(self.tracing.branches.neuron, self.tracing.somata.neuron)
        return {int(n): self.tracing.swc(int(n)) for n in neurons if n > 0}

    def blocks(self, block_shape: Zyx = (128, 128, 128)) -> Iterator[SynthBlock]:
        """Yield the whole brain, block after block, in C order.

        Parameters
        ----------
        block_shape
            Voxels along (z, y, x); multiples of ``TILE`` waste nothing.
        """
        for block in BlockGrid(self.shape, block_shape):
            roi = block.write_roi
            yield SynthBlock(roi, self.image(roi), self.labels(roi), self.mask(roi))

    def _tiles(self, roi: Roi) -> Iterator[tuple[Zyx, Roi]]:
        """Yield the tiles that touch a region, and what they share with it."""
        if not Roi.whole(self.shape).contains(roi):
            message = f"ROI {roi} does not lie inside the brain of {self.shape} voxels"
            raise GeometryError(message)
        if roi.size == 0:
            return
        ranges = [
            range(a // TILE, -(-b // TILE))
            for a, b in zip(roi.start, roi.stop, strict=True)
        ]
        for z, y, x in product(*ranges):
            yield (z, y, x), _tile_roi((z, y, x)).intersection(roi)

    def _scene(self, tile: Zyx) -> _Scene:
        if tile in self._scenes:
            self._scenes.move_to_end(tile)
            return self._scenes[tile]
        scene = self._make_scene(tile)
        self._scenes[tile] = scene
        while len(self._scenes) > _CACHED_TILES:
            self._scenes.popitem(last=False)
        return scene

    def _make_scene(self, tile: Zyx) -> _Scene:
        core = _tile_roi(tile)
        halo = to_zyx(int(np.ceil(3 * s)) for s in self.params.optics.sigma)
        wide = core.grown(halo)
        points, branches, bodies = (
            self.tracing.points,
            self.tracing.branches,
            self.tracing.somata,
        )
        near = self._index.near(wide, 12)
        spots = clumps(tile, self.params, self.seed)
        near_soma = np.all(
            (bodies.position + 24 >= wide.start) & (bodies.position - 24 < wide.stop), axis=1
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
            for axis, sigma in enumerate(self.params.optics.sigma):
                total = gaussian_filter1d(total, sigma, axis, truncate=3.0, mode="constant")
            light = np.ascontiguousarray(total[inner])
        light += self._glow(core)
        tissue = self._distance(core)
        if tissue is not None:
            outside = tissue < 0
            branch[outside] = 0
            soma[outside] = 0
            light[outside] = 0
        return _Scene(light, branch, soma, tissue)

    def _draw_somata(
        self, canvas: Canvas, rows: NDArray[np.int64], core: Roi
    ) -> NDArray[np.uint32]:
        """Draw cell bodies as lumps of balls; return who covers each voxel of ``core``."""
        bodies = self.tracing.somata
        body = Canvas.blank(canvas.roi)
        for row in rows:
            rng = stream(self.seed, 13, int(row))
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
        clutter, bodies = self.params.clutter, self.tracing.somata
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
                    core.start, core.stop, bodies.position[row], (s / 1.5, s, s), strict=True
                )
            )
            peak = np.float32(clutter.glow * bodies.amplitude[row])
            total += (peak * z)[:, None, None] * y[None, :, None] * x[None, None, :]
        return total

    def _distance(self, core: Roi) -> Floats | None:
        """Return the signed distance to the tissue's surface, positive inside."""
        tissue = self.params.tissue
        if tissue.kind == "full":
            return None
        axes = [
            (np.arange(a, b, dtype=np.float32) + 0.5 - n / 2)
            for a, b, n in zip(core.start, core.stop, self.shape, strict=True)
        ]
        z, y, x = axes[0][:, None, None], axes[1][None, :, None], axes[2][None, None, :]
        if tissue.kind == "plane":
            nz, ny, nx = (np.float32(v) for v in self._normal)
            extent = sum(abs(c) * n for c, n in zip(self._normal, self.shape, strict=True))
            shift = np.float32(extent * (0.5 - tissue.outside_share))
            distance = nz * z + ny * y + nx * x + shift
        else:
            half = [np.float32(max(1.0, 0.46 * n)) for n in self.shape]
            away = np.sqrt((z / half[0]) ** 2 + (y / half[1]) ** 2 + (x / half[2]) ** 2)
            distance = (1 - away) * min(half)
        return np.asarray(distance + np.float32(tissue.roughness) * self._surface(core))

    def _tile_image(self, tile: Zyx) -> NDArray[np.uint16]:
        core, p = _tile_roi(tile), self.params
        scene = self._scene(tile)
        depth = p.background.level - p.noise.offset
        signal = np.maximum(1 + p.background.uneven * self._uneven(core), 0.1) * depth
        if p.background.texture > 0:
            signal += p.background.texture * self._texture(core)
        if p.background.streaks > 0:
            signal += p.background.streaks * self._streaks(core)
        signal += scene.light
        signal *= self._shading(core)
        if scene.tissue is not None:
            edge = np.clip(scene.tissue / 2, 0, 1)
            signal *= edge
            width = p.tissue.rim_width
            signal += p.tissue.rim * np.exp(-0.5 * np.square((scene.tissue - width) / width))
        np.maximum(signal, 0, out=signal)
        gain = (p.noise.sd**2 - p.noise.read**2) / depth
        noise = tile_generator(self.seed, _NOISE, tile).standard_normal(
            core.shape, dtype=np.float32
        )
        noise *= np.sqrt(gain * signal + p.noise.read**2)
        signal += noise
        signal += p.noise.offset
        image = np.clip(np.rint(signal), 0, p.noise.ceiling).astype(np.uint16)
        if scene.tissue is not None and p.tissue.outside == "zero":
            image[scene.tissue < -1.5 * p.tissue.rim_width] = 0
        return image

    def _shading(self, core: Roi) -> Floats:
        """Return the relative brightness that stitching and scanning add."""
        stitching, stripes = self.params.stitching, self.params.noise.stripes
        shading = np.ones((1, 1, 1), np.float32)
        z, y, _ = (np.arange(a, b) for a, b in zip(core.start, core.stop, strict=True))
        if stripes > 0:
            plane = _one_by_one(self.seed, _PLANE, z)
            line = _one_by_one(self.seed, _LINE, y)
            shading = shading * (1 + stripes * plane)[:, None, None]
            shading = shading * (1 + stripes * line)[None, :, None]
        if stitching.spacing > 0:
            tiles, seams = [], []
            for a, b in list(zip(core.start, core.stop, strict=True))[1:]:
                place = np.arange(a, b) + stitching.spacing // 3
                tiles.append(place // stitching.spacing)
                seams.append((place % stitching.spacing < 2).astype(np.float32))
            gain = _seam_gain(self.seed, tiles[0], tiles[1])
            seam = np.maximum(seams[0][:, None], seams[1][None, :])
            factor = 1 + stitching.gain * gain + stitching.line * seam
            shading = shading * factor[None].astype(np.float32)
        return np.maximum(shading, np.float32(0.05))


def _tile_roi(tile: Zyx) -> Roi:
    start = to_zyx(i * TILE for i in tile)
    return Roi(start, to_zyx(a + TILE for a in start))


def _one_by_one(seed: int, purpose: int, places: NDArray[np.int64]) -> Floats:
    """Return one normal number for each index, whatever else is asked for."""
    return np.array(
        [tile_generator(seed, purpose, (0, 0, int(i))).standard_normal() for i in places],
        dtype=np.float32,
    )


def _seam_gain(seed: int, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Floats:
    """Return one normal number for each stitched tile, by row and column."""
    gain = np.empty((len(rows), len(columns)), np.float32)
    for row, column in product(np.unique(rows), np.unique(columns)):
        value = tile_generator(seed, _SEAM, (0, int(row), int(column))).standard_normal()
        gain[np.ix_(rows == row, columns == column)] = value
    return gain

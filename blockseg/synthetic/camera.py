"""Camera, from a scene to an image: background, shading, noise, saturation."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from blockseg.synthetic.fields import TextureField, stream, tile_generator
from blockseg.synthetic.lattice import tile_roi
from blockseg.synthetic.membranes import Membranes
from blockseg.synthetic.neurons.walks import unit_vector
from blockseg.synthetic.slow_field import SlowField

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.geometry import Roi, Zyx
    from blockseg.synthetic.fields import Floats
    from blockseg.synthetic.params import SynthParams
    from blockseg.synthetic.scene import Scene

_NOISE, _SEAM, _PLANE, _LINE, _UNEVEN = 1, 2, 3, 4, 6  # of tile generators


@dataclass(frozen=True, slots=True)
class Exposure:
    """A tile as the camera sees it."""

    image: NDArray[np.uint16]
    """Grey levels, shape (z, y, x)."""

    expected: Floats
    """Grey levels without noise, saturation included."""

    variance: Floats
    """Variance of the voxel noise, in squared grey levels, before saturation."""


class Camera:
    """Takes images of the tiles of one brain.

    Parameters
    ----------
    shape
        Voxels along (z, y, x).
    params
        Background, noise, stitching.
    seed
        Of the brain.
    """

    def __init__(self, shape: Zyx, params: SynthParams, seed: int) -> None:
        self._params = params
        self._seed = seed
        rng = stream(seed, 12)
        self._uneven = SlowField(
            shape, params.background.uneven_scale, rng, seed=seed, purpose=_UNEVEN
        )
        self._texture = TextureField(
            params.background.texture_scales,
            elongation=params.optics.axial_fwhm / params.optics.lateral_fwhm,
            skew=params.background.texture_skew,
            seed=seed,
        )
        self._membranes = Membranes(shape, params, seed)
        z, y, x = unit_vector(rng)
        self._streaks = TextureField(
            (), elongation=1, skew=0, seed=seed + 1, streak_direction=(z, y, x)
        )

    def expose(self, tile: Zyx, scene: Scene) -> Exposure:
        """Return the image of one tile, and what it would be without noise."""
        core, p = tile_roi(tile), self._params
        depth = p.background.level - p.noise.offset
        signal = np.maximum(1 + p.background.uneven * self._uneven(core), 0.1) * depth
        if p.background.texture > 0:
            signal += p.background.texture * self._texture(core)
        if p.background.streaks > 0:
            signal += p.background.streaks * self._streaks(core)
        if p.clutter.membranes > 0:
            signal += self._membranes(core)
        signal += scene.light
        signal *= self._shading(core)
        if scene.tissue is not None:
            edge = np.clip(scene.tissue / 2, 0, 1)
            signal *= edge
            width = p.tissue.rim_width
            signal += p.tissue.rim * np.exp(
                -0.5 * np.square((scene.tissue - width) / width)
            )
        np.maximum(signal, 0, out=signal)
        gain = (p.noise.sd**2 - p.noise.read**2) / depth
        variance = gain * signal + p.noise.read**2
        noise = tile_generator(self._seed, _NOISE, tile).standard_normal(
            core.shape, dtype=np.float32
        )
        noise *= np.sqrt(variance)
        expected = signal + np.float32(p.noise.offset)
        signal += noise
        signal += p.noise.offset
        image: NDArray[np.uint16] = np.clip(np.rint(signal), 0, p.noise.ceiling).astype(
            np.uint16
        )
        np.minimum(expected, np.float32(p.noise.ceiling), out=expected)
        if scene.tissue is not None and p.tissue.outside == "zero":
            blank = scene.tissue < -1.5 * p.tissue.rim_width
            image[blank] = 0
            expected[blank] = 0
            variance[blank] = 0
        return Exposure(image, expected, variance)

    def _shading(self, core: Roi) -> Floats:
        """Return the relative brightness that stitching and scanning add."""
        stitching, stripes = self._params.stitching, self._params.noise.stripes
        shading = np.ones((1, 1, 1), np.float32)
        z, y, _ = (np.arange(a, b) for a, b in zip(core.start, core.stop, strict=True))
        if stripes > 0:
            plane = _one_by_one(self._seed, _PLANE, z)
            line = _one_by_one(self._seed, _LINE, y)
            shading = shading * (1 + stripes * plane)[:, None, None]
            shading = shading * (1 + stripes * line)[None, :, None]
        if stitching.spacing > 0:
            tiles, seams = [], []
            for a, b in list(zip(core.start, core.stop, strict=True))[1:]:
                place = np.arange(a, b) + stitching.spacing // 3
                tiles.append(place // stitching.spacing)
                seams.append((place % stitching.spacing < 2).astype(np.float32))
            gain = _seam_gain(self._seed, tiles[0], tiles[1])
            seam = np.maximum(seams[0][:, None], seams[1][None, :])
            factor = 1 + stitching.gain * gain + stitching.line * seam
            shading = shading * factor[None].astype(np.float32)
        return np.maximum(shading, np.float32(0.05))


def _one_by_one(seed: int, purpose: int, places: NDArray[np.int64]) -> Floats:
    """Return one normal number for each index, whatever else is asked for."""
    return np.array(
        [
            tile_generator(seed, purpose, (0, 0, int(i))).standard_normal()
            for i in places
        ],
        dtype=np.float32,
    )


def _seam_gain(
    seed: int, rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> Floats:
    """Return one normal number for each stitched tile, by row and column."""
    gain = np.empty((len(rows), len(columns)), np.float32)
    for row, column in product(np.unique(rows), np.unique(columns)):
        value = tile_generator(
            seed, _SEAM, (0, int(row), int(column))
        ).standard_normal()
        gain[np.ix_(rows == row, columns == column)] = value
    return gain

"""Bright curved sheets through a brain, as meninges and the walls of ventricles are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from blockseg.synthetic.fields import TextureField, stream
from blockseg.synthetic.neurons.walks import unit_vector
from blockseg.synthetic.slow_field import SlowField

if TYPE_CHECKING:
    from blockseg.core.geometry import Roi, Zyx
    from blockseg.synthetic.fields import Floats
    from blockseg.synthetic.params import SynthParams

_SURFACE = 8  # purpose of a tile generator
_NODES = 40  # voxels from one node of a sheet's shape to the next
_BEND = 12.0  # voxels by which a sheet leaves its plane, for a node of 1
_GRAIN = 1.6  # voxels: SD of a grain


class Membranes:
    """Sheets across one direction, one behind the other, bent and grainy.

    Parameters
    ----------
    shape
        Voxels of the brain along (z, y, x).
    params
        Of the brain; its ``clutter`` says how bright, wide and far apart they are.
    seed
        Of the brain.
    """

    def __init__(self, shape: Zyx, params: SynthParams, seed: int) -> None:
        self._clutter = params.clutter
        self._unit = params.contrast_unit
        rng = stream(seed, 15)
        self._normal = unit_vector(rng)
        self._phase = rng.uniform(0, self._clutter.membrane_spacing)
        self._bent = SlowField(shape, _NODES, rng, seed=seed, purpose=_SURFACE)
        self._grain = TextureField(
            ((1.0, _GRAIN),), elongation=1.5, skew=0, seed=seed + 2
        )

    def __call__(self, roi: Roi) -> Floats:
        """Return the light of the sheets in a region, in grey levels, shape (z, y, x)."""
        clutter = self._clutter
        z, y, x = (
            np.arange(a, b, dtype=np.float32) * np.float32(n)
            for a, b, n in zip(roi.start, roi.stop, self._normal, strict=True)
        )
        along = z[:, None, None] + y[None, :, None] + x[None, None, :]
        along += np.float32(_BEND) * self._bent(roi) + np.float32(self._phase)
        spacing = np.float32(clutter.membrane_spacing)
        away = np.mod(along, spacing) - spacing / 2
        light = np.exp(-0.5 * np.square(away / np.float32(clutter.membrane_width)))
        light *= np.exp(np.float32(clutter.membrane_grain) * self._grain(roi))
        light *= np.float32(clutter.membranes * self._unit)
        return np.asarray(light, np.float32)

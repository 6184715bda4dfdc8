"""The brains that whole runs are measured on, from seeds: dense, sparse, and of few axons.

``sparse`` has dense neurites in 5 % of its windows, cut at their faces, and none elsewhere;
``few`` has a few whole axons, some as dim as the noise; ``bright`` has fewer, all of them at
least 8 times as bright as the noise (preset ``clean``): in 5 % of the windows of a brain of
256×1024×1024 voxels.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.geometry import Roi, Zyx, to_zyx
from blockseg.core.space import Space
from blockseg.io.output.create import create_output
from blockseg.io.output.pyramid import PyramidSpec
from blockseg.io.output.writer import PyramidWriter
from blockseg.synthetic.brain import SyntheticBrain
from blockseg.synthetic.presets import preset

if TYPE_CHECKING:
    from pathlib import Path


SEED = 50_000  # of no training and no other benchmark
UNIT: Zyx = (256, 512, 512)
"""What is painted; larger brains repeat it, mirrored, so that nothing ends at a seam."""
UNIT_OF_FEW: Zyx = (256, 1024, 1024)
OCCUPIED = 0.05
CELL = 64
FEW = {"few": ("fmost", 9.0), "bright": ("clean", 3.5)}
"""Preset, and voxels of axon a million, of the brains of few axons."""


def brain(folder: Path, kind: str, shape: Zyx) -> Path:
    """Return the OME-Zarr of a brain, made now if it is not there."""
    path = folder / f"{kind}-{'x'.join(map(str, shape))}.zarr"
    done = path / ".complete"
    if done.exists():
        return path
    largest = UNIT_OF_FEW if kind in FEW else UNIT
    unit = to_zyx(map(min, largest, shape))
    image = _painted(kind, unit)
    repeats = [n // u for n, u in zip(shape, unit, strict=True)]
    for axis, count in enumerate(repeats):
        back = np.flip(image, axis)
        image = np.concatenate([(image, back)[i % 2] for i in range(count)], axis)
    block: Zyx = (128, 128, 128)
    size = (2.0, 1.0, 1.0)
    spec = PyramidSpec(
        uri=str(path.absolute()),
        shape=shape,
        block=block,
        dtype="uint16",
        space=Space(size, "micrometer"),
        reduce="mean",
    )
    create_output(spec)
    writer = PyramidWriter(spec)
    for part in spec.grid:
        writer.write_block(part.write_roi, image[part.write_roi.slices()])
    done.touch()
    return path


def occupied(shape: Zyx) -> np.ndarray:
    """Return which 64³ windows of the sparse brain's unit hold neurites."""
    counts = [max(1, n // CELL) for n in shape]
    cells = int(np.prod(counts))
    rng = np.random.default_rng(SEED)
    chosen = rng.permutation(cells) < max(1, round(OCCUPIED * cells))
    return chosen.reshape(counts)


def axons(shape: Zyx, kind: str = "few") -> SyntheticBrain:
    """Return a brain of few axons."""
    name, density = FEW[kind]
    params = preset(name)
    few = replace(params.morphology, axon_density=density, neurons=0.0)
    return SyntheticBrain(shape, replace(params, morphology=few), SEED)


def _painted(kind: str, shape: Zyx) -> np.ndarray:
    if kind in FEW:
        return _image(axons(shape, kind))
    params = preset("fmost")
    dense = replace(params, morphology=replace(params.morphology, axon_density=900.0))
    if kind == "dense":
        return _image(SyntheticBrain(shape, dense, SEED))
    # The same tissue and noise without a neurite, but in a few windows.
    bare = replace(params.morphology, axon_density=0.0, neurons=0.0)
    image = _image(SyntheticBrain(shape, replace(params, morphology=bare), SEED))
    full = _image(SyntheticBrain(shape, dense, SEED))
    for index in np.argwhere(occupied(shape)):
        z, y, x = (slice(i * CELL, i * CELL + CELL) for i in index)
        image[z, y, x] = full[z, y, x]
    return image


def _image(made: SyntheticBrain) -> np.ndarray:
    shape = made.shape
    image = np.empty(shape, np.uint16)
    for z in range(0, shape[0], CELL):
        for y in range(0, shape[1], CELL * 2):
            stop = (min(z + CELL, shape[0]), min(y + 2 * CELL, shape[1]), shape[2])
            roi = Roi((z, y, 0), stop)
            image[roi.slices()] = made.image(roi)
    return image

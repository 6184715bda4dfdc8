"""What accuracy is measured on: held-out synthetic brains, and annotated volumes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import edt
import numpy as np
import tifffile
from numpy.typing import NDArray  # noqa: TC002 - dataclasses read it

from blockseg.core.geometry import Roi, Zyx
from blockseg.core.labels import IGNORE
from blockseg.morphology.block_scores import BlockScores, score_block
from blockseg.morphology.centreline import SKELETON_HALO
from blockseg.morphology.topology import component_count
from blockseg.synthetic.brain import SyntheticBrain
from blockseg.synthetic.fields import stream
from blockseg.synthetic.params import Morphology, SynthParams
from blockseg.synthetic.presets import PRESETS, preset
from blockseg.training.data.randomised import (
    cluttered,
    dendrite_params,
    random_params,
)
from blockseg.training.data.synth_source import FAINT_SNR, make_brain

TOLERANCE = 2.0  # voxels
SNR_EDGES = (1.0, 2.0, 4.0)
SHAPE: Zyx = (96, 160, 160)
WHOLE: Zyx = (128, 256, 256)  # enough of brains with as few neurites as a whole one
BLOCK: Zyx = (48, 80, 80)
HELD_OUT_SEED = 10_000  # trainings use seeds from 2**32 on, and their validation 20,000
SMALLEST = 32  # voxels of a false component that counts


@dataclass(frozen=True, eq=False)
class Scene:
    """A volume with its truth."""

    image: NDArray[np.generic]
    true: NDArray[np.bool_]
    counts: NDArray[np.bool_]
    """Where the truth is known."""
    snr: NDArray[np.float32] | None
    """Of each true voxel."""
    planes: bool = False
    """Whether the truth is known in single planes only."""

    def rows(self, predicted: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
        """Return the counts of each block with anything in it."""
        found: list[NDArray[np.int64]] = []
        halo = SKELETON_HALO + int(TOLERANCE)
        for corner in product(
            *(range(0, n, b) for n, b in zip(self.true.shape, BLOCK, strict=True))
        ):
            stop = [
                min(a + b, n)
                for a, b, n in zip(corner, BLOCK, self.true.shape, strict=True)
            ]
            low = [max(0, a - halo) for a in corner]
            box = tuple(
                slice(a, min(b + halo, n))
                for a, b, n in zip(low, stop, self.true.shape, strict=True)
            )
            z, y, x = (
                slice(a - base, b - base)
                for a, b, base in zip(corner, stop, low, strict=True)
            )
            scores: BlockScores = score_block(
                predicted[box],
                self.true[box],
                self.counts[box],
                (z, y, x),
                TOLERANCE,
                snr=None if self.snr is None else self.snr[box],
                snr_edges=SNR_EDGES,
                planes=self.planes,
            )
            if scores.blocks:
                found.append(scores.row())
        return found

    def near_f1(self, predicted: NDArray[np.bool_]) -> tuple[int, int, int, int]:
        """Return counts of voxels within the tolerance: right, predicted, found, true."""
        mine, true = predicted & self.counts, self.true & self.counts
        if not mine.any():
            return 0, 0, 0, int(true.sum())
        right = (
            mine & (edt.edt(~self.true) <= TOLERANCE) if true.any() else mine & False
        )
        found = true & (edt.edt(~predicted) <= TOLERANCE)
        return int(right.sum()), int(mine.sum()), int(found.sum()), int(true.sum())

    def false_components(self, predicted: NDArray[np.bool_]) -> int:
        """Count predicted components that lie nowhere near the truth."""
        import cc3d

        if not self.true.any():
            near = np.zeros_like(self.true)
        else:
            near = edt.edt(~self.true) <= TOLERANCE
        labels = cc3d.connected_components(predicted & self.counts, connectivity=26)
        sizes = np.bincount(labels.ravel())
        touching = np.zeros(len(sizes), dtype=bool)
        touching[np.unique(labels[near])] = True
        return int(((sizes >= SMALLEST) & ~touching)[1:].sum())

    def painted(self, predicted: NDArray[np.bool_]) -> int:
        """Count predicted components of any size."""
        return component_count(predicted & self.counts)


def synthetic(
    kind: str, number: int, *, empty: bool = False, seed: int = HELD_OUT_SEED
) -> Scene:
    """Return a held-out brain of a preset, denser in neurites than a whole brain."""
    params = _dense(kind)
    if empty:
        params = replace(params, morphology=Morphology(neurons=0, axon_density=0))
    return _scene(params, seed + number)


def dendrites(number: int, *, seed: int = HELD_OUT_SEED) -> Scene:
    """Return a held-out brain of few well stained neurons; faint neurites are unknown."""
    params = dendrite_params(stream(seed, number))
    made = make_brain(
        SHAPE, params, seed + number, faint=FAINT_SNR["dendrites"], step=1
    )
    known = made.target != IGNORE
    return Scene(made.image, made.target == 1, known, None)


def as_made(kind: str, number: int, *, seed: int = HELD_OUT_SEED) -> Scene:
    """Return a held-out brain of a preset as ``blockseg synth`` makes it."""
    return _scene(preset(kind), seed + number, WHOLE)


def flat(kind: str, number: int, *, seed: int = HELD_OUT_SEED) -> Scene:
    """Return a dense held-out brain of which every third plane was imaged."""
    return _scene(_dense(kind), seed + number, step=3)


def cluttered_negative(number: int, *, seed: int = HELD_OUT_SEED) -> Scene:
    """Return a brain drawn at random, full of spots and cells, without a neurite."""
    rng = stream(seed, number)
    params = cluttered(random_params(rng), rng)
    nothing = replace(params.morphology, neurons=0.0, axon_density=0.0)
    return _scene(replace(params, morphology=nothing), seed + number)


def _dense(kind: str) -> SynthParams:
    params = preset(kind)
    neurons = min(0.5, 5 * params.morphology.neurons)
    shape = replace(params.morphology, axon_density=900.0, neurons=neurons)
    return replace(params, morphology=shape)


def _scene(
    params: SynthParams, seed: int, shape: Zyx = SHAPE, *, step: int = 1
) -> Scene:
    brain = SyntheticBrain((shape[0] * step, *shape[1:]), params, seed)
    whole = Roi.whole(brain.shape)
    of_branch = np.concatenate([[np.nan], brain.tracing.branches.snr])
    snr = of_branch[brain.branches(whole)[::step]].astype(np.float32)
    true = brain.mask(whole)[::step] > 0
    image = np.ascontiguousarray(brain.image(whole)[::step])
    return Scene(image, true, np.ones(shape, dtype=bool), snr)


def annotated(image: str, label: str, slices: tuple[int, ...]) -> Scene:
    """Return the labelled slices of a volume: 1 background, 2 neurite, else unknown."""
    volume, labels = tifffile.imread(image), tifffile.imread(label)
    counts = (labels == 1) | (labels == 2)
    for z in range(len(counts)):
        if z not in slices:
            counts[z] = False
    return Scene(volume, (labels == 2) & counts, counts, None, planes=True)


def negative(image: str) -> Scene:
    """Return a volume that holds no neurite."""
    volume = tifffile.imread(image)
    nothing = np.zeros(volume.shape, dtype=bool)
    return Scene(volume, nothing, ~nothing, None)


CALIBRATION_SEED = 30_000
"""Of brains that a threshold is chosen on: neither trained nor scored on."""


def synthetic_sets(brains: int, whole: int = 0) -> dict[str, list[Scene]]:
    """Return all presets, dense, as they are and flat, and the two with clutter alone."""
    sets = {name: [synthetic(name, i) for i in range(brains)] for name in PRESETS}
    if whole:
        for name in PRESETS:
            sets[f"{name}, as made"] = [as_made(name, i) for i in range(whole)]
    for name in ("fmost", "lightsheet"):
        sets[f"{name}, every 3rd plane"] = [flat(name, i) for i in range(brains)]
    for name in ("fmost", "lightsheet"):
        sets[f"{name}, empty"] = [synthetic(name, i, empty=True) for i in range(brains)]
    return sets

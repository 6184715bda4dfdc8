"""Brains that blocks are picked from: regions that differ in all that makes a block hard."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray  # noqa: TC002 - dataclasses read it

from blockseg.core.geometry import Roi, Zyx
from blockseg.core.labels import IGNORE
from blockseg.dhpr.cube_counting import count_cubes
from blockseg.dhpr.cubes import CubeTable
from blockseg.dhpr.grey_scale import GreyScale
from blockseg.dhpr.metrics import dhpr_features, dhpr_metrics
from blockseg.dhpr.selection.table import BlockTable
from blockseg.io.protocol import MemoryVolume
from blockseg.io.sample import sample_planes
from blockseg.morphology.block_scores import score_block
from blockseg.normalization.background import estimate_background, saturation
from blockseg.synthetic.brain import SyntheticBrain
from blockseg.synthetic.fields import stream
from blockseg.synthetic.params import Morphology, SynthParams, Tissue
from blockseg.synthetic.presets import preset
from blockseg.training.data.synth_source import truth

EDGE = 32  # voxels of a block
REGIONS = 10
SNR_EDGES = (2.0, 4.0, 8.0)
TOLERANCE = 2.0  # voxels
FIRST_SEED = 70_000  # of no training and no other benchmark

_BASES = ("fmost", "lightsheet")
_BRIGHT = ((1.0, 6.0, 40.0),)
_MIXED = ((0.3, 1.5, 3.0), (0.4, 3.0, 8.0), (0.3, 8.0, 40.0))
_DIM = ((0.7, 1.4, 3.5), (0.3, 3.5, 8.0))


@dataclass(frozen=True)
class Size:
    """How much is made and trained."""

    pool: Zyx = (96, 256, 288)
    """Voxels of a region that blocks are picked from."""
    held_out: Zyx = (64, 96, 96)
    """Voxels of a region that is scored."""
    regions: int = REGIONS
    """Made of those that a brain has."""
    start_steps: int = 150
    """Of the network that everything starts from; 0 takes the shipped weights."""
    steps: int = 200
    """Of each fine-tuning."""
    backend: str = "openvino"
    """Engine that segments."""


QUICK = Size((32, 64, 64), (32, 32, 32), 3, start_steps=0, steps=2, backend="torch")


@dataclass(frozen=True, eq=False)
class Brain:
    """Regions one below the other along z, as one volume."""

    image: NDArray[np.uint16]
    target: NDArray[np.uint8]
    """0, 1, 255 where nothing counts."""
    snr: NDArray[np.float32]
    """Of neurites; NaN elsewhere."""
    depth: int
    """Planes of a region."""

    def regions(self) -> list[slice]:
        ends = range(0, len(self.image) + 1, self.depth)
        return [slice(a, b) for a, b in pairwise(ends)]


def facts(size: Size) -> dict[str, Any]:
    """Return what brains, trainings and scores depend on."""
    return {
        **asdict(size),
        "edge": EDGE,
        "first_seed": FIRST_SEED,
        "snr_edges": SNR_EDGES,
        "tolerance": TOLERANCE,
        "version": 2,
    }


def region_params(seed: int) -> list[SynthParams]:
    """Return regions of one brain: one microscope, and tissue from empty to dense."""
    rng = stream(FIRST_SEED + seed, 1)
    base = preset(_BASES[seed % 2])
    found = []
    for number in rng.permutation(REGIONS):
        # Four of ten hold next to nothing, two have an edge of the tissue.
        empty = number < 4
        axons = 0.0 if empty else float(np.exp(rng.uniform(*np.log((60, 700)))))
        dimness = (_BRIGHT, _MIXED, _DIM)[int(number) % 3]
        shape: Morphology = replace(
            base.morphology,
            neurons=0.02 if empty else 0.05,
            axon_density=axons,
            bundled=rng.uniform(0, 0.6),
            snr=dimness,
        )
        clutter = replace(
            base.clutter,
            puncta=rng.choice([5.0, 40.0, 250.0]),
            cells=rng.choice([0.0, 0.0, 40.0]),
            vessels=rng.uniform(0, 1),
        )
        rough = rng.uniform(0.6, 1.6)
        background = replace(
            base.background,
            texture=base.background.texture * rough,
            streaks=base.background.streaks * rng.choice([0.0, 1.0, 3.0]),
        )
        tissue = base.tissue if number in (2, 6) else Tissue()
        noise = replace(base.noise, sd=base.noise.sd * rng.uniform(0.8, 1.3))
        found.append(
            replace(
                base,
                morphology=shape,
                clutter=clutter,
                background=background,
                noise=noise,
                tissue=tissue,
            )
        )
    return found


def brain(seed: int, size: Size, *, held_out: bool = False) -> Brain:
    """Make a brain; the one to score on has the same regions with other neurites."""
    parts = []
    shape = size.held_out if held_out else size.pool
    for number, params in enumerate(region_params(seed)[: size.regions]):
        if held_out:
            params = _denser(params)
        one = SyntheticBrain(
            shape, params, FIRST_SEED + 100 * seed + 10 * number + held_out
        )
        whole = Roi.whole(shape)
        block = one.block(whole)
        target = truth(one, whole)
        target[(target > 1) & (target != IGNORE)] = 0
        snr = np.where(block.snr > 0, block.snr, np.nan).astype(np.float32)
        parts.append((block.image, target, snr))
    image, target, snr = (np.concatenate(p) for p in zip(*parts, strict=True))
    return Brain(image, target, snr, shape[0])


def _denser(params: SynthParams) -> SynthParams:
    """Return a region with more neurites, so that every SNR is met often."""
    shape = params.morphology
    if shape.axon_density == 0:
        return params
    density = max(3 * shape.axon_density, 900.0)
    return replace(params, morphology=replace(shape, axon_density=density, bundled=0.2))


def grey_scale(image: NDArray[np.uint16]) -> GreyScale:
    """Return the scale that a run of this brain finds."""
    sample = sample_planes(MemoryVolume(image), threads=1).patches
    limit = saturation(sample, image.dtype)
    found = estimate_background(sample, image.dtype, limit)
    return GreyScale(found.level, found.sd, image.dtype.name, limit)


def corners(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return the first voxel of each block, shape (n, 3)."""
    counts = [n // EDGE for n in shape]
    return np.indices(counts).reshape(3, -1).T.astype(np.int64) * EDGE


def block_tables(
    image: NDArray[np.uint16], probability: NDArray[np.uint8], scale: GreyScale
) -> dict[str, BlockTable]:
    """Return all blocks with their metrics, by flavour of these."""
    start = corners(image.shape)
    cells = []
    for number, corner in enumerate(start):
        box = tuple(slice(a, a + EDGE) for a in corner)
        # Counted as a cell of its own, cut by its block's faces.
        at = Roi.whole((EDGE, EDGE, EDGE))
        one = count_cubes(image[box], probability[box], at, scale)
        cells.append(replace(one, index=np.array([[number, 0, 0]], np.int64)))
    columns = ("index", "start", "stop", "sums", "histograms")
    every = [np.concatenate([getattr(c, name) for c in cells]) for name in columns]
    found = CubeTable(scale, True, cells[0].edge, (0, 0, 0), *every)
    return {
        "extended": _table(found, start, dhpr_metrics(found)),
        "published": _table(found, start, dhpr_metrics(found, "published")),
    }


def _table(
    cells: CubeTable, start: NDArray[np.int64], metrics: dict[str, NDArray[np.float64]]
) -> BlockTable:
    return BlockTable(
        start=start,
        stop=start + EDGE,
        foreground=cells.sum("foreground"),
        extended=cells.sum("plus"),
        density=metrics["density"],
        level=metrics["level"],
        noise=metrics["sd"],
        low_snr=metrics["low_snr"],
        entropy=metrics["entropy"],
        fragmentation=metrics["fragmentation"],
        saturation=metrics["saturated"],
        features=dhpr_features(cells),
        region=np.zeros(len(start), np.int64),
        kept=metrics["empty"] <= 0.5,
    )


def scores(brain: Brain, probability: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the counts of each region, shape (regions, k)."""
    rows = []
    for part in brain.regions():
        target = brain.target[part]
        own = tuple(slice(0, n) for n in target.shape)
        rows.append(
            score_block(
                probability[part] >= 128,
                target == 1,
                target != IGNORE,
                own,  # type: ignore[arg-type]
                TOLERANCE,
                snr=brain.snr[part],
                snr_edges=SNR_EDGES,
            ).row()
        )
    return np.array(rows)

"""Compare one background level and SD for a brain with a field of both.

    python -m benchmarks.accuracy.bench_normalization [--presets NAME ...] [--weights FILE]
        [--brains 1] [--threads 1] [--json FILE]

Held-out synthetic brains of 96×256×256 voxels of every preset, as they come and with an
uneven background whose light varies about twofold between regions, at two lengths.
F1 is that of centrelines within 2 voxels, with the 95 % interval over blocks; b and s
are those of the field's nodes. Last, what normalising a voxel costs. Prints a table, and
writes it to benchmarks/accuracy/results/normalization.json, or where ``--json`` says.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from benchmarks.accuracy.accuracy_scenes import Scene
from benchmarks.infer.infer_machine import machine
from blockseg.config.settings import RunSettings
from blockseg.core.geometry import Roi, Zyx
from blockseg.core.specs import Affine, Normalization
from blockseg.io.protocol import MemoryVolume
from blockseg.io.sample import sample_planes
from blockseg.morphology.measures import measure
from blockseg.networks.shipped import default_weights
from blockseg.normalization.affine import normalize
from blockseg.normalization.background_field import estimate_field
from blockseg.segmentation.predict import predict
from blockseg.synthetic.brain import SyntheticBrain
from blockseg.synthetic.presets import PRESETS, preset

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blockseg.synthetic.params import SynthParams

RESULTS = Path(__file__).parent / "results"
SHAPE: Zyx = (96, 256, 256)
HELD_OUT_SEED = 30_000
TWOFOLD = 0.4  # of the level above the offset: 0.6 to 1.4 between most regions
METHODS: tuple[Literal["robust", "field"], ...] = ("robust", "field")


def sets() -> Iterator[tuple[str, SynthParams]]:
    """Yield all kinds of brains, denser in neurites than a whole one."""
    for name in PRESETS:
        params = preset(name)
        dense = replace(params.morphology, axon_density=900.0, neurons=0.5)
        params = replace(params, morphology=dense)
        yield name, params
        for length in (96, 192):
            light = replace(params.background, uneven=TWOFOLD, uneven_scale=length)
            yield f"{name}, twofold in {length}", replace(params, background=light)


def scene(params: SynthParams, seed: int) -> Scene:
    """Return a brain with its truth."""
    brain = SyntheticBrain(SHAPE, params, seed)
    whole = Roi.whole(SHAPE)
    of_branch = np.concatenate([[np.nan], brain.tracing.branches.snr])
    snr = of_branch[brain.branches(whole)].astype(np.float32)
    true = brain.mask(whole) > 0
    return Scene(brain.image(whole), true, np.ones(SHAPE, dtype=bool), snr)


def scores(pictures: list[Scene], settings: RunSettings) -> dict[str, list[float]]:
    """Return precision, recall and F1 of one way to normalise, each with its interval."""
    rows = [
        row
        for picture in pictures
        for row in picture.rows(predict(picture.image, settings) >= 128)
    ]
    found = {item.name: item for item in measure(np.array(rows))}
    of = {name: found[f"centreline_{name}"] for name in ("precision", "recall", "f1")}
    return {name: [m.value, m.low, m.high] for name, m in of.items()}


def cell(found: dict[str, list[float]]) -> str:
    """Return them for the table."""
    f1, low, high = found["f1"]
    precision, recall = found["precision"][0], found["recall"][0]
    return f"{precision:7.3f}{recall:7.3f}{f1:7.3f} ({low:.2f}-{high:.2f}) |"


def nodes(image: np.ndarray) -> str:
    """Return between what the field varies."""
    sample = sample_planes(MemoryVolume(image))
    field = estimate_field(sample.patches, sample.rois, image.shape, image.dtype)
    if field is None:
        return " no field"
    return (
        f" b {min(field.level):.0f}-{max(field.level):.0f},"
        f" s {min(field.sd):.1f}-{max(field.sd):.1f}"
    )


def cost() -> dict[str, float]:
    """Return what normalising costs, in ns a voxel on one thread."""
    rng = np.random.default_rng(0)
    image = rng.normal(500, 20, (192, 192, 192)).astype(np.uint16)
    sample = sample_planes(MemoryVolume(image))
    field = estimate_field(sample.patches, sample.rois, image.shape, image.dtype)
    if field is None:  # never: 3×3×3 nodes
        return {}
    out = np.empty(image.shape, np.float32)
    times = {}
    for name, by in (("robust", Affine(500, 20)), ("field", field.affine(1.0))):
        spent = []
        for _ in range(5):
            start = time.perf_counter()
            normalize(image, by, out)
            spent.append(time.perf_counter() - start)
        times[name] = min(spent) / image.size * 1e9
    return times


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=PRESETS)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--brains", type=int, default=1, help="of each kind")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, default=RESULTS / "normalization.json")
    given = parser.parse_args()
    weights = given.weights or default_weights()
    plain = RunSettings(weights=str(weights), threads=given.threads)
    result: dict[str, Any] = {
        "machine": machine(),
        "weights": hashlib.sha256(Path(weights).read_bytes()).hexdigest(),
        "brains": given.brains,
        "sets": {},
    }
    head = " |".join(f"{name + ': precision, recall, F1':>36}" for name in METHODS)
    sys.stdout.write(f"{'':28}{head} | nodes\n")
    for number, (name, params) in enumerate(sets()):
        if name.partition(",")[0] not in given.presets:
            continue
        first = HELD_OUT_SEED + number * given.brains
        pictures = [scene(params, first + i) for i in range(given.brains)]
        found = {
            how: scores(pictures, replace(plain, normalization=Normalization(how)))
            for how in METHODS
        }
        result["sets"][name] = found
        cells = "".join(cell(found[how]) for how in METHODS)
        sys.stdout.write(f"{name:28}{cells}{nodes(pictures[0].image)}\n")
        sys.stdout.flush()
    result["nanoseconds_a_voxel"] = cost()
    given.json.parent.mkdir(exist_ok=True)
    given.json.write_text(json.dumps(result, indent=1) + "\n")
    sys.stdout.write(f"cost: {result['nanoseconds_a_voxel']} ns a voxel\n")


if __name__ == "__main__":
    main()

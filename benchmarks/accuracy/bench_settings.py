"""Try one gain and threshold for all volumes, each volume judged by what suits the others.

    python -m benchmarks.accuracy.bench_settings [--weights NAME] [--real FOLDER]
        [--brains 1] [--json FILE]

F1 of centrelines within 2 voxels (on annotated planes in the plane), under the background
field of ``blockseg run``, of synthetic brains of each preset, dense and as made, of a brain
of filled neurites, one clipped to 0, one in light that varies severalfold, and of real volumes
where the truth knows neurites and background. A row a volume: at the default gain and
threshold; at those with the best mean over all *other* volumes (leave-one-out); at the best
for the volume itself, by hand. Gains are multiples of what the weights state.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.accuracy.accuracy_methods import Method, weights
from benchmarks.accuracy.accuracy_real import (
    f1_by_setting,
    knows_background,
    real_sets,
)
from benchmarks.accuracy.accuracy_scenes import Scene, as_made, synthetic
from benchmarks.infer.infer_machine import machine
from blockseg.core.geometry import Roi, Zyx
from blockseg.networks.shipped import weights_path
from blockseg.synthetic.brain import SyntheticBrain
from blockseg.synthetic.presets import PRESETS, preset

if TYPE_CHECKING:
    from blockseg.synthetic.params import SynthParams

RESULTS = Path(__file__).parent / "results"
SEED = 45_000  # of no training and no other benchmark
SHAPE: Zyx = (96, 192, 192)
UNEVEN: Zyx = (96, 256, 256)
DEFAULT = (1.0, 0.5)
Settings = dict[tuple[float, float], float]


def _brain(params: SynthParams, seed: int, shape: Zyx = SHAPE) -> Scene:
    brain = SyntheticBrain(shape, params, seed)
    whole = Roi.whole(shape)
    true = brain.mask(whole) > 0
    return Scene(brain.image(whole), true, np.ones(shape, dtype=bool), None)


def filled(number: int) -> Scene:
    """Return a brain of few neurons of SNR 60 to 200."""
    params = preset("fmost")
    shape = replace(
        params.morphology, neurons=0.5, axon_density=300.0, snr=((1.0, 60.0, 200.0),)
    )
    return _brain(replace(params, morphology=shape), SEED + number)


def clipped(number: int) -> Scene:
    """Return a brain whose background was subtracted and clipped to 0, of 8 bits."""
    params = preset("clean")
    dense = replace(params.morphology, axon_density=900.0)
    scene = _brain(replace(params, morphology=dense), SEED + 100 + number)
    grey = scene.image.astype(np.float32)
    level, sd = params.background.level, params.noise.sd
    kept = np.where(grey > level + 3 * sd, grey - level, 0)
    image = np.clip(kept * (255 / np.quantile(kept, 0.9995)), 0, 255)
    return replace(scene, image=np.rint(image).astype(np.uint8))


def uneven(number: int) -> Scene:
    """Return a dense light-sheet brain in light that varies severalfold between regions."""
    params = preset("lightsheet")
    light = replace(params.background, uneven=0.6, uneven_scale=96)
    dense = replace(params.morphology, axon_density=1500.0, neurons=0.3)
    params = replace(params, background=light, morphology=dense)
    return _brain(params, SEED + 200 + number, UNEVEN)


def scenes(brains: int, real: Path | None) -> dict[str, list[Scene]]:
    """Return all volumes by name."""
    every = range(brains)
    found = {f"{name}, dense": [synthetic(name, i) for i in every] for name in PRESETS}
    found |= {f"{name}, as made": [as_made(name, i) for i in every] for name in PRESETS}
    found |= {
        "filled": [filled(i) for i in every],
        "clipped to 0": [clipped(i) for i in every],
        "uneven light-sheet": [uneven(i) for i in every],
    }
    if real is not None:
        volumes, lines = real_sets(real)
        sys.stdout.writelines(f"{line}\n" for line in lines)
        found |= {n: [s] for n, s in volumes.items() if knows_background(s)}
    return found


def tried(method: Method, same: list[Scene]) -> Settings:
    """Return the mean F1 over brains of a kind, by gain and threshold."""
    found = [f1_by_setting(method, scene) for scene in same]
    return {key: float(np.mean([one[key] for one in found])) for key in found[0]}


def suiting(others: list[Settings]) -> tuple[float, float]:
    """Return gain and threshold of the best mean F1."""
    return max(others[0], key=lambda key: float(np.mean([one[key] for one in others])))


def main() -> None:
    """Print one table, and keep it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", default="axons")
    parser.add_argument("--real", type=Path)
    parser.add_argument("--brains", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    path = weights_path(given.weights)
    method = weights(str(path), threads=given.threads)
    result: dict[str, Any] = {
        "machine": machine(),
        "weights": hashlib.sha256(path.read_bytes()).hexdigest(),
        "volumes": {},
    }
    of_volume: dict[str, Settings] = {}
    for name, same in scenes(given.brains, given.real).items():
        of_volume[name] = tried(method, same)
        sys.stderr.write(f"{name}: {of_volume[name][DEFAULT]:.3f}\n")
    sys.stdout.write(f"{'':28}default   by the others            by hand\n")
    for name, settings in of_volume.items():
        others = suiting([s for other, s in of_volume.items() if other != name])
        best = max(settings, key=lambda key: settings[key])
        result["volumes"][name] = {
            "default": settings[DEFAULT],
            "others": [*others, settings[others]],
            "hand": [*best, settings[best]],
            "all": [[*key, value] for key, value in settings.items()],
        }
        sys.stdout.write(
            f"{name:28}{settings[DEFAULT]:7.3f}{settings[others]:10.3f} "
            f"(× {others[0]:g}, {others[1]:g}){settings[best]:12.3f} "
            f"(× {best[0]:g}, {best[1]:g})\n"
        )
    if given.json:
        given.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Count what bfloat16 changes in masks and scores, beside float32 on the same backend.

    python -m benchmarks.accuracy.bench_bfloat16 [--backend openvino] [--volume FILE.tif ...]
        [--annotated NAME=IMAGE.tif,LABEL.tif,SLICE[,SLICE...] ...]
        [--mask NAME=IMAGE.tif,MASK.tif ...] [--brains 1] [--speed] [--json FILE]

Each volume goes through a backend twice, in windows, at the settings of ``blockseg run``.
Flips are voxels that are foreground in one of the two only; they are allowed up to the
greater of 1e-4 of the voxels and 0.5 % of the foreground. F1 is that of centrelines within
2 voxels, on annotated slices, on masks (1 neurite, 0 none, 255 unknown) and on held-out
synthetic brains. Needs a CPU that computes in bfloat16.

--speed times windows of all networks instead, in CPU seconds of one thread, the shorter of
five, in both precisions by turns; VoxResNet and the U-Net with weights drawn at random.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tifffile
import torch

from benchmarks.accuracy.accuracy_methods import normalised
from benchmarks.accuracy.accuracy_scenes import Scene, annotated, synthetic_sets
from benchmarks.infer.infer_machine import machine
from benchmarks.infer.infer_volume import segmented
from blockseg.core.specs import BackendSpec, Precision
from blockseg.inference.backends.protocol import window_shape
from blockseg.inference.backends.table import backend_row, make_backend
from blockseg.inference.parity import TOLERANCES
from blockseg.inference.processor import processor
from blockseg.morphology.measures import measure
from blockseg.networks.registry import build
from blockseg.networks.shipped import default_weights
from blockseg.networks.weights import save_weights
from blockseg.networks.weights_info import WeightsInfo, load_info

RESULTS = Path(__file__).parent / "results"
CORE = (64, 64, 64)
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")


def probabilities(image: np.ndarray, backend: str, weights: str) -> list[np.ndarray]:
    """Return the probability of a volume in float32 and in bfloat16."""
    by = normalised(image, load_info(weights))
    found = []
    for precision in PRECISIONS:
        spec = BackendSpec(backend, weights, CORE, precision, threads=2)
        with closing(make_backend(spec)) as made:
            found.append(segmented(image, made, by))
    return found


def flips(exact: np.ndarray, quick: np.ndarray) -> dict[str, Any]:
    """Return how far two probabilities are apart, and what is allowed."""
    allowed = TOLERANCES["bfloat16"]
    foreground = int((exact >= 0.5).sum())
    changed = int(((quick >= 0.5) != (exact >= 0.5)).sum())
    bound = max(allowed.flips * exact.size, allowed.of_foreground * foreground)
    off = np.abs(quick - exact)
    return {
        "voxels": exact.size,
        "foreground": foreground,
        "flips": changed,
        "allowed": bound,
        "largest_difference": float(off.max()),
        "difference_99_99": float(np.quantile(off, 0.9999)),
    }


def f1(scenes: list[Scene], masks: list[np.ndarray]) -> float:
    """Return F1 of centrelines over several volumes."""
    rows = [r for s, m in zip(scenes, masks, strict=True) for r in s.rows(m)]
    by_name = {m.name: m.value for m in measure(np.array(rows))}
    return float(by_name["centreline_f1"])


def with_mask(image: str, mask: str) -> Scene:
    """Return a volume with a mask: 1 neurite, 0 none, 255 unknown."""
    labels = tifffile.imread(mask)
    return Scene(tifffile.imread(image), labels == 1, labels != 255, None)


def row(scenes: list[Scene], backend: str, weights: str) -> dict[str, Any]:
    """Return flips, summed over volumes, and F1 of both where there is a truth."""
    pairs = [
        probabilities(np.ascontiguousarray(s.image), backend, weights) for s in scenes
    ]
    each = [flips(*pair) for pair in pairs]
    found: dict[str, Any] = {
        name: sum(one[name] for one in each)
        for name in ("voxels", "foreground", "flips", "allowed")
    }
    for name in ("largest_difference", "difference_99_99"):
        found[name] = max(one[name] for one in each)
    if any(scene.true.any() for scene in scenes):
        for place, precision in enumerate(PRECISIONS):
            masks = [np.asarray(pair[place] >= 0.5) for pair in pairs]
            found[f"f1_{precision}"] = f1(scenes, masks)
    return found


def speed(backend: str) -> dict[str, dict[str, float]]:
    """Return CPU seconds of a window of each network in both precisions, one thread."""
    found = {}
    for architecture, core in (
        ("sdasn", (128, 128, 128)),
        ("voxresnet", (32, 32, 32)),
        ("unet3d", (32, 32, 32)),
    ):
        if not backend_row(backend).serves(architecture):
            continue
        with TemporaryDirectory() as folder:
            weights = str(default_weights())
            if architecture != "sdasn":
                weights = str(Path(folder) / "drawn.safetensors")
                torch.manual_seed(0)
                network = build(architecture)
                info = WeightsInfo(
                    "drawn", 1.0, width=network.width, architecture=architecture
                )
                save_weights(weights, network.eval(), info)
            specs = [BackendSpec(backend, weights, core, p) for p in PRECISIONS]
            made = [make_backend(spec) for spec in specs]
        shape = window_shape(core, made[0].field.reach)
        tile = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        least = [math.inf] * len(made)
        for turn in range(6):
            for place, one in enumerate(made):
                start = time.process_time()
                one.infer(tile, None)
                if turn:
                    took = time.process_time() - start
                    least[place] = min(least[place], took)
        for one in made:
            one.close()
        found[architecture] = {
            str(precision): seconds
            for precision, seconds in zip(PRECISIONS, least, strict=True)
        }
    return found


def main() -> int:
    """Print one line a set of volumes, or a network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", default="openvino")
    parser.add_argument("--volume", action="append", default=[])
    parser.add_argument("--annotated", action="append", default=[])
    parser.add_argument("--mask", action="append", default=[])
    parser.add_argument("--brains", type=int, default=1, help="of each preset")
    parser.add_argument("--weights", default=str(default_weights()))
    parser.add_argument("--speed", action="store_true", help="time windows instead")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if not processor().bfloat16:
        sys.stderr.write("this CPU has no instructions for bfloat16\n")
        return 1
    results: dict[str, Any]
    if given.speed:
        seconds = speed(given.backend)
        for name, of in seconds.items():
            exact, quick = (of[p] for p in PRECISIONS)
            sys.stdout.write(
                f"{given.backend} {name:10} {exact:.3f} s in float32, {quick:.3f} s in "
                f"bfloat16: {exact / quick:.2f} times as fast\n"
            )
        path = given.json or RESULTS / f"bfloat16_speed_{given.backend}.json"
        results = {"machine": machine(), "backend": given.backend, "seconds": seconds}
        path.write_text(json.dumps(results, indent=1) + "\n")
        return 0
    sets: dict[str, list[Scene]] = {}
    for path in given.volume:
        image = tifffile.imread(path)
        nothing = np.zeros(image.shape, bool)
        name = "/".join(Path(path).parts[-2:])
        sets[name] = [Scene(image, nothing, ~nothing, None)]
    for item in given.annotated:
        name, rest = item.split("=", 1)
        image, label, *slices = rest.split(",")
        sets[name] = [annotated(image, label, tuple(int(z) for z in slices))]
    for item in given.mask:
        name, rest = item.split("=", 1)
        image, label = rest.split(",")
        sets[name] = [with_mask(image, label)]
    if given.brains:
        sets |= synthetic_sets(given.brains)
    path = given.json or RESULTS / f"bfloat16_{given.backend}.json"
    path.parent.mkdir(exist_ok=True)
    results = {"machine": machine(), "backend": given.backend, "sets": {}}
    if path.exists():  # rows that were not asked for stay
        results["sets"] = json.loads(path.read_text())["sets"]
    for name, scenes in sets.items():
        results["sets"][name] = one = row(scenes, given.backend, given.weights)
        sys.stdout.write(
            f"{name:32.32}{one['flips']:7,} flips of {one['allowed']:9,.0f} allowed, "
            f"{one['flips'] / one['voxels']:.1e} of the voxels, "
            f"{one['flips'] / max(one['foreground'], 1):.2%} of the foreground, "
            f"{one['largest_difference']:.3f} of p at most"
        )
        if "f1_float32" in one:
            sys.stdout.write(f"; F1 {one['f1_float32']:.4f}, {one['f1_bfloat16']:.4f}")
        sys.stdout.write("\n")
        sys.stdout.flush()
        path.write_text(json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

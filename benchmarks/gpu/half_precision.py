"""Count what float16 changes in masks and scores, without a card that computes in it.

    python -m benchmarks.gpu.half_precision [--volume FILE.tif ...] [--brains 1]
        [--annotated NAME=IMAGE.tif,LABEL.tif,SLICE[,SLICE...] ...] [--json FILE]

The network is run by torch in float32, with its norms folded and its weights rounded to
float16, and every feature map is rounded to float16 where an engine on a GPU stores
it: after normalisation and after each activation. Sums, heads and sigmoid are float32 in
both. What is left out are other orders of summation, which are of float32's size.
Masks are compared over whole volumes, scores on synthetic brains and annotated slices.
"""

from __future__ import annotations

import argparse
import json
import sys
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
import torch
from torch import Tensor, nn

from benchmarks.accuracy.accuracy_scenes import annotated, synthetic
from benchmarks.infer.infer_machine import machine
from benchmarks.infer.infer_volume import normalisation, parity
from blockseg.inference.reference import reference_inference
from blockseg.morphology.measures import measure
from blockseg.networks.folding import folded
from blockseg.networks.layers import Conv, Up
from blockseg.networks.shipped import default_weights
from blockseg.networks.weights import load_weights

if TYPE_CHECKING:
    from blockseg.networks.base import Network

RESULTS = Path(__file__).parent / "results"


def rounded(x: Tensor) -> Tensor:
    """Return what is left of float32 in float16."""
    return x.half().float()


def in_half(network: Network) -> Network:
    """Return a copy that rounds where an engine of half precision does."""
    copy = folded(deepcopy(network))
    for layer in copy.modules():
        if isinstance(layer, (Conv, Up)):
            for parameter in layer.conv.parameters():
                parameter.data = rounded(parameter.data)
            layer.register_forward_pre_hook(_round_input)
            layer.register_forward_hook(_round_output)
    return copy


def _round_input(_: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
    return (rounded(given[0]), *given[1:])


def _round_output(_: nn.Module, __: Any, found: Tensor) -> Tensor:
    return rounded(found)


def masks(networks: tuple[Network, Network], path: str, weights: str) -> dict[str, Any]:
    """Compare two networks over a volume."""
    image = np.ascontiguousarray(tifffile.imread(path))
    by = normalisation(image, weights)
    exact, half = (reference_inference(image, n, by, "float32") for n in networks)
    return {"shape": image.shape, **parity(half, exact)}


def scores(networks: tuple[Network, Network], scene: Any, weights: str) -> list[float]:
    """Return F1 of centrelines within 2 voxels of both."""
    by = normalisation(scene.image, weights)
    found = []
    for network in networks:
        mask = reference_inference(scene.image, network, by, "float32") >= 0.5
        by_name = {m.name: m.value for m in measure(np.array(scene.rows(mask)))}
        found.append(by_name["centreline_f1"])
    return found


def main() -> int:
    """Print one line a volume."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--volume", action="append", default=[])
    parser.add_argument("--annotated", action="append", default=[])
    parser.add_argument("--brains", type=int, default=1, help="of each preset")
    parser.add_argument("--weights", default=str(default_weights()))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, default=RESULTS / "half_precision.json")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    network, _ = load_weights(given.weights)
    pair = (network, in_half(network))
    results: dict[str, Any] = {"machine": machine(), "masks": {}, "f1": {}}
    for path in given.volume:
        name = "/".join(Path(path).parts[-2:])
        results["masks"][name] = row = masks(pair, path, given.weights)
        sys.stdout.write(
            f"{name:40}{row['flips']:12.1e} of the voxels, "
            f"{row['largest_difference']:.1e} of p at most\n"
        )
        sys.stdout.flush()
    scenes = {
        f"{kind}, seed {i}": synthetic(kind, i)
        for kind in ("clean", "fmost", "lightsheet")
        for i in range(given.brains)
    }
    for item in given.annotated:
        name, rest = item.split("=", 1)
        image, label, *slices = rest.split(",")
        scenes[name] = annotated(image, label, tuple(int(z) for z in slices))
    for name, scene in scenes.items():
        results["f1"][name] = exact, half = scores(pair, scene, given.weights)
        sys.stdout.write(f"{name:40}F1 {exact:.4f} in float32, {half:.4f} rounded\n")
        sys.stdout.flush()
    given.json.parent.mkdir(exist_ok=True)
    given.json.write_text(json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

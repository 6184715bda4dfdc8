"""Count what rounding each layer of SDASN to bfloat16 does to masks, on any CPU.

    python -m benchmarks.accuracy.bfloat16_layers [--volume FILE.tif ...] [--json FILE]

The network is run by torch in float32, norms folded. Of a layer its weights are rounded,
or the map that it gives (after the activation), or both; sums, biases and heads are
float32. Rows with one thing rounded say where flips come from; rows with all but one what
it is worth to keep that one in float32. Flips are voxels that are foreground in one of
the two only, the deviation is that of logits between -3 and 3.
"""

from __future__ import annotations

import argparse
import json
import sys
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
import torch
from torch import Tensor, nn

from benchmarks.infer.infer_machine import machine
from benchmarks.infer.infer_volume import SEED, normalisation
from blockseg.core.geometry import Roi
from blockseg.networks.bfloat16 import nearest, rounded_weights
from blockseg.networks.convolution import convolution_for
from blockseg.networks.folding import folded
from blockseg.networks.layers import Conv, Convolution, Up
from blockseg.networks.shipped import default_weights
from blockseg.networks.weights import load_weights
from blockseg.normalization.affine import normalize
from blockseg.synthetic.brain import SyntheticBrain
from blockseg.synthetic.presets import preset

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

RESULTS = Path(__file__).parent / "results"
LONGEST = (48, 96, 96)  # voxels of a volume that are looked at
NOTHING: frozenset[str] = frozenset()
DOUBTFUL = 3.0  # logits


@dataclass(frozen=True)
class Rounding:
    """What is rounded."""

    weights: AbstractSet[str] = NOTHING
    """Layers whose weights are."""

    maps: AbstractSet[str] = NOTHING
    """Layers whose result is."""

    cancelling: bool = True
    """Whether weights are rounded as engines do, else each to the nearest."""


class Rounded:
    """SDASN, some of it rounded."""

    def __init__(self, weights: str) -> None:
        network, _ = load_weights(weights)
        self.network = folded(deepcopy(network).eval())
        self.layers: dict[str, nn.Module] = {}
        self._now = Rounding()
        for name, layer in self.network.named_modules():
            if isinstance(layer, Convolution):
                layer.convolve = convolution_for(torch.device("cpu"), torch.float32)
            if isinstance(layer, Conv | Up):
                self.layers[name] = layer
                layer.register_forward_hook(self._hook(name))
        self._exact = {
            name: layer.conv.weight.detach().numpy().copy()  # type: ignore[union-attr,operator]
            for name, layer in self.layers.items()
        }

    def _hook(self, name: str) -> Any:
        def rounded(_: nn.Module, __: Any, found: Tensor) -> Tensor:
            return found.bfloat16().float() if name in self._now.maps else found

        return rounded

    def logits(self, images: dict[str, Tensor], how: Rounding) -> dict[str, np.ndarray]:
        """Return the logits of volumes."""
        self._now = how
        for name, layer in self.layers.items():
            array = self._exact[name]
            if name in how.weights and how.cancelling:
                array = rounded_weights(array, transposed=isinstance(layer, Up))
            elif name in how.weights:
                array = nearest(array)
            layer.conv.weight.data = torch.from_numpy(array)  # type: ignore[union-attr]
        with torch.inference_mode():
            return {
                name: self.network(image)[0, 0].numpy()
                for name, image in images.items()
            }


def roundings(layers: AbstractSet[str]) -> dict[str, Rounding]:
    """Return what is compared with float32."""
    first = "x00.0"
    found = {
        "all, weights to the nearest": Rounding(layers, layers, cancelling=False),
        "all": Rounding(layers, layers),
        f"all but the weights of {first}": Rounding(layers - {first}, layers),
        "weights alone, to the nearest": Rounding(layers, cancelling=False),
        "weights alone": Rounding(layers),
        "maps alone": Rounding(maps=layers),
    }
    for name in sorted(layers):
        rest = layers - {name}
        found[f"all but {name}"] = Rounding(rest, rest)
        found[f"weights of {name}"] = Rounding({name})
        found[f"map of {name}"] = Rounding(maps={name})
    return found


def images(paths: list[str], weights: str) -> dict[str, Tensor]:
    """Return normalised volumes, cut to what torch does in a second or two."""
    raw = {"/".join(Path(path).parts[-2:]): tifffile.imread(path) for path in paths}
    for name in () if paths else ("clean", "fmost", "lightsheet"):
        brain = SyntheticBrain(LONGEST, preset(name), SEED)
        raw[name] = brain.image(Roi.whole(LONGEST))
    found = {}
    for name, image in raw.items():
        by = normalisation(np.ascontiguousarray(image), weights)
        edges = (min(n, m) // 4 * 4 for n, m in zip(image.shape, LONGEST, strict=True))
        part = np.ascontiguousarray(image[tuple(slice(n) for n in edges)])
        out = np.empty(part.shape, np.float32)
        normalize(part, by, out)
        found[name] = torch.from_numpy(out)[None, None]
    return found


def main() -> int:
    """Print one line a way to round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--volume", action="append", default=[])
    parser.add_argument("--weights", default=str(default_weights()))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, default=RESULTS / "bfloat16_layers.json")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    network = Rounded(given.weights)
    some = images(given.volume, given.weights)
    exact = network.logits(some, Rounding())
    foreground = sum(int((p >= 0).sum()) for p in exact.values())
    voxels = sum(p.size for p in exact.values())
    results: dict[str, Any] = {
        "machine": machine(),
        "volumes": sorted(some),
        "voxels": voxels,
        "foreground": foreground,
        "rows": {},
    }
    for name, how in roundings(frozenset(network.layers)).items():
        found = network.logits(some, how)
        pairs = [(exact[volume], found[volume]) for volume in some]
        flips = sum(int(((a >= 0) != (b >= 0)).sum()) for a, b in pairs)
        off = np.concatenate([(a - b)[np.abs(a) < DOUBTFUL] for a, b in pairs])
        deviation = float(np.sqrt(np.square(off, dtype=np.float64).mean()))
        results["rows"][name] = {"flips": flips, "deviation": deviation}
        sys.stdout.write(
            f"{name:34}{flips:7,} flips, {flips / foreground:.2%} of the foreground; "
            f"logits off by {deviation:.4f}\n"
        )
        sys.stdout.flush()
        given.json.parent.mkdir(exist_ok=True)
        given.json.write_text(json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

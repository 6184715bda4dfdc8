"""What int8 would cost and save: NNCF's post-training quantisation under the parity gate.

    python -m benchmarks.infer.infer_int8 [--volumes FILE.tif|PRESET ...] [--edge 96]
        [--window 32] [--variants NAME ...] [--json FILE]

Needs ``nncf``, which is no dependency. The norms are folded into the convolutions, the
input is normalised as in a run, and activations are calibrated on windows of synthetic
brains of every preset and of the volumes themselves, which flatters the result. A variant
passes where the mask of each volume's inside differs from torch float32 in less than 1 voxel of
10,000. Times are CPU seconds of one window on one thread, in turns with float32.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.infer.infer_machine import machine
from benchmarks.infer.infer_volume import (
    normalisation,
    parity,
    reference,
    volume,
)
from benchmarks.infer.infer_ways import OpenVinoWith
from blockseg.core.geometry import Roi, to_zyx
from blockseg.inference.block_input import BlockInput
from blockseg.inference.engine import Engine
from blockseg.networks.receptive_field import REACH
from blockseg.networks.shipped import default_weights
from blockseg.networks.weights import load_weights
from blockseg.normalization.affine import normalize
from blockseg.synthetic.presets import PRESETS

if TYPE_CHECKING:
    from collections.abc import Callable

    from blockseg.core.geometry import Zyx

GATE = 1e-4
VARIANTS = {
    "all": (),
    "heads in float": ("head",),
    "heads and first layer in float": ("head", "x00.0"),
    "full resolution in float": ("head", "x00", "x02", "up01", "up02"),
    "coarsest level only": ("head", "x00", "x02", "up01", "up02", "x10", "x11"),
}
"""Names of what stays in float32."""

_TURNS = 5


def calibration(
    core: Zyx, weights: str, more: tuple[str, ...] = ()
) -> list[np.ndarray]:
    """Return a normalised window of each volume."""
    shape = [n + 2 * REACH for n in core]
    tiles = []
    for name in (*PRESETS, *more):
        image = volume(name, max(shape))
        tile = np.zeros(shape, np.float32)
        inside = tuple(slice(0, n) for n in image.shape)
        normalize(image, normalisation(image, weights), tile[inside])
        tiles.append(tile)
    return tiles


def quantised(
    core: Zyx,
    variant: str,
    weights: str = "",
    more: tuple[str, ...] = (),
) -> Callable[[Any], Any]:
    """Return what makes an int8 graph of a float one."""
    import nncf  # type: ignore[import-not-found]

    tiles = calibration(core, weights or str(default_weights()), more)
    kept = VARIANTS[variant]

    def change(model: Any) -> Any:
        ones = [np.ones((1, n), np.float32) for n in tiles[0].shape]
        feeds = [[tile[None, None], *ones][: len(model.inputs)] for tile in tiles]
        names = [
            op.get_friendly_name()
            for op in model.get_ops()
            if op.get_type_name() in ("Convolution", "ConvolutionBackpropData")
            and any(f"network.{part}" in op.get_friendly_name() for part in kept)
        ]
        return nncf.quantize(
            model,
            nncf.Dataset(feeds, lambda feed: feed),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(feeds),
            fast_bias_correction=True,
            ignored_scope=nncf.IgnoredScope(names=names),
        )

    return change


def cpu_seconds(backends: list[OpenVinoWith], core: Zyx) -> list[float]:
    """Return the least CPU seconds of a window of each, run in turns."""
    shape = [n + 2 * REACH for n in core]
    tile = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    best = [np.inf] * len(backends)
    for _ in range(_TURNS):
        for i, backend in enumerate(backends):
            start = time.process_time()
            backend.infer(tile, None)
            best[i] = min(best[i], time.process_time() - start)
    return best


def inside(shape: tuple[int, ...], core: Zyx) -> Roi:
    """Return the whole windows of a volume that need nothing from beyond it.

    Windows at the edges run another graph, which would have to be quantised as well.
    """
    counts = [(n - 2 * REACH) // c for n, c in zip(shape, core, strict=True)]
    stop = to_zyx(REACH + k * c for k, c in zip(counts, core, strict=True))
    return Roi((REACH,) * 3, stop)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--volumes", nargs="+", default=["lightsheet"])
    parser.add_argument(
        "--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS)
    )
    parser.add_argument("--edge", type=int, default=128)
    parser.add_argument("--window", type=int, default=32)
    parser.add_argument("--weights", default=str(default_weights()))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    core: Zyx = (given.window,) * 3
    network, _ = load_weights(given.weights)
    true = {}
    for name in given.volumes:
        image = volume(name, given.edge)
        by = normalisation(image, given.weights)
        inner = inside(image.shape, core)
        whole = reference(image, network, by)
        true[name] = (image, by, inner, whole[inner.slices()])
    rows: dict[str, Any] = {}
    sys.stdout.write(
        f"{'':32}{'times f32':>10}  flips of all voxels, of foreground, max. difference\n"
    )
    for variant in given.variants:
        change = quantised(core, variant, given.weights, tuple(given.volumes))
        plain = OpenVinoWith(network, core, 1)
        small = OpenVinoWith(network, core, 1, change=change)
        slow, fast = cpu_seconds([plain, small], core)
        row: dict[str, Any] = {"speed_over_float32": slow / fast, "volumes": {}}
        text = f"{variant:32}{slow / fast:10.2f}"
        for name, (image, by, inner, whole) in true.items():
            everything = Roi.whole(image.shape)
            engine = Engine(small, by)
            got = engine.probability(BlockInput(image, everything, inner, image.shape))
            found = parity(got, whole)
            row["volumes"][Path(name).parent.name or name] = found
            text += (
                f"  {found['flips']:.0e} {found['flips_of_foreground']:.1%} "
                f"{found['largest_difference']:.2f}"
            )
        row["passes"] = all(of["flips"] < GATE for of in row["volumes"].values())
        sys.stdout.write(text + ("  passes\n" if row["passes"] else "  fails\n"))
        sys.stdout.flush()
        rows[variant] = row
    if given.json:
        results = {"machine": machine(), "edge": given.edge, "variants": rows}
        given.json.write_text(json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

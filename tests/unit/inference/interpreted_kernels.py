"""Runs our kernels in Triton's interpreter: python interpreted_kernels.py IN OUT.

A process of its own, because Triton looks at TRITON_INTERPRET when it is imported. IN
holds weights and windows, OUT takes what the kernels make of them. The interpreter is
slow: one window goes the whole way; of the other, the largest maps are made for a few
planes only, and the rest starts from those that are given.
"""

import sys
from dataclasses import replace

import numpy as np
import torch
from triton.runtime import interpreter

from blockseg.core.specs import Affine
from blockseg.inference.backends.cuda.fused import FusedNetwork
from blockseg.inference.backends.cuda.tiling import Tiling
from blockseg.networks.sdasn import SDASN
from blockseg.networks.weights import load_weights

CPU = torch.device("cpu")

TILING = Tiling(edge=64, stages=1, warps=4, programs=2, sums=2**31)


def main(source: str, target: str) -> None:
    torch.set_num_threads(1)
    given = np.load(source)
    network, _ = load_weights(str(given["weights"]))
    affine = Affine(*(float(n) for n in given["affine"]))
    assert isinstance(network, SDASN)
    z, y, x = (int(n) for n in given["core"])
    core = (z, y, x)
    found = {}

    def chain(*on_chip, tiling=TILING):
        tiling = replace(tiling, on_chip=frozenset(on_chip))
        made = FusedNetwork(network, core, affine, CPU, tiling=tiling)
        made._logits.fill_(77)
        return made

    def window(name):
        raw = torch.from_numpy(given[f"{name}_raw"].view(np.int16))
        out = torch.full(core, 77, dtype=torch.uint8)
        return raw, torch.from_numpy(given[f"{name}_bounds"]), out, name == "edge"

    def keep(name, made):
        for part in ("x00", "pool1"):
            found[f"{name}_{part}"] = made._arrays[part].numpy().copy()
        found[f"{name}_logits"] = made._logits.numpy().copy()

    whole = chain("x02a")
    args = window("edge")
    first, second, *others = whole.launches(*args)
    # Beyond the volume's last plane, 36 of the window, maps are 0 as they begin.
    planes(first, 18)
    planes(second, 17)
    for launch in others:
        launch.run()
    keep("edge", whole)
    found["edge_bytes"] = args[2].numpy()

    part = chain()
    args = window("inside")
    first, second, *others = part.launches(*args)
    planes(first, 4)
    planes(second, 3, margin=0)
    keep("inside", part)
    found["share"] = part._heads["x00.1"].numpy()
    for name in ("x00", "pool1"):
        part._arrays[name].copy_(torch.from_numpy(given[name]))
    part._logits.copy_(torch.from_numpy(given["logits"]))
    for launch in others:
        launch.run()
    found["inside_bytes"] = args[2].numpy()

    # Both layers in one kernel: one plane of groups of 31 tiles, and one group of the next.
    pair = chain("x00a", tiling=replace(TILING, edge=32))
    launch = next(pair.launches(*window("inside")))
    limits = {"depth": 2, "items": 2 * 2 + 1, "margin": 0}
    replace(launch, values={**launch.values, **limits}).run()
    keep("pair", pair)
    np.savez(target, **found)


def planes(launch, count, **values):
    """Compute the first ``count`` planes of tiles only."""
    groups = launch.programs // (launch.values["target"].shape[0] // 2)
    values = {**launch.values, **values}
    replace(launch, programs=groups * count, values=values).run()


def product(a, b, d, *_):
    """Multiply in float32: NumPy does it without BLAS for halves, 40 times slower."""
    sums = a.data.astype(np.float32) @ b.data.astype(np.float32)
    return interpreter.TensorHandle(sums + d.data, d.dtype.scalar)


if __name__ == "__main__":
    builder = interpreter.interpreter_builder
    builder.create_dot = product
    # Nor is each sum of integers looked at for overflow, in four more operations.
    builder.options = replace(builder.options, sanitize_overflow=False)
    main(*sys.argv[1:])

"""What our CUDA kernels cost, before any card has run them: counted and compiled.

    python -m benchmarks.gpu.count_kernels [--window 300] [--json FILE] [--quick]

Counts the multiply-adds of each layer, those that the tiles of the kernels make of them,
and the bytes to and from the device's memory; predicts the time on an H100 from its data
sheet; and compiles every kernel of a window for cards that are not here, with the
assembler that comes with Triton, for the registers and the shared memory that it takes.
Nothing here is a measured time.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from blockseg.core.specs import Affine
from blockseg.inference.backends.cuda.compile_ahead import resources
from blockseg.inference.backends.cuda.cost import H100, layer_costs, predicted_seconds
from blockseg.inference.backends.cuda.fused import FusedNetwork
from blockseg.inference.backends.cuda.plan import ON_CHIP, device_bytes, layers
from blockseg.inference.backends.cuda.tiling import Tiling, stages_for
from blockseg.inference.backends.protocol import window_shape
from blockseg.networks.sdasn import SDASN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blockseg.inference.backends.cuda.fused import Launch

WAYS = {"each layer stored": frozenset[str](), "x00a on chip": frozenset({"x00a"})}
WAYS["x00a and x02a on chip"] = ON_CHIP

CARDS = ((9, 0), (8, 0), (8, 9))
"""Compute capabilities."""


def main() -> None:
    """Print the tables and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--window", type=int, default=300, help="edge, in voxels")
    parser.add_argument("--json", type=Path, help="write the results here")
    parser.add_argument("--quick", action="store_true", help="one kernel, one card")
    options = parser.parse_args()
    found = {
        "window": options.window,
        "card": asdict(H100),
        "counted": counted(options.window),
        "compiled": compiled(quick=options.quick),
    }
    print(table(found))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


def counted(edge: int) -> dict[str, Any]:
    """Return each way's layers with their counts, and the predicted times."""
    core = (edge, edge, edge)
    found = {}
    for way, on_chip in WAYS.items():
        costs = layer_costs(core, on_chip=on_chip)
        found[way] = {
            "seconds": predicted_seconds(costs),
            "device_bytes": device_bytes(core, 8, on_chip),
            "layers": {
                cost.name: {**asdict(cost), "seconds": cost.seconds(H100)}
                for cost in costs
            },
        }
    return found


def compiled(*, quick: bool) -> list[dict[str, Any]]:
    """Return what each kernel of a window takes of each card."""
    rows = []
    for capability in CARDS[: 1 if quick else None]:
        stages = stages_for(capability)
        for name, launch in list(_launches(stages))[: 1 if quick else None]:
            taken = asdict(resources(launch, capability))
            version = f"sm_{capability[0]}{capability[1]}"
            rows.append({"layers": name, "card": version, **taken})
            print(f"compiled {name} for {version}", flush=True)
    return rows


def _launches(stages: int) -> Iterator[tuple[str, Launch]]:
    """Yield each pair's kernel and each layer's, by what they compute."""
    core = (64, 64, 64)
    raw = torch.zeros(window_shape(core), dtype=torch.int16)
    bounds = torch.zeros(12, dtype=torch.int32)
    out = torch.zeros(core, dtype=torch.uint8)
    network = SDASN(8).eval()
    names = [layer.name for layer in layers(8)]
    tiling = Tiling(16, stages, 8, 132)
    for on_chip in (ON_CHIP, frozenset[str]()):
        on_device = FusedNetwork(
            network,
            core,
            Affine(168.5, 500.0),
            torch.device("cpu"),
            tiling=replace(tiling, on_chip=on_chip),
        )
        rest = iter(names)
        for launch in on_device.launches(raw, bounds, out, edge=False):
            name = next(rest)
            pair = "BLOCK" in launch.constants
            if pair:
                name += f" and {next(rest)}"
            if pair == bool(on_chip):
                yield name, launch


def table(found: dict[str, Any]) -> str:
    """Return the results as text."""
    voxels = found["window"] ** 3
    lines = []
    for way, row in found["counted"].items():
        best = f"{row['seconds'] * 1e3:.2f} ms at the card's best rates"
        lines += [
            f"{way}: {best}, {row['device_bytes'] / 2**30:.2f} GiB",
            f"{'':8}{'multiply-adds':>15}{'multiplied':>12}{'bytes':>8}{'ms':>7}",
        ]
        total = [0.0] * 3
        for name, cost in row["layers"].items():
            numbers = [
                cost["multiply_adds"] / voxels,
                cost["multiplied"] / voxels,
                (cost["read"] + cost["written"]) / voxels,
            ]
            total = [a + b for a, b in zip(total, numbers, strict=True)]
            lines.append(_row(name, numbers, cost["seconds"]))
        lines += [_row("all", total, row["seconds"]), ""]
    for row in found["compiled"]:
        lines.append(
            f"{row['card']} {row['layers']:18} {row['registers']:4} registers, "
            f"{row['spilled']} bytes spilled, {row['shared'] / 1024:.0f} KiB shared, "
            f"{row['products']}"
        )
    return "\n".join(lines)


def _row(name: str, numbers: list[float], seconds: float) -> str:
    a, b, c = numbers
    return f"{name:8}{a:15.0f}{b:12.0f}{c:8.1f}{seconds * 1e3:7.3f}"


if __name__ == "__main__":
    main()

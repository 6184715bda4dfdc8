"""Where a window's time goes on OpenVINO: layer by layer, against multiply-adds."""

from __future__ import annotations

import math
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from benchmarks.infer.infer_machine import sgemm
from benchmarks.infer.infer_ways import OpenVinoWith
from blockseg.networks.registry import build
from blockseg.networks.weights import load_weights

if TYPE_CHECKING:
    from blockseg.core.geometry import Zyx

_TURNS = 5


def layers(weights: str, core: Zyx, threads: int) -> dict[str, Any]:
    """Return seconds and multiply-adds of each layer of one window.

    Seconds are the least of a few windows. What OpenVINO fused into a convolution
    (bias, activation, sums) counts as the convolution.
    """
    network, _ = load_weights(weights)
    rate = sgemm(threads)["wall"]
    counted = _multiply_adds(network.architecture, network.width, core)
    backend = OpenVinoWith(network, core, threads, {"PERF_COUNT": True})
    shape = [n + 2 * backend.field.reach for n in core]
    tile = np.random.default_rng(0).standard_normal(shape).astype(np.float32) * 0.03
    best: dict[tuple[str, str], float] = {}
    for _ in range(_TURNS):
        backend.infer(tile, None)
        for node in backend.profile:
            key = (node.node_name, f"{node.node_type} {node.exec_type}")
            spent = node.real_time.total_seconds()
            best[key] = min(spent, best.get(key, spent))
    rows: dict[str, dict[str, Any]] = defaultdict(
        lambda: {"seconds": 0.0, "multiply_adds": 0, "by": ""}
    )
    for (name, by), spent in best.items():
        layer = _layer(name)
        if layer not in counted:
            layer = by.split(" ")[0]
        rows[layer]["seconds"] += spent
        rows[layer]["multiply_adds"] = counted.get(layer, 0)
        if spent and (layer not in counted or "conv" in by.lower()):
            rows[layer]["by"] = by
    return {"core": core, "sgemm": rate, "rows": dict(rows)}


def table(found: dict[str, Any]) -> str:
    """Return the layers, the slowest first."""
    rows = sorted(found["rows"].items(), key=lambda item: -item[1]["seconds"])
    whole = sum(row["seconds"] for _, row in rows)
    lines = [
        f"{'layer':12}{'ms':>9}{'time':>7}{'work':>7}{'of sgemm':>10}  computed by",
    ]
    total = sum(row["multiply_adds"] for _, row in rows)
    for name, row in rows:
        if row["seconds"] < whole / 1000:
            continue
        share = ""
        if row["multiply_adds"]:
            share = f"{row['multiply_adds'] / row['seconds'] / found['sgemm']:.0%}"
        lines.append(
            f"{name:12}{row['seconds'] * 1e3:9.1f}{row['seconds'] / whole:7.1%}"
            f"{row['multiply_adds'] / total:7.1%}{share:>10}  {row['by']}"
        )
    lines.append(
        f"{'all':12}{whole * 1e3:9.1f}{1:7.0%}{1:7.0%}{total / whole / found['sgemm']:10.0%}"
    )
    return "\n".join(lines)


def _layer(node: str) -> str:
    """Return the layer of the network that a node of OpenVINO's graph came from."""
    return node.split("/")[0].removeprefix("__module.network.")


def _multiply_adds(architecture: str, width: int, core: Zyx) -> dict[str, int]:
    with torch.device("meta"):
        network = build(architecture, width).eval()
        tile = torch.empty((1, 1, *(n + 2 * network.reach for n in core)))
    found: dict[str, int] = {}
    for name, layer in network.named_modules():
        if isinstance(layer, (nn.Conv3d, nn.ConvTranspose3d)):
            layer.register_forward_hook(partial(_count, found, name))
    with torch.inference_mode():
        network.core_logits(tile)
    return found


def _count(found: dict[str, int], name: str, layer: Any, given: Any, made: Any) -> None:
    # Each weight meets each voxel of the map that is not strided: once.
    voxels = given[0] if isinstance(layer, nn.ConvTranspose3d) else made
    found[name] = layer.weight.numel() * math.prod(voxels.shape[2:])

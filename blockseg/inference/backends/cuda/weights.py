"""A layer's weights as the matrices that compute a whole tile of its voxels."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from blockseg.networks.folding import folded

if TYPE_CHECKING:
    from blockseg.inference.backends.cuda.plan import Layer, Map
    from blockseg.networks.sdasn import SDASN

HALF_MAX = 65504.0
"""Largest finite fp16."""


@dataclass(frozen=True, slots=True, eq=False)
class Matrices:
    """Matrices that one layer multiplies with."""

    weights: tuple[Tensor, ...]
    """For each source fp16 ``(rows, x and channel, columns)``: rows are the (z, y) that
    a tile sees, columns its voxels (z, y, x) and their channels, in C order."""

    bias: Tensor
    """float32, one a stored channel."""


def matrices(
    network: SDASN, plan: tuple[Layer, ...], maps: dict[str, Map]
) -> dict[str, Matrices]:
    """Return each layer's matrices by its name, norms folded.

    Computed in float64, rounded once to fp16; beyond its range they are clipped to it.
    """
    exact = folded(deepcopy(network).double().cpu())
    found = {}
    for layer in plan:
        node, _, index = layer.name.partition(".")
        module = getattr(exact, node)
        conv = (module[int(index)] if index else module).conv
        weight = conv.weight.detach()
        if layer.kind == "up":
            weight = weight.transpose(0, 1)
        bias = torch.zeros(layer.stored)
        bias[: layer.outputs] = conv.bias.detach()
        found[layer.name] = Matrices(_by_source(layer, weight, maps), bias)
    return found


def heads(network: SDASN, stored: int) -> tuple[dict[str, Tensor], float]:
    """Return the weight of each map's channels in the logit, and the sum of the biases.

    The three heads are summed, so the one of x01, x00 beside up01, splits in two.
    """
    c0 = network.width
    first, second, last = (
        h.weight.detach().double().cpu().flatten()
        for h in (network.head00, network.head01, network.head02)
    )
    bias = 0.0
    for head in (network.head00, network.head01, network.head02):
        if head.bias is not None:
            bias += float(head.bias.detach().double())
    shares = {"x00.1": first + second[:c0], "up01": second[c0:], "x02.1": last}
    padded = {}
    for name, share in shares.items():
        padded[name] = torch.zeros(stored)
        padded[name][:c0] = share
    return padded, bias


def _by_source(
    layer: Layer, weight: Tensor, maps: dict[str, Map]
) -> tuple[Tensor, ...]:
    """Split ``weight (out, in, z, y, x)`` by source and lay it out for tiles."""
    parts, first = [], 0
    for source in layer.sources:
        stored = 1 if layer.kind == "first" else maps[source.map].channels
        spread = weight.new_zeros(layer.stored, stored, *weight.shape[2:])
        for place, count in source.parts:
            taken = weight[:, first : first + count]
            spread[: layer.outputs, place : place + count] = taken
            first += count
        parts.append(_tile_matrix(layer, spread))
    return tuple(parts)


def _tile_matrix(layer: Layer, weight: Tensor) -> Tensor:
    z, y, x = (
        _taps(seen, size, layer.kind == "up")
        for seen, size in zip(layer.seen, (*layer.tile, 2), strict=True)
    )
    full = torch.einsum("adu,bev,cfw,oiuvw->abcidefo", z, y, x, weight)
    rows = full.shape[0] * full.shape[1]
    matrix = full.reshape(rows, -1, layer.columns)
    if layer.kind == "first":  # so small that one product does all its rows
        matrix = matrix.reshape(1, -1, layer.columns)
    return matrix.clamp(-HALF_MAX, HALF_MAX).half().contiguous()


def _taps(seen: int, size: int, up: bool) -> Tensor:
    """Return 1 at (voxel seen, voxel of the tile, tap) where the tap joins the two."""
    taps = torch.zeros(seen, size, 3, dtype=torch.float64)
    for source in range(seen):
        for target in range(size):
            # The transposed convolution writes 2 i - 1 + tap.
            tap = target + 1 - 2 * source if up else source - target
            if 0 <= tap < 3:
                taps[source, target, tap] = 1
    return taps

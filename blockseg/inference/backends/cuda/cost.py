"""Cost of SDASN on our kernels, counted before it is measured."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from blockseg.inference.backends.cuda.plan import layers, maps
from blockseg.networks.receptive_field import KERNEL, REACH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blockseg.core.geometry import Zyx
    from blockseg.inference.backends.cuda.plan import Layer, Map


@dataclass(frozen=True, slots=True)
class Card:
    """Rates that a card reaches at best."""

    name: str
    """As sold."""

    bandwidth: float
    """Bandwidth of its memory, in bytes/s."""

    products: float
    """fp16 multiply-adds/s of its matrix units, dense."""

    shared: float
    """Bytes/s between shared memory and registers, all multiprocessors."""


H100 = Card("H100 SXM", 3.35e12, 989.4e12 / 2, 132 * 128 * 1.83e9)
"""NVIDIA's data sheet: 3.35 TB/s, 989.4 TFLOP/s of dense fp16; 132 multiprocessors with
128 bytes of shared memory a clock, at the 1.83 GHz that the former implies."""


@dataclass(frozen=True, slots=True)
class LayerCost:
    """One layer of one window."""

    name: str
    """As in :mod:`blockseg.inference.backends.cuda.plan`."""

    multiply_adds: int
    """That the layer's weights ask for."""

    multiplied: int
    """The same with the zeros that tiles and padded channels multiply."""

    read: int
    """Bytes from the device's memory, each once."""

    written: int
    """Bytes to it."""

    fed: int
    """Bytes of input through shared memory, to and fro."""

    def seconds(self, card: Card) -> float:
        """Return the time of what takes longest, all at the card's best rate."""
        return max(
            (self.read + self.written) / card.bandwidth,
            self.multiplied / card.products,
            self.fed / card.shared,
        )


def layer_costs(
    core: Zyx, width: int = 8, on_chip: frozenset[str] = frozenset(), group: int = 16
) -> list[LayerCost]:
    """Return the cost of each layer of a window.

    Parameters
    ----------
    core
        Voxels along (z, y, x) that the window writes.
    width
        Of the network.
    on_chip
        Maps that do not leave the chip, as in
        :class:`~blockseg.inference.backends.cuda.fused.Tiling`.
    group
        Tiles of a group along y and x; those of two layers in a row compute what lies
        at the border of their groups again.
    """
    stored = maps(width)
    plan = layers(width)
    costs = [_cost(layer, stored, core, on_chip) for layer in plan]
    for n, layer in enumerate(plan):
        if layer.target.name in on_chip:
            for m in (n, n + 1):
                costs[m] = _again(costs[m], (group / (group - 1)) ** 2)
    return costs


def predicted_seconds(costs: Sequence[LayerCost], card: Card = H100) -> float:
    """Return the time of all layers, one after the other, at the card's best rates."""
    return sum(cost.seconds(card) for cost in costs)


def _cost(
    layer: Layer, stored: dict[str, Map], core: Zyx, on_chip: frozenset[str]
) -> LayerCost:
    voxels = math.prod(layer.target.used(core))
    tiles = math.prod(layer.tiles(core))
    taps = KERNEL**3 * layer.inputs * layer.outputs
    seen = math.prod(layer.seen)
    read = inputs = 0
    for source in layer.sources:
        if source.map == "raw":
            inputs += 1
            read += 2 * math.prod(n + 2 * REACH for n in core)
        else:
            channels = stored[source.map].channels
            inputs += channels
            if source.map not in on_chip:
                read += 2 * channels * _touched(layer, core)
    fed = 2 * 2 * seen * inputs * tiles
    written = 0
    if layer.target.name not in on_chip | {"x02"}:
        written += 2 * layer.stored * voxels
    if layer.pooled is not None:
        written += 2 * layer.stored * voxels // 8
    # A logit of the core has four bytes, a result one.
    logits = math.prod(core)
    read += {"add": 4, "last": 4}.get(layer.head or "", 0) * logits
    written += {"set": 4, "add": 4, "last": 1}.get(layer.head or "", 0) * logits
    return LayerCost(
        layer.name,
        taps * (tiles if layer.kind == "up" else voxels),
        seen * inputs * layer.columns * tiles,
        read,
        written,
        fed,
    )


def _again(cost: LayerCost, times: float) -> LayerCost:
    return replace(
        cost, multiplied=round(cost.multiplied * times), fed=round(cost.fed * times)
    )


def _touched(layer: Layer, core: Zyx) -> int:
    """Return the number of voxels of each source that a layer reads."""
    tiles = layer.tiles(core)
    sides = zip(tiles, layer.step, layer.seen, strict=True)
    return math.prod((n - 1) * step + seen for n, step, seen in sides)

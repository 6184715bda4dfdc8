"""SDASN as a list of layers, and the part of each feature map that a window needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from blockseg.networks.receptive_field import STRIDE

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind: TypeAlias = Literal["input", "conv", "pool", "up", "head"]

Span: TypeAlias = tuple[int, int]
"""First voxel and the one after the last, along one axis, in voxels of a level."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One feature map and how it is computed."""

    name: str
    """As in a weights file, where it has weights."""

    kind: Kind
    """Convolution with activation, pooling, transposed convolution with activation, or
    the heads with the sigmoid behind them."""

    level: int
    """Level of resolution, 0 the finest."""

    sources: tuple[str, ...]
    """Maps that it is computed from; those of a convolution lie behind one another."""


LAYERS = (
    Layer("input", "input", 0, ()),
    Layer("x00.0", "conv", 0, ("input",)),
    Layer("x00.1", "conv", 0, ("x00.0",)),
    Layer("x10.pool", "pool", 1, ("x00.1",)),
    Layer("x10.0", "conv", 1, ("x10.pool",)),
    Layer("x10.1", "conv", 1, ("x10.0",)),
    Layer("x10.2", "conv", 1, ("x10.1",)),
    Layer("x20.pool", "pool", 2, ("x10.2",)),
    Layer("x20.0", "conv", 2, ("x20.pool",)),
    Layer("x20.1", "conv", 2, ("x20.0",)),
    Layer("x20.2", "conv", 2, ("x20.1",)),
    Layer("up11", "up", 1, ("x20.2",)),
    Layer("x11.0", "conv", 1, ("x10.2", "up11")),
    Layer("x11.1", "conv", 1, ("x11.0",)),
    Layer("up01", "up", 0, ("x10.2",)),
    Layer("up02", "up", 0, ("x11.1",)),
    Layer("x02.0", "conv", 0, ("x00.1", "up01", "up02")),
    Layer("x02.1", "conv", 0, ("x02.0",)),
    Layer("head", "head", 0, ("x00.1", "up01", "x02.1")),
)
"""In an order in which each comes after what it is computed from."""

BY_NAME: Mapping[str, Layer] = {layer.name: layer for layer in LAYERS}


def needed(kind: Kind, span: Span) -> Span:
    """Return the span of its sources that a layer needs to compute a span, along one axis."""
    first, stop = span
    if kind == "conv":
        return first - 1, stop + 1
    if kind == "pool":
        return STRIDE * first, STRIDE * stop
    if kind == "up":
        # Voxel 2i comes of i, voxel 2i + 1 of i and i + 1.
        return first // STRIDE, stop // STRIDE + 1
    return span


def spans(core: Span, volume: Span) -> dict[str, Span]:
    """Return the span of each map that has to be computed for a core, along one axis.

    Beyond the volume a convolution sees zeros, as in one pass over the whole volume, so
    nothing is computed there.

    Parameters
    ----------
    core
        Voxels whose probability is wanted, inside the volume.
    volume
        Voxels inside the volume, from a multiple of the network's alignment to another.
    """
    found: dict[str, Span] = {"head": core}
    for layer in reversed(LAYERS):
        span = found[layer.name]
        if layer.kind == "up":  # computed two by two
            span = span[0] // STRIDE * STRIDE, -(-span[1] // STRIDE) * STRIDE
            found[layer.name] = span
        for name in layer.sources:
            level = BY_NAME[name].level
            ends = (volume[0] >> level, volume[1] >> level)
            first, stop = needed(layer.kind, span)
            first, stop = max(first, ends[0]), min(stop, ends[1])
            earlier = found.get(name, (first, stop))
            found[name] = min(first, earlier[0]), max(stop, earlier[1])
    return found


def users(name: str) -> tuple[Layer, ...]:
    """Return the layers that are computed from a map."""
    return tuple(layer for layer in LAYERS if name in layer.sources)

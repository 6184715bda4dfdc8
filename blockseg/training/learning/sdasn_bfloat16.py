"""SDASN's forward pass in bfloat16, arranged for CPUs with matrix units.

Maps of the finest level hold two neighbours along x as twice as many channels at half
as many columns: the memory of a channels-last map is the same, but eight channels fill
half a tile of a matrix unit and sixteen all of it. The parameters stay float32; each
step lays them out anew, and gradients come back the same way.
"""

from __future__ import annotations

import math
from functools import cache, reduce
from itertools import product
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from blockseg.networks.receptive_field import KERNEL, SLOPE, STRIDE
from blockseg.training.learning.norm_activation import norm_activation
from blockseg.training.learning.shallow_maps import convolved

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import nn

    from blockseg.networks.layers import Conv, Node, Up
    from blockseg.networks.sdasn import SDASN

_HALF = torch.bfloat16
_TILE = 16  # channels that fill a tile


def bfloat16_heads(network: SDASN, image: Tensor) -> tuple[Tensor, ...]:
    """Return what ``network.heads(image)`` returns, in float32, computed in bfloat16.

    Statistics of norms are float32, of maps in bfloat16.

    Parameters
    ----------
    network
        With parameters in float32, on a CPU.
    image
        Normalised images ``(batch, 1, z, y, x)``, multiples of 4.
    """
    fold = STRIDE if network.width < _TILE else 1
    x00 = _node(network.x00, [_folded(image, fold)], fold)
    x10 = _node(network.x10, [_pooled(x00, fold)])
    x20 = _node(network.x20, [_pooled(x10)])
    x11 = _node(network.x11, [x10, _up(network.up11, x20)])
    up01 = _up(network.up01, x10, fold)
    x02 = _node(network.x02, [x00, up01, _up(network.up02, x11, fold)], fold)
    return (
        _head(network.head00, [x00], image.shape),
        _head(network.head01, [x00, up01], image.shape),
        _head(network.head02, [x02], image.shape),
    )


def _folded(image: Tensor, fold: int) -> Tensor:
    batch, _, z, y, x = image.shape
    columns = image.to(_HALF).reshape(batch, z, y, x // fold, fold)
    return columns.permute(0, 4, 1, 2, 3)


def _node(node: Node, maps: Sequence[Tensor], fold: int = 1) -> Tensor:
    """Return a node's map of several maps' channels, all folded alike."""
    x, parts = _joined(maps), len(maps)
    for layer in cast("Iterable[Conv]", node):
        weight = _folded_weight(layer.conv.weight, parts, fold).to(_HALF)
        bias = _repeated(layer.conv.bias, fold)
        x = convolved(x, weight, bias, KERNEL // 2)
        x, parts = norm_activation(x, layer.norm, SLOPE), 1
    return x


def _repeated(bias: Tensor | None, times: int) -> Tensor | None:
    return None if bias is None else bias.repeat(times).to(_HALF)


def _folded_weight(weight: Tensor, parts: int, fold: int) -> Tensor:
    """Return the weights that do the same to folded maps.

    Parameters
    ----------
    weight
        ``(out, in, z, y, x)``.
    parts
        Equally many channels of the input were folded together.
    fold
        Neighbours along x in one column.
    """
    if fold == 1:
        return weight
    out, channels = weight.shape[:2]
    split = weight.reshape(out, parts, channels // parts, *weight.shape[2:])
    laid = torch.einsum("onizyk,pqxk->ponqizyx", split, _fold_taps(fold))
    return laid.reshape(fold * out, fold * channels, *weight.shape[2:4], KERNEL)


@cache
def _fold_taps(fold: int) -> Tensor:
    """Return the tap of a kernel that leads from a folded voxel to another: 0 or 1.

    Axes: neighbour in the column of the result, in that of the input; column of the
    folded kernel, tap of the kernel.
    """
    taps = torch.zeros(fold, fold, KERNEL, KERNEL)
    for to, of, column in product(range(fold), range(fold), range(KERNEL)):
        tap = fold * (column - KERNEL // 2) + of - to + KERNEL // 2
        if 0 <= tap < KERNEL:
            taps[to, of, column, tap] = 1
    return taps


@cache
def _up_taps() -> Tensor:
    """Return the taps that lead to an even and an odd voxel from the two coarse ones."""
    taps = torch.zeros(STRIDE, 2, KERNEL)
    taps[0, 0, 1] = taps[1, 0, 2] = taps[1, 1, 0] = 1
    return taps


def _up(up: Up, x: Tensor, fold: int = 1) -> Tensor:
    """Return the next finer map.

    A fine voxel sees at most two coarse ones along each axis, so that all eight of a
    coarse voxel come of one convolution with a kernel of two.
    """
    taps = (_up_taps(),) * 3
    weight = torch.einsum("iozyx,ptz,quy,rvx->pqroituv", up.conv.weight, *taps)
    weight = weight.flatten(0, 3).to(_HALF)
    bias = _repeated(up.conv.bias, STRIDE**3)
    y = functional.conv3d(functional.pad(x, (0, 1) * 3), weight, bias)
    y = norm_activation(y, up.norm, SLOPE)
    batch, _, *shape = y.shape
    split = y.permute(0, 2, 3, 4, 1).reshape(batch, *shape, STRIDE, STRIDE, -1)
    fine = split.permute(0, 1, 4, 2, 5, 3, 6)
    z, y_, x_ = (STRIDE * n for n in shape)
    return fine.reshape(batch, z, y_, x_ // fold, -1).permute(0, 4, 1, 2, 3)


def _joined(maps: Sequence[Tensor]) -> Tensor:
    if len(maps) == 1:
        return maps[0]
    joined: Tensor = _Joined.apply(*maps)  # type: ignore[no-untyped-call]
    return joined


class _Joined(torch.autograd.Function):
    """All channels of several maps; each map's gradient is copied out of theirs.

    As a view, what adds it to the map's other gradients would take eight times as long.
    """

    @staticmethod
    def forward(ctx: Any, *maps: Tensor) -> Tensor:
        ctx.channels = [x.shape[1] for x in maps]
        return torch.cat(maps, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, ...]:
        return tuple(
            part.contiguous(memory_format=torch.channels_last_3d)
            for part in torch.split(dy, ctx.channels, 1)
        )


def _pooled(x: Tensor, fold: int = 1) -> Tensor:
    pooled: Tensor = _Pool.apply(x, fold)  # type: ignore[no-untyped-call]
    return pooled


class _Pool(torch.autograd.Function):
    """The greatest of 2×2×2 voxels; its gradient goes to the first of equals."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, fold: int) -> Tensor:
        batch, channels, z, y, columns = x.shape
        fine = x.permute(0, 2, 3, 4, 1).reshape(batch * z // 2, 2, -1)
        ctx.firsts = []
        ctx.shape = x.shape
        width = columns * channels
        channels //= fold
        for inner in (y * width, width, channels):
            pair = fine.reshape(-1, 2, inner)
            one, other = pair[:, 0], pair[:, 1]
            ctx.firsts.append(one >= other)
            fine = torch.maximum(one, other)
        rows = fine.reshape(batch, z // 2, y // 2, columns * fold // 2, channels)
        return rows.permute(0, 4, 1, 2, 3)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None]:
        grad = dy.permute(0, 2, 3, 4, 1).reshape(-1)
        for first in reversed(ctx.firsts):
            grad = grad.reshape(first.shape)
            pair = grad.new_empty(first.shape[0], 2, first.shape[1])
            torch.mul(grad, first, out=pair[:, 0])
            torch.sub(grad, pair[:, 0], out=pair[:, 1])
            grad = pair
        batch, channels, z, y, columns = ctx.shape
        rows = grad.reshape(batch, z, y, columns, channels)
        return rows.permute(0, 4, 1, 2, 3), None


def _head(head: nn.Conv3d, maps: Sequence[Tensor], shape: Sequence[int]) -> Tensor:
    """Return logits of the shape of the image, as products of a few columns at a time.

    To one channel torch has no fast convolution; a matrix that holds the head's weights
    once for each of so many voxels is one.
    """
    voxels = math.gcd(shape[4], _TILE)
    weights = head.weight.flatten().chunk(len(maps))
    parts = []
    for x, weight in zip(maps, weights, strict=True):
        matrix = torch.kron(torch.eye(voxels), weight[:, None]).to(_HALF)
        rows = x.permute(0, 2, 3, 4, 1).reshape(-1, len(matrix))
        parts.append((rows @ matrix).float())
    logits = reduce(torch.add, parts)
    if head.bias is not None:
        logits = logits + head.bias
    return logits.reshape(tuple(shape))

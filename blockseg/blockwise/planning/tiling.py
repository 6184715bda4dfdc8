"""Tiling of a region with blocks, and of blocks with windows, with little waste."""

from __future__ import annotations

import math
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from blockseg.core.geometry import ceil_to, floor_to, to_zyx

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from blockseg.core.geometry import Roi, Zyx
    from blockseg.networks.receptive_field import Field

LARGEST_WINDOW = 512
"""Longest edge of a window's core: beyond it margins hardly matter."""

_SMALLEST_WINDOW = 32  # below it most of the work is margin
_LARGEST_BLOCK = 256
_FEWEST_BLOCKS = 8
_STEP = 64
_MARGIN = 24  # voxels of halo that copying and painting weigh, as one length

_FINE_STEP = 8  # of block edges: chunks of 34 to 64 voxels divide them all
_LONG = 2048  # an axis on which what overhangs is little, whatever the block
_ODD_CHUNKS = 1.03  # what cut cubes and chunks of other sizes than 64 cost, at a guess
_SECOND_PASS = 1.01  # level 1 made from files, for want of an even number of chunks
_DELAY = 0.05  # what a block of 256³ voxels costs by being lost or waited for


@dataclass(frozen=True, slots=True)
class Tiling:
    """Blocks of a run and the windows that cover each of them."""

    block: Zyx
    """Voxels of a block."""

    window: Zyx
    """Voxels that one call of the engine writes."""

    blocks: int
    """Blocks in the region."""

    work: float = math.nan
    """Multiply-adds over those of one pass over the region, overhang and margins
    included; estimated by the network's ``margin``."""

    weight: float = math.nan
    """``work``, a little more for blocks whose chunks are odd."""

    cost: float = math.nan
    """``weight``, a little more for large blocks, which are lost or waited for whole."""


@dataclass(frozen=True, slots=True)
class _Axis:
    block: int
    window: int
    blocks: int
    work: float
    weight: float


def tilings(
    region: Roi,
    field: Field,
    *,
    block: Zyx | None = None,
    window: Zyx | None = None,
    largest: int = LARGEST_WINDOW,
) -> Iterator[Tiling]:
    """Yield ways to cut a region, the one that computes least first.

    A window need not divide a block: what counts is how windows cover the blocks as
    they are, cut at the region's end and grown to the network's alignment. A last
    block that is short may so set the window, and a region of 300 voxels is one
    window of 300.

    Parameters
    ----------
    region
        What is written, in the volume's coordinates.
    field
        Of the network.
    block, window
        Taken as they are where given, in voxels along (z, y, x).
    largest
        Longest edge of a window that is chosen here.

    Yields
    ------
    Tiling
        By increasing ``weight``; at least one.
    """
    axes = [
        _best(
            _choices(
                region.start[axis],
                region.stop[axis],
                field,
                None if block is None else block[axis],
                None if window is None else window[axis],
                largest,
            )
        )
        for axis in range(3)
    ]
    for z, y, x in _lightest_first(axes):
        weight = z.weight * y.weight * x.weight
        voxels = 1
        for part, length in zip((z, y, x), region.shape, strict=True):
            voxels *= min(part.block, length)
        yield Tiling(
            block=(z.block, y.block, x.block),
            window=(z.window, y.window, x.window),
            blocks=z.blocks * y.blocks * x.blocks,
            work=z.work * y.work * x.work,
            weight=weight,
            cost=weight * (1 + _DELAY * voxels / 256**3),
        )


def block_shape(region: Zyx, largest: int = _LARGEST_BLOCK) -> Zyx:
    """Choose a block in multiples of 64 voxels that fits ``region`` with little waste.

    For jobs without a network. Along each axis the block that handles least: large ones
    are fewer, but overhang the far end more. A small volume is still cut into a few
    blocks, so that every worker has something to do.
    """
    z, y, x = (_edge(n, largest) for n in region)
    count = math.prod(math.ceil(n / b) for n, b in zip(region, (z, y, x), strict=True))
    if count < _FEWEST_BLOCKS and largest > 128:
        return block_shape(region, largest - _STEP)
    return (z, y, x)


def _edge(length: int, largest: int) -> int:
    edges = range(_STEP, largest + 1, _STEP)
    return min(edges, key=lambda b: (math.ceil(length / b) * (b + _MARGIN), b))


def _lightest_first(axes: list[list[_Axis]]) -> Iterator[tuple[_Axis, _Axis, _Axis]]:
    """Yield one choice of each axis, by increasing product of their weights.

    There can be a hundred thousand, of which the first few are wanted.
    """
    first = (0, 0, 0)
    waiting = [(0.0, first)]
    seen = {first}
    while waiting:
        _, index = heappop(waiting)
        z, y, x = (axis[i] for axis, i in zip(axes, index, strict=True))
        yield z, y, x
        for grown in range(3):
            after = to_zyx(i + (axis == grown) for axis, i in enumerate(index))
            if after[grown] == len(axes[grown]) or after in seen:
                continue
            seen.add(after)
            weight = math.prod(
                axis[i].weight for axis, i in zip(axes, after, strict=True)
            )
            heappush(waiting, (weight, after))


def _choices(
    start: int,
    stop: int,
    field: Field,
    block: int | None,
    window: int | None,
    largest: int,
) -> Iterator[_Axis]:
    """Yield every way to cut one axis that is worth a look."""
    length = stop - start
    edges: Iterable[int] = [block] if block is not None else _edges(length, largest)
    for edge in edges:
        blocks = math.ceil(length / edge)
        # All blocks but the last are alike: edges are multiples of the alignment.
        step = field.alignment
        last = ceil_to(stop, step) - floor_to(start + (blocks - 1) * edge, step)
        full = last
        if blocks > 1:
            full = ceil_to(start + edge, step) - floor_to(start, step)
        windows = (
            {window} if window is not None else _windows(full, last, step, largest)
        )
        for n in windows:
            computed = ((blocks - 1) * math.ceil(full / n) + math.ceil(last / n)) * n
            work = computed * (n + 2 * field.margin) / n / length
            weight = work * _nuisance(edge)
            yield _Axis(edge, n, blocks, work, weight)


def _edges(length: int, largest: int) -> range:
    end = min(ceil_to(length, 2 * _STEP), max(largest, _STEP))
    if length <= _STEP:
        end = _STEP
    return range(_STEP, end + 1, _FINE_STEP if length < _LONG else _STEP)


def _windows(full: int, last: int, step: int, largest: int) -> set[int]:
    """Return edges with which a block is a whole number of windows, or nearly so."""
    found = {
        ceil_to(math.ceil(n / parts), step)
        for n in (full, last)
        for parts in range(1, max(n // _SMALLEST_WINDOW, math.ceil(n / largest)) + 2)
    }
    usable = {n for n in found if _SMALLEST_WINDOW <= n <= largest}
    return usable or {max(n for n in found if n <= max(largest, step))}


def _nuisance(edge: int) -> float:
    cost = 1.0 if edge % _STEP == 0 else _ODD_CHUNKS
    # An edge has chunks of its largest divisor up to 64; see PyramidSpec.
    chunk = next(n for n in range(min(edge, _STEP), 0, -1) if edge % n == 0)
    return cost if edge // chunk % 2 == 0 else cost * _SECOND_PASS


def _best(choices: Iterable[_Axis]) -> list[_Axis]:
    """Leave out what another choice beats in work, memory and grain at once."""
    kept: list[_Axis] = []
    for new in sorted(choices, key=lambda c: (c.weight, c.window, c.block)):
        if not any(a.window <= new.window and a.block <= new.block for a in kept):
            kept.append(new)
    return kept

"""Shares of the second pass: groups of objects, and the blocks with their lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from blockseg.skeletons.bridges import Bridges, no_bridges
from blockseg.skeletons.shards import Sharding

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

VOXELS = 200_000
"""Voxels of lines that a share holds, if it has more than one shard of the layer."""

_SHARDS = 10  # bits: about a thousand files, of as many ids each as lie within
_LOW_BITS = (6, 12)


@dataclass(frozen=True, slots=True, eq=False)
class Shares:
    """Objects in shares, by rising id of the objects as they are after bridging."""

    first: NDArray[np.uint64]
    """(n,), least id of each share."""

    last: NDArray[np.uint64]
    """(n,), greatest one."""

    start: NDArray[np.int64]
    """(n + 1,), where in ``blocks`` each share begins."""

    blocks: NDArray[np.int64]
    """Numbers of the blocks with lines of each share."""

    voxels: int
    """Voxels of lines of the largest share."""

    bridges: Bridges
    """Ends that are joined."""

    sharding: Sharding | None
    """Which objects share a file of the layer: all of them are in one share. None where
    each has its own, as in traces that an earlier version began."""

    def __len__(self) -> int:
        return len(self.first)

    def blocks_of(self, number: int) -> NDArray[np.int64]:
        """Return the numbers of the blocks of one share."""
        return self.blocks[self.start[number] : self.start[number + 1]]


def shares_of(
    contents: Iterable[tuple[int, NDArray[np.uint64], NDArray[np.int64]]],
    bridges: Bridges | None = None,
    *,
    voxels: int = VOXELS,
    low_bits: int | None = None,
    sharded: bool = True,
) -> Shares:
    """Return shares of all objects; 24 bytes for each object in each block.

    Parameters
    ----------
    contents
        Number of each block, ids of its objects, and voxels of lines of each.
    bridges
        Ends that are joined, which makes one object of several; none if not given.
    voxels
        Greatest size of a share of several shards.
    low_bits
        Of the sharding; from the greatest id if not given.
    sharded
        Whether objects share files.
    """
    bridges = no_bridges() if bridges is None else bridges
    ids, blocks, counts = [], [], []
    for number, component, count in contents:
        ids.append(bridges.leads(component))
        blocks.append(np.full(len(component), number, np.int64))
        counts.append(count)
    if not ids:
        none = np.zeros(0, np.int64)
        some = np.zeros(0, np.uint64)
        sharding = Sharding.of(0, 0) if sharded else None
        return Shares(some, some, np.zeros(1, np.int64), none, 0, bridges, sharding)
    component = np.concatenate(ids)
    block, count = np.concatenate(blocks), np.concatenate(counts)
    order = np.lexsort((block, component))
    component, block, count = component[order], block[order], count[order]
    new = np.flatnonzero(np.r_[True, component[1:] != component[:-1]])
    size = np.add.reduceat(count, new)
    names = component[new]
    greatest = int(names[-1])
    if not sharded:
        low_bits = 0
    elif low_bits is None:
        low_bits = int(np.clip(greatest.bit_length() - _SHARDS, *_LOW_BITS))
    _, begin, shard = np.unique(
        names >> np.uint64(low_bits), return_index=True, return_inverse=True
    )
    share = _packed(np.add.reduceat(size, begin), voxels)[shard]
    begins = np.flatnonzero(np.r_[True, share[1:] != share[:-1]])
    ends = np.r_[begins[1:], len(share)] - 1
    row_share = np.repeat(share, np.diff(np.r_[new, len(component)]))
    pairs = np.unique(np.stack([row_share, block], axis=1), axis=0)
    start = np.searchsorted(pairs[:, 0], np.arange(len(begins) + 1))
    total = np.bincount(share, size)
    return Shares(
        names[begins],
        names[ends],
        start,
        pairs[:, 1],
        int(total.max()),
        bridges,
        Sharding.of(low_bits, greatest) if sharded else None,
    )


def _packed(size: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Return the number of the share of each shard: as many as fit, in their order."""
    share = np.zeros(len(size), np.int64)
    ends = np.cumsum(size)
    at = number = 0
    while at < len(size):
        before = ends[at - 1] if at else 0
        stop = max(int(np.searchsorted(ends, before + most, side="right")), at + 1)
        share[at:stop] = number
        at, number = stop, number + 1
    return share

"""Shares of objects: each object in one, with all the blocks that it needs."""

import numpy as np
import pytest

from blockseg.skeletonization.lines import contents_from, contents_of
from blockseg.skeletonization.shares import shares_of
from blockseg.skeletons.block_lines import BlockLines, nothing
from blockseg.skeletons.bridges import Bridges


def contents(*blocks):
    return [
        (number, np.array(ids, np.uint64), np.array(counts, np.int64))
        for number, ids, counts in blocks
    ]


BLOCKS = contents((0, [1, 2, 5], [10, 5, 1]), (3, [2, 9], [7, 30]), (7, [9], [40]))


@pytest.mark.parametrize(
    ("voxels", "first", "last", "blocks"),
    [
        (1000, [1], [9], [[0, 3, 7]]),
        (22, [1, 5, 9], [2, 5, 9], [[0, 3], [0], [3, 7]]),
        (1, [1, 2, 5, 9], [1, 2, 5, 9], [[0], [0, 3], [0], [3, 7]]),
    ],
)
def test_shares_hold_whole_objects_in_their_order(voxels, first, last, blocks):
    found = shares_of(BLOCKS, voxels=voxels, low_bits=0)
    assert found.first.tolist() == first
    assert found.last.tolist() == last
    assert [found.blocks_of(n).tolist() for n in range(len(found))] == blocks
    assert found.voxels == (93 if voxels == 1000 else 70)


def test_objects_of_one_shard_are_in_one_share():
    found = shares_of(BLOCKS, voxels=1, low_bits=2)
    assert found.first.tolist() == [1, 5, 9]
    assert found.last.tolist() == [2, 5, 9]
    assert [found.sharding.shard(n) for n in (1, 2, 5, 9)] == [0, 0, 1, 2]


@pytest.mark.parametrize(
    ("greatest", "low_bits", "shard_bits"),
    [(9, 6, 1), (70_000, 7, 10), (10**6, 10, 10), (10**9, 12, 18)],
)
def test_there_are_about_a_thousand_shards(greatest, low_bits, shard_bits):
    found = shares_of(contents((0, [1, greatest], [1, 1]))).sharding
    assert (found.low_bits, found.shard_bits) == (low_bits, shard_bits)


def test_joined_objects_are_one_share():
    ids = np.array([5, 9], np.uint64)
    bridges = Bridges(np.array([[4, 8]]), ids, np.array([1, 1], np.uint64))
    found = shares_of(BLOCKS, bridges, voxels=1, low_bits=0)
    assert found.first.tolist() == [1, 2]
    assert found.blocks_of(0).tolist() == [0, 3, 7]


def test_no_objects_are_no_shares():
    assert len(shares_of([])) == 0


def test_contents_of_a_block_come_back():
    ids = np.array([3, 3, 3, 8, 2**40], np.uint64)
    voxel = np.arange(5)
    lines = BlockLines(
        ids,
        voxel,
        np.ones(5, np.float32),
        np.zeros(5, bool),
        np.zeros((0, 2), np.int64),
    )
    found, count = contents_from(contents_of(lines))
    assert found.tolist() == [3, 8, 2**40]
    assert count.tolist() == [3, 1, 1]
    assert contents_from(contents_of(nothing()))[0].tolist() == []

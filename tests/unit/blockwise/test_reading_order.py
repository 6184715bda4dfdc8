"""What is foreseen of reading is what readers would do, block by block."""

from collections import OrderedDict
from dataclasses import replace
from itertools import product
from math import prod

import numpy as np
import pytest

from blockseg.blockwise.planning.decoding import decoded_voxels
from blockseg.blockwise.planning.reading import plan_reading
from blockseg.core.blocks import BlockQueue
from blockseg.core.geometry import Roi
from blockseg.core.grid import BlockGrid

BENCH = (256, 512, 512)


def decoded_by(grid, chunk, reading, workers, itemsize=2):
    """Voxels that workers decode which take turns, each keeping the latest chunks."""
    order = reading.traversal.ordered(np.arange(len(grid), dtype=np.int64))
    queue = BlockQueue(order, workers=workers)
    caches: list[OrderedDict[tuple[int, ...], int]] = [
        OrderedDict() for _ in range(workers)
    ]
    decoded = 0
    kept = [0] * workers
    while queue.waiting:
        for worker, cache in enumerate(caches):
            for block in queue.take(1, str(worker)):
                for place, voxels in chunks_of(grid, chunk, block):
                    if place in cache:
                        cache.move_to_end(place)
                        continue
                    decoded += voxels
                    cache[place] = voxels
                    kept[worker] += voxels
                    while kept[worker] * itemsize > reading.cache_bytes:
                        kept[worker] -= cache.popitem(last=False)[1]
    return decoded


def chunks_of(grid, chunk, block):
    roi = grid.numbered(block).read_roi
    axes = [
        [(i, min((i + 1) * c, n) - i * c) for i in range(a // c, -(-b // c))]
        for a, b, c, n in zip(
            roi.start, roi.stop, chunk, grid.volume_shape, strict=True
        )
    ]
    for spans in product(*axes):
        yield tuple(i for i, _ in spans), prod(n for _, n in spans)


@pytest.mark.parametrize("kinds", [False, True])
@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize(
    ("shape", "block", "chunk", "roi"),
    [
        ((384, 512, 448), (64, 64, 64), (64, 64, 64), None),
        ((512, 768, 1024), (128, 128, 128), (64, 64, 64), None),
        ((500, 1300, 700), (128, 64, 192), (32, 64, 64), None),
        ((300, 900, 900), (96, 96, 96), (64, 64, 64), None),
        ((300, 900, 900), (96, 96, 96), (64, 64, 64), Roi((7, 9, 2), (290, 880, 801))),
        ((130, 800, 800), (64, 64, 64), (1, 200, 200), None),
    ],
)
def test_what_is_foreseen_is_what_is_decoded(shape, block, chunk, roi, workers, kinds):
    grid = BlockGrid(shape, block, (32, 32, 32), roi, 4)
    reading = plan_reading(grid, chunk, 2, 10**9, workers, kinds=kinds)
    assert reading.cache_bytes
    foreseen = decoded_voxels(grid, chunk, 2, reading, workers)
    assert decoded_by(grid, chunk, reading, workers) == foreseen


@pytest.mark.parametrize("workers", [1, 2])
def test_what_bars_share_tells_nearly_as_much_of_many_blocks(workers, monkeypatch):
    grid = BlockGrid((384, 512, 448), (64, 64, 64), (32, 32, 32), None, 4)
    reading = plan_reading(grid, (64, 64, 64), 2, 10**9, workers)
    monkeypatch.setattr("blockseg.blockwise.planning.decoding._COUNTED", 0)
    assert decoded_by(grid, (64,) * 3, reading, workers) == pytest.approx(
        decoded_voxels(grid, (64,) * 3, 2, reading, workers), rel=0.15
    )


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_blocks_change_their_kind_as_seldom_as_a_good_order_lets_them(workers):
    grid = BlockGrid((512, 1024, 1024), (128,) * 3, (32, 32, 32), None, 4)
    reading = plan_reading(grid, (64,) * 3, 2, 2**31, workers, kinds=True)
    plain = plan_reading(grid, (64,) * 3, 2, 2**31, workers)
    before = replace(plain.traversal, kinds=reading.traversal.kinds)
    assert reading.traversal.changes(workers) <= 0.6 * before.changes(workers)
    decoded = decoded_by(grid, (64,) * 3, reading, workers)
    assert decoded <= 1.4 * grid.region.size


def test_kinds_are_what_lies_beside_a_block():
    grid = BlockGrid((64, 256, 150), (64, 64, 64), (32, 32, 32), None, 4)
    kinds = plan_reading(grid, (64,) * 3, 2, 2**31, kinds=True).traversal.kinds
    assert kinds == ((0,), (0, 1, 1, 2), (0, 1, 2))


@pytest.mark.parametrize("block", [(128,) * 3, (192, 256, 256), (256,) * 3])
@pytest.mark.parametrize("workers", [1, 2])
def test_of_a_small_brain_little_is_decoded_twice(block, workers):
    grid = BlockGrid(BENCH, block, (32, 32, 32), None, 4)
    reading = plan_reading(grid, (64, 64, 64), 2, 10**9, workers, kinds=True)
    assert reading.cache_bytes < 200 * 2**20
    assert decoded_by(grid, (64,) * 3, reading, workers) <= 1.5 * prod(BENCH)


def test_one_worker_with_the_memory_asked_for_decodes_as_foreseen_to_the_voxel():
    grid = BlockGrid((300, 500, 400), (64, 64, 64), (32, 32, 32), None, 4)
    reading = plan_reading(grid, (64, 64, 64), 2, 10**9)
    assert decoded_by(grid, (64,) * 3, reading, 1) == reading.decoded(1)


@pytest.mark.parametrize("memory", [0, 10 * 2**20, 50 * 2**20, 10**9])
def test_the_memory_given_is_kept_to_and_more_of_it_never_decodes_more(memory):
    grid = BlockGrid((1024, 1024, 1024), (128,) * 3, (32, 32, 32), None, 4)
    reading = plan_reading(grid, (64, 64, 64), 2, memory)
    assert reading.cache_bytes <= memory
    assert reading.decoded(1) <= plan_reading(grid, (64,) * 3, 2, 0).decoded(1)


def test_without_memory_every_block_decodes_its_own():
    grid = BlockGrid(BENCH, (128,) * 3, (32, 32, 32), None, 4)
    reading = plan_reading(grid, (64, 64, 64), 2, 0)
    assert reading.cache_bytes == 0
    assert decoded_by(grid, (64,) * 3, reading, 2) == reading.decoded(2)


@pytest.mark.parametrize(("chunk", "width"), [((1, 1, 1), 0), ((1, 1, 512), 512)])
def test_nothing_is_kept_of_what_is_not_decoded(chunk, width):
    grid = BlockGrid(BENCH, (128,) * 3, (32, 32, 32), None, 4)
    reading = plan_reading(grid, chunk, 2, 10**9)
    assert reading.cache_bytes == 0
    rois = [block.read_roi for block in grid]
    sizes = [r.shape[0] * r.shape[1] * (width or r.shape[2]) for r in rois]
    assert reading.decoded(1) == sum(sizes)


def test_chunks_so_large_that_all_would_be_decoded_many_times_may_take_more():
    grid = BlockGrid((256, 2048, 2048), (128,) * 3, (32, 32, 32), None, 4)
    chunk = (1, 2048, 2048)
    little = plan_reading(grid, chunk, 2, 2**30)
    enough = plan_reading(grid, chunk, 2, 4 * 2**30)
    assert little.decoded(1) > 4 * grid.region.size
    assert enough.decoded(1) <= 2 * grid.region.size

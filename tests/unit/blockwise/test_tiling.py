import math
from itertools import islice, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockseg.blockwise.planning.tiling import LARGEST_WINDOW, block_shape, tilings
from blockseg.core.geometry import Roi
from blockseg.core.grid import BlockGrid
from blockseg.io.output.pyramid import PyramidSpec
from blockseg.networks.cost import margin_cost
from blockseg.networks.receptive_field import FIELDS

EXTENTS = st.tuples(*[st.integers(1, 5000)] * 3)
STARTS = st.tuples(*[st.integers(0, 40)] * 3)
SDASN = FIELDS["sdasn"]


def windows_of(grid, window):
    """Count the windows that the engine runs, block by block."""
    total = 0
    for block in grid:
        region = block.write_roi.aligned(grid.alignment)
        total += math.prod(
            math.ceil(n / w) for n, w in zip(region.shape, window, strict=True)
        )
    return total


@settings(deadline=None)
@given(EXTENTS)
def test_blocks_of_copies_are_multiples_of_64_up_to_256(region):
    assert all(b % 64 == 0 and 64 <= b <= 256 for b in block_shape(region))


@settings(deadline=None)
@given(EXTENTS)
def test_blocks_of_copies_never_overhang_by_a_whole_block(region):
    block = block_shape(region)
    for n, b in zip(region, block, strict=True):
        assert math.ceil(n / b) * b - n < b


@pytest.mark.parametrize(
    ("region", "block"),
    [
        ((512, 1024, 1024), (256, 256, 256)),
        ((384, 512, 512), (192, 256, 256)),
        ((1, 20, 30), (64, 64, 64)),
    ],
)
def test_blocks_of_copies_divide_the_volume_evenly_where_they_can(region, block):
    assert block_shape(region) == block


@settings(deadline=None, max_examples=30)
@given(EXTENTS, STARTS, st.sampled_from(sorted(FIELDS)))
def test_windows_and_blocks_suit_the_network_and_the_output(shape, start, name):
    field = FIELDS[name]
    region = Roi.whole(shape).shifted(start)
    for tiling in islice(tilings(region, field), 20):
        assert all(w % field.alignment == 0 for w in tiling.window)
        assert max(tiling.window) <= LARGEST_WINDOW
        grid = BlockGrid(
            region.stop, tiling.block, roi=region, alignment=field.alignment
        )
        assert len(grid) == tiling.blocks
        output = PyramidSpec(uri="/out", shape=shape, block=tiling.block)
        output.check_grid(grid)
        for chunk, extent in zip(output.levels[0].chunk, shape, strict=True):
            assert chunk > 32 or chunk >= extent


@settings(deadline=None, max_examples=30)
@given(st.tuples(*[st.integers(1, 700)] * 3), STARTS, st.integers(0, 50))
def test_work_is_that_of_the_windows_that_run(shape, start, place):
    region = Roi.whole(shape).shifted(start)
    tiling = list(islice(tilings(region, SDASN), place + 1))[-1]
    grid = BlockGrid(region.stop, tiling.block, roi=region, alignment=SDASN.alignment)
    of_window = math.prod(n + 2 * SDASN.margin for n in tiling.window)
    counted = windows_of(grid, tiling.window) * of_window / region.size
    assert tiling.work == pytest.approx(counted)


@settings(deadline=None, max_examples=30)
@given(EXTENTS)
def test_the_lightest_comes_first_and_none_twice(shape):
    found = list(islice(tilings(Roi.whole(shape), SDASN), 200))
    assert all(a.weight <= b.weight for a, b in pairwise(found))
    assert all(t.work <= t.weight <= t.cost for t in found)
    assert len({(t.block, t.window) for t in found}) == len(found)


@pytest.mark.parametrize(
    ("shape", "block"),
    [((257, 100, 64), (256, 128, 192)), ((20, 400, 70), (100, 268, 4))],
)
def test_a_block_that_is_given_is_kept(shape, block):
    found = list(islice(tilings(Roi.whole(shape), SDASN, block=block), 50))
    assert {tiling.block for tiling in found} == {block}


def test_a_window_that_is_given_is_kept_and_tiles_the_blocks_if_it_can():
    window = (48, 64, 80)
    region = Roi.whole((480, 512, 480))
    found = list(islice(tilings(region, SDASN, window=window), 50))
    assert {tiling.window for tiling in found} == {window}
    grid = BlockGrid(region.stop, found[0].block)
    assert windows_of(grid, window) * math.prod(window) == region.size


def test_no_window_is_longer_than_allowed():
    region = Roi.whole((300, 1000, 64))
    for tiling in islice(tilings(region, SDASN, largest=128), 100):
        assert max(tiling.window) <= 128


def test_a_region_off_the_networks_grid_needs_no_second_window():
    region = Roi.whole((200, 200, 200)).shifted((2, 2, 2))
    best = next(tilings(region, SDASN))
    grid = BlockGrid(region.stop, best.block, roi=region, alignment=4)
    assert windows_of(grid, best.window) == best.blocks


def test_a_window_of_128_computes_165_hundredths_at_most():
    assert margin_cost("sdasn", None, (128, 128, 128)) <= 1.65

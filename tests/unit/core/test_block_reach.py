import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from blockseg.core.block_reach import BlockReach
from blockseg.core.geometry import Roi
from blockseg.core.grid import BlockGrid

SIZES = st.tuples(*[st.integers(1, 40)] * 3)


@st.composite
def boxes(draw, shape):
    start, stop = [], []
    for n in shape:
        a = draw(st.integers(0, n - 1))
        start.append(a)
        stop.append(draw(st.integers(a + 1, n)))
    return Roi(tuple(start), tuple(stop))


@given(st.data(), SIZES, st.integers(0, 9))
def test_the_blocks_that_touch_a_box_are_those_whose_read_roi_meets_it(
    data, shape, halo
):
    grid = BlockGrid(shape, (8, 4, 12), (halo,) * 3, alignment=4)
    box = data.draw(boxes(shape))
    found = BlockReach.of(grid).any_of([box])
    wanted = np.zeros(grid.counts, bool)
    for block in grid:
        wanted[block.index] = block.read_roi.intersection(box).size > 0
    np.testing.assert_array_equal(found, wanted)


def test_a_margin_reaches_further_and_an_empty_box_nowhere():
    grid = BlockGrid((32, 32, 32), (8, 8, 8), (0, 0, 0))
    box = Roi((8, 8, 8), (16, 16, 16))
    assert BlockReach.of(grid).any_of([box]).sum() == 1
    assert BlockReach.of(grid, 1).any_of([box]).sum() == 27
    assert not BlockReach.of(grid, 1).any_of([Roi((8, 8, 8), (8, 16, 16))]).any()

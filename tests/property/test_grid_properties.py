import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockseg.core.errors import BlockError, GeometryError
from blockseg.core.geometry import Roi
from blockseg.core.grid import BlockGrid


def zyx(low, high):
    return st.tuples(*[st.integers(low, high)] * 3)


@st.composite
def grids(draw):
    shape = draw(zyx(1, 20))
    start = tuple(draw(st.integers(0, n - 1)) for n in shape)
    stop = tuple(draw(st.integers(a + 1, n)) for a, n in zip(start, shape, strict=True))
    alignment = draw(st.sampled_from([1, 2, 4]))
    block = tuple(alignment * n for n in draw(zyx(1, 4)))
    roi = draw(st.sampled_from([None, Roi(start, stop)]))
    return BlockGrid(shape, block, draw(zyx(0, 5)), roi, alignment)


@settings(deadline=None)
@given(grids())
def test_write_rois_tile_the_region_exactly_once(grid):
    hits = np.zeros(grid.volume_shape, dtype=np.uint8)
    for block in grid:
        hits[block.write_roi.slices()] += 1
    assert (hits[grid.region.slices()] == 1).all()
    assert hits.sum() == grid.region.size


@settings(deadline=None)
@given(grids())
def test_a_block_reads_its_halo_from_an_aligned_origin_and_never_leaves_the_volume(
    grid,
):
    for block in grid:
        assert Roi.whole(grid.volume_shape).contains(block.read_roi)
        assert block.read_roi.contains(block.write_roi)
        for axis in range(3):
            wanted = block.write_roi.start[axis] // grid.alignment * grid.alignment
            wanted -= grid.halo[axis]
            assert block.read_roi.start[axis] == max(0, wanted)


@settings(deadline=None)
@given(grids())
def test_ids_and_positions_name_the_same_block(grid):
    for number, block in enumerate(grid):
        assert grid.id_of(block.index) == number
        assert grid.index_of(number) == block.index


def test_a_block_that_is_no_multiple_of_the_alignment_is_refused():
    with pytest.raises(GeometryError, match="no multiple of 4"):
        BlockGrid((64, 64, 64), (30, 32, 32), alignment=4)


def test_a_region_outside_the_volume_is_refused():
    with pytest.raises(GeometryError, match="does not lie inside"):
        BlockGrid((8, 8, 8), (4, 4, 4), roi=Roi((0, 0, 0), (9, 8, 8)))


def test_a_block_error_survives_pickling():
    error = pickle.loads(pickle.dumps(BlockError("out of memory", (1, 2, 3))))
    assert str(error) == "block (1, 2, 3): out of memory"
    assert error.index == (1, 2, 3)

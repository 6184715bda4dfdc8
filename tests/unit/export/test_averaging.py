"""Means over larger voxels, against sums over a finely repeated array."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockseg.core.geometry import Roi, pieces
from blockseg.export.averaging import MeanGrid, means
from blockseg.io.protocol import MemoryVolume


def vector(values):
    z, y, x = map(float, values)
    return (z, y, x)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_a_mean_is_that_of_what_a_voxel_covers(seed):
    rng = np.random.default_rng(seed)
    data = rng.integers(0, 1000, rng.integers(1, 9, 3)).astype(np.uint16)
    # Edges at quarters of a voxel: each voxel repeated four times is exact.
    size = rng.integers(1, 14, 3) / 4
    start = np.minimum(rng.integers(0, 8, 3) / 4, np.array(data.shape) - 0.25)
    grid = MeanGrid(vector(start), vector(data.shape), vector(size))
    fine = data.astype(float)
    for axis in range(3):
        fine = fine.repeat(4, axis)
    wanted = np.empty(grid.shape)
    for index in np.ndindex(grid.shape):
        low = np.rint(4 * (start + np.array(index) * size)).astype(int)
        high = np.minimum(low + np.rint(4 * size).astype(int), fine.shape)
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        wanted[index] = fine[box].mean()
    found = means(MemoryVolume(data), grid, Roi.whole(grid.shape))
    assert found == pytest.approx(wanted)
    # Part by part it is the same to the last bit.
    for part in pieces(Roi.whole(grid.shape), 2):
        assert np.array_equal(
            means(MemoryVolume(data), grid, part), found[part.slices()]
        )


def test_a_nan_counts_only_where_it_lies():
    data = np.ones((4, 4, 4), np.float32)
    data[0, 0, 0] = np.nan
    grid = MeanGrid((0.0,) * 3, (4.0,) * 3, (2.0,) * 3)
    found = means(MemoryVolume(data), grid, Roi.whole((2, 2, 2)))
    assert np.isnan(found[0, 0, 0])
    assert np.nansum(found) == 7


def test_voxels_of_a_third_of_their_number_need_no_rounding():
    grid = MeanGrid((0.0,) * 3, (30.0,) * 3, (0.1 * 3 / 0.1,) * 3)
    assert grid.shape == (10, 10, 10)

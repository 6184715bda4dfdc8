import numpy as np
import pytest

from blockseg.core.cubes import CubeMask, cube_box, cube_counts, spread, voxels_of
from blockseg.core.geometry import Roi


def test_a_mask_comes_back_from_its_text_as_it_was():
    mask = np.random.default_rng(0).random((3, 5, 7)) < 0.3
    assert np.array_equal(CubeMask.of(mask).array(), mask)


def test_a_mask_of_millions_of_cubes_is_short_where_it_is_in_one_piece():
    mask = np.zeros((100, 200, 200), bool)
    mask[20:90, 30:180, 40:160] = True
    assert len(CubeMask.of(mask).bits) < 20_000


def test_cubes_cover_the_volume_and_end_with_it():
    shape = (70, 64, 130)
    assert cube_counts(shape) == (2, 1, 3)
    assert cube_box(Roi((63, 0, 64), (65, 1, 128))) == Roi((0, 0, 1), (2, 1, 2))
    last = Roi((1, 0, 2), (2, 1, 3))
    assert voxels_of(last, shape) == Roi((64, 0, 128), (70, 64, 130))


@pytest.mark.parametrize(
    "roi",
    [
        Roi((0, 0, 0), (32, 16, 48)),
        Roi((5, 3, 30), (29, 20, 50)),
        Roi((40, 0, 0), (60, 16, 16)),
        Roi((8, 8, 8), (8, 8, 8)),
    ],
    ids=str,
)
def test_each_voxel_has_the_value_of_its_cube_and_none_beyond(roi):
    mask = np.random.default_rng(1).random((2, 1, 3)) < 0.5
    cubes = Roi((0, 0, 0), (2, 1, 3)).shifted((0, 0, 1))
    whole = np.zeros((64, 64, 96), bool)
    for index in np.ndindex(mask.shape):
        z, y, x = (16 * i for i in index)
        whole[z : z + 16, y : y + 16, x + 16 : x + 32] = mask[index]
    assert np.array_equal(spread(mask, cubes, roi, 16), whole[roi.slices()])

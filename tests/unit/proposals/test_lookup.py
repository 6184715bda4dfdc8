"""What coarser and finer volumes say of the blocks of a lattice."""

import numpy as np
import pytest

from blockseg.core.errors import ConfigError
from blockseg.core.space import Space
from blockseg.io.protocol import MemoryVolume
from blockseg.proposals.boxes import pick_cubes
from blockseg.proposals.lookup import commonest, sampled


def faces(*ends):
    z, y, x = (np.array(end, np.int64) for end in ends)
    return z, y, x


def test_without_units_places_go_by_the_ratio_of_the_shapes():
    labels = MemoryVolume(np.arange(8, dtype=np.uint16).reshape(2, 2, 2))
    edges = faces([0, 32, 64], [0, 32, 64], [0, 32, 64])
    found = sampled(labels, edges, (64, 64, 64), Space())
    assert found.shape == (8, 27)
    np.testing.assert_array_equal(found, np.arange(8)[:, None].repeat(27, axis=1))


def test_with_units_places_go_by_physical_extent_and_beyond_is_nothing():
    fine = Space((2.0, 1.0, 1.0), "micrometer", (0.0, 0.0, 8.0))
    atlas = Space((8.0, 8.0, 8.0), "micrometer", (3.0, 3.5, 11.5))
    values = np.arange(1, 9, dtype=np.uint8).reshape(2, 2, 2)
    edges = faces([0, 4, 8], [0, 8, 16], [0, 8, 16, 24])
    found = sampled(MemoryVolume(values, atlas), edges, (8, 16, 24), fine)
    np.testing.assert_array_equal(
        commonest(found).reshape(2, 2, 3),
        np.concatenate([values, np.zeros((2, 2, 1))], axis=2),
    )
    assert not found.reshape(2, 2, 3, 27)[:, :, 2].any()


def test_a_volume_elsewhere_is_nothing():
    far = Space((1.0, 1.0, 1.0), "micrometer", (500.0, 0.0, 0.0))
    labels = MemoryVolume(np.ones((4, 4, 4), np.uint8), far)
    found = sampled(
        labels, faces([0, 4], [0, 4], [0, 4]), (4, 4, 4), Space(unit="micrometer")
    )
    assert not found.any()


def test_the_commonest_label_above_0_counts_and_the_least_of_equals():
    values = np.array([[0, 0, 0, 7], [5, 5, 3, 3], [0, 0, 0, 0], [9, 2, 9, 0]])
    np.testing.assert_array_equal(commonest(values), [7, 3, 0, 9])


def test_picks_are_320_voxels_or_what_the_volume_allows():
    assert pick_cubes((6400, 6400, 6400), 300) == (5, 5, 5)
    assert pick_cubes((640, 640, 640), 4) == (5, 5, 5)
    assert pick_cubes((640, 640, 640), 5) == (3, 3, 3)
    assert pick_cubes((640, 640, 640), 300) == (1, 1, 1)
    assert pick_cubes((100, 6400, 6400), 100) == (2, 5, 5)
    assert pick_cubes((30, 30, 30), 300) == (1, 1, 1)
    assert pick_cubes((6400, 6400, 6400), 30, largest=128) == (2, 2, 2)
    assert pick_cubes((256, 256, 256), 30, largest=128) == (1, 1, 1)
    assert pick_cubes((200, 200, 200), 1, (64, 128, 256)) == (1, 2, 4)


@pytest.mark.parametrize("shape", [(64, 64, 100), (64, 64, 320)])
def test_a_shape_that_is_no_box_of_cells_is_refused(shape):
    with pytest.raises(ConfigError, match="multiples of 64 voxels, 256,256,256 at"):
        pick_cubes((200, 200, 200), 1, shape)

from itertools import product

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, maximum_filter

from blockseg.morphology.centreline import skeleton, skeleton_length
from blockseg.morphology.topology import labelled


@pytest.mark.parametrize("thickness", [1, 3, 5])
def test_the_length_at_half_the_resolution_is_near_that_at_the_whole(thickness):
    rng = np.random.default_rng(3)
    mask = np.zeros((61, 62, 63), bool)
    for _ in range(6):
        turns = gaussian_filter(rng.normal(size=(400, 3)), (20, 0))
        steps = turns / np.linalg.norm(turns, axis=1, keepdims=True)
        path = np.rint(30 + 0.3 * np.cumsum(steps, axis=0)).astype(int)
        path = path[((path >= 0) & (path < mask.shape)).all(axis=1)]
        mask[tuple(path.T)] = True
    mask = maximum_filter(mask, thickness)
    whole = skeleton(mask).sum()
    assert whole > 100
    assert 0.75 * whole < skeleton_length(mask) < 1.25 * whole


@pytest.mark.parametrize("thick", [1, 2, 3])
def test_a_straight_neurite_is_as_long_at_any_thickness(thick):
    mask = np.zeros((12, 12, 60), bool)
    mask[4 : 4 + thick, 6 : 6 + thick, 10:50] = True
    assert abs(skeleton_length(mask) - 40) <= 4


def test_a_voxel_at_the_far_end_of_an_odd_shape_counts():
    mask = np.zeros((3, 5, 7), bool)
    mask[2, 4, 6] = True
    assert skeleton_length(mask) == 2


def test_an_empty_mask_has_no_centreline():
    assert skeleton_length(np.zeros((2, 3, 4), bool)) == 0


@pytest.mark.parametrize("shape", [*product((1, 2, 3, 4), (1, 2, 4), (1, 2, 5, 20))])
def test_no_box_is_without_a_centreline(shape):
    mask = np.zeros([n + 4 for n in shape], bool)
    mask[2:-2, 2:-2, 2:-2] = True
    line = skeleton(mask)
    assert line.any()
    assert not (line & ~mask).any()
    # Thinning shortens what is thick at both ends.
    assert line.sum() >= max(shape) - max(sorted(shape)[:2]) - 1


def test_every_one_of_many_specks_has_a_centreline():
    mask = np.zeros((20, 20, 20), bool)
    corners = np.indices((5, 5, 5)).reshape(3, -1).T * 4
    for z, y, x in corners:
        mask[z : z + 2, y : y + 2, x : x + 2] = True
    labels, count = labelled(mask)
    assert len(np.unique(labels[skeleton(mask)])) == count == len(corners)

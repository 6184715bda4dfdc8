"""The length of a mask, from its neighbourhoods."""

import numpy as np
import pytest

from blockseg.morphology.tube_length import (
    length_unit,
    length_weights,
    neighbourhood_codes,
)


def length(mask, size=(1.0, 1.0, 1.0)):
    codes = neighbourhood_codes(np.pad(mask, 1))
    return length_weights(size)[codes].sum() * length_unit(size)


@pytest.mark.parametrize("size", [(1.0, 1.0, 1.0), (2.0, 0.5, 0.3)])
@pytest.mark.parametrize(
    "step", [(0, 0, 1), (0, 1, 1), (1, 1, 1), (1, 0, 1), (1, 0, 0)]
)
def test_a_straight_chain_of_voxels_has_the_length_of_its_line(size, step):
    mask = np.zeros((12, 12, 12), bool)
    place = np.arange(10)[:, None] * step
    mask[tuple(place.T)] = True
    assert length(mask, size) == pytest.approx(
        9 * np.linalg.norm(np.multiply(step, size)), rel=1e-5
    )


def test_branches_add_up_and_a_single_voxel_has_none():
    mask = np.zeros((21, 21, 21), bool)
    mask[10, 10, :] = mask[10, :, 10] = mask[:, 10, 10] = True
    assert length(mask) == pytest.approx(60, abs=3)
    alone = np.zeros((3, 3, 3), bool)
    alone[1, 1, 1] = True
    assert length(alone) == 0


@pytest.mark.parametrize("radius", [1.2, 2.0, 3.0])
@pytest.mark.parametrize("direction", [(0, 0, 1), (1, 1, 0), (1, 1, 1), (3, 1, 0.5)])
def test_a_tube_is_as_long_as_its_axis_whatever_its_radius(radius, direction):
    axis = np.array(direction) / np.linalg.norm(direction)
    place = np.indices((90, 90, 90)) - 44.7
    along = np.tensordot(axis, place, 1)
    away = np.sqrt(np.maximum((place**2).sum(axis=0) - along**2, 0))
    mask = (away <= radius) & (abs(along) <= 35)
    # A cylinder has its length and π times its radius.
    assert length(mask) == pytest.approx(70 + np.pi * radius, rel=0.1)


@pytest.mark.parametrize(
    ("radius", "less"), [(3, 0.05), (6, 0.05), (12, 0.1), (20, 0.15)]
)
def test_a_ball_has_four_radii_and_a_large_one_somewhat_less(radius, less):
    place = np.indices((2 * radius + 3,) * 3) - radius - 1
    found = length((place**2).sum(axis=0) <= radius**2)
    assert (1 - less) * 4 * radius < found < 1.05 * 4 * radius


def test_a_block_of_voxels_has_the_sum_of_its_edges():
    mask = np.zeros((6, 7, 8), bool)
    mask[1:4, 1:5, 1:7] = True
    size = (2.0, 1.0, 0.5)
    assert length(mask, size) == pytest.approx(2 * 2 + 3 * 1 + 5 * 0.5)

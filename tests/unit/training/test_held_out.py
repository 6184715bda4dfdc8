"""Validation volumes of a size that there is time for."""

import numpy as np
import pytest
from numpy.typing import NDArray

from blockseg.core.geometry import Roi, Zyx
from blockseg.core.labels import IGNORE
from blockseg.training.data.held_out import capped_shape, validation_box
from blockseg.training.data.scan import AnnotationIndex


@pytest.mark.parametrize(
    ("shape", "voxels", "expected"),
    [
        ((10, 20, 30), 6000, (10, 20, 30)),
        ((10, 200, 300), 9000, (10, 30, 30)),
        ((100, 100, 100), 1000, (10, 10, 10)),
    ],
)
def test_a_shape_is_capped_to_what_is_nearest_to_a_cube(
    shape: Zyx, voxels: int, expected: Zyx
) -> None:
    assert capped_shape(shape, voxels) == expected


def unread(roi: Roi) -> NDArray[np.uint8]:
    """Fail: where tiles are smaller than the box, their counts are enough."""
    raise AssertionError(roi)


def test_the_box_holds_the_annotation_and_lies_in_the_region() -> None:
    tiles = np.array([[0, 0, 0], [3, 3, 3], [3, 3, 4]], np.int32)
    counts = np.array([1, 4096, 4096])
    index = AnnotationIndex(16, tiles, counts, counts)
    region = Roi((0, 8, 8), (80, 96, 96))
    box = validation_box(index, region, 32**3, np.random.default_rng(1), unread)
    assert box.shape == (32, 32, 32)
    assert region.contains(box)
    assert box.contains(Roi((48, 48, 48), (49, 49, 65)))


def test_a_box_smaller_than_a_cell_is_where_the_cell_is_annotated() -> None:
    annotated = Roi((2, 180, 190), (10, 200, 210))
    neurite = Roi((5, 185, 191), (6, 186, 209))
    target = np.full((256, 256, 256), IGNORE, np.uint8)
    target[annotated.slices()] = 0
    target[neurite.slices()] = 1
    counts = np.array([annotated.size])
    index = AnnotationIndex(256, np.zeros((1, 3), np.int32), counts, counts // 9)
    region = Roi((0, 0, 0), target.shape)
    box = validation_box(
        index, region, 32**3, np.random.default_rng(1), lambda roi: target[roi.slices()]
    )
    assert box.shape == (32, 32, 32)
    assert region.contains(box)
    assert box.contains(neurite)


def test_a_box_of_a_cell_without_neurites_is_where_it_is_known() -> None:
    target = np.full((64, 64, 64), IGNORE, np.uint8)
    target[40:44, 50:60, 3:9] = 0
    index = AnnotationIndex(
        64, np.zeros((1, 3), np.int32), np.array([240]), np.array([0])
    )
    box = validation_box(
        index,
        Roi((0, 0, 0), target.shape),
        16**3,
        np.random.default_rng(1),
        lambda roi: target[roi.slices()],
    )
    assert box.contains(Roi((40, 50, 3), (44, 60, 9)))

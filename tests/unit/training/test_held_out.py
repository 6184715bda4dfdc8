"""Validation volumes of a size that there is time for."""

import numpy as np
import pytest

from blockseg.core.geometry import Roi, Zyx
from blockseg.training.held_out import capped_shape, validation_box
from blockseg.training.scan import CellIndex


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


def test_the_box_holds_the_annotation_and_lies_in_the_region() -> None:
    cells = np.array([[0, 0, 0], [3, 3, 3], [3, 3, 4]], np.int32)
    counts = np.array([1, 4096, 4096])
    index = CellIndex(16, cells, counts, counts)
    region = Roi((0, 8, 8), (80, 96, 96))
    box = validation_box(index, region, 32**3, np.random.default_rng(1))
    assert box.shape == (32, 32, 32)
    assert region.contains(box)
    assert box.contains(Roi((48, 48, 48), (49, 49, 65)))

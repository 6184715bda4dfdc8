from itertools import product

import numpy as np
import pytest

from blockseg.core.geometry import Roi
from blockseg.core.space import Space
from blockseg.reports.projections import project

VOXELS = np.random.default_rng(0).integers(0, 255, (21, 34, 13), np.uint8)
CHUNK = (8, 8, 8)
BOXES = [
    Roi((0, 0, 0), VOXELS.shape),
    Roi((3, 5, 2), (20, 31, 9)),
    Roi((8, 8, 0), (9, 16, 13)),
]


class Counted:
    """A volume in chunks that counts how often each is read, and the largest read."""

    space = Space()

    def __init__(self, voxels):
        self.shape, self.dtype, self.chunk_shape = voxels.shape, voxels.dtype, CHUNK
        self.voxels = voxels
        self.chunks = {}
        self.largest = 0

    def read(self, roi):
        self.largest = max(self.largest, roi.size)
        spans = (
            range(a // c, -(-b // c))
            for a, b, c in zip(roi.start, roi.stop, CHUNK, strict=True)
        )
        for place in product(*spans):
            self.chunks[place] = self.chunks.get(place, 0) + 1
        return self.voxels[roi.slices()]


@pytest.mark.parametrize("box", BOXES, ids=str)
def test_a_projection_is_the_maximum_along_z_and_reads_each_chunk_once(box):
    volume = Counted(VOXELS)
    np.testing.assert_array_equal(
        project(volume, box), VOXELS[box.slices()].max(axis=0)
    )
    assert set(volume.chunks.values()) == {1}
    assert volume.largest <= CHUNK[0] * CHUNK[1] * VOXELS.shape[2]

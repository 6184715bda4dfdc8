"""The first place is one where something stands out."""

import numpy as np
import pytest

from blockseg.io.protocol import MemoryVolume
from blockseg.viewing.place import bright_place


@pytest.mark.parametrize("shape", [(40, 200, 220), (1, 30, 500), (3, 3, 3)])
def test_what_stands_out_is_seen_first(shape):
    rng = np.random.default_rng(0)
    voxels = rng.normal(100, 5, shape).astype(np.float32)
    z, y, x = (n // 2 for n in shape)
    voxels[z, y, max(x - 40, 0) : x + 1] += 400
    voxels[0, 0, 0] = np.nan
    place = bright_place(MemoryVolume(voxels))
    assert abs(place[0] - z) <= 1
    assert abs(place[1] - y) <= 1
    assert all(0 <= a < n for a, n in zip(place, shape, strict=True))


def test_where_nothing_stands_out_the_middle_is_shown():
    assert bright_place(MemoryVolume(np.full((8, 20, 30), 7, np.uint8))) == (4, 10, 15)

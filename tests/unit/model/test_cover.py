import numpy as np
import pytest

from blockseg.core.geometry import Roi
from blockseg.model.cover import cover, tiles


@pytest.mark.parametrize("share", [0.0, 0.002, 0.05, 1.0])
@pytest.mark.parametrize("core", [(8, 8, 8), (16, 8, 24), (64, 64, 64)])
def test_boxes_cover_what_is_wanted_once_and_are_no_more_than_tiles(share, core):
    region = Roi((8, 16, 0), (45, 50, 61))
    wanted = np.random.default_rng(0).random(region.shape) < share
    boxes = list(cover(wanted, region, core, 8))
    times = np.zeros(region.shape, int)
    for box in boxes:
        assert box.shape == core
        assert all(a % 8 == 0 for a in box.start)
        times[box.intersection(region).slices(region.start)] += 1
    assert times.max(initial=0) <= 1
    assert times[wanted].all()
    assert len(boxes) <= len(list(tiles(region, core)))


def test_a_box_begins_where_something_is_wanted():
    region = Roi.whole((32, 32, 128))
    wanted = np.zeros(region.shape, bool)
    wanted[20, 5, 40:90] = True
    found = list(cover(wanted, region, (16, 16, 64), 8))
    assert found == [Roi((16, 0, 40), (32, 16, 104))]

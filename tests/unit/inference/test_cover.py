import numpy as np
import pytest

from blockseg.core.geometry import Roi
from blockseg.inference.cover import cover, tiling


@pytest.mark.parametrize("share", [0.0, 0.002, 0.05, 1.0])
@pytest.mark.parametrize("core", [(8, 8, 8), (16, 8, 24), (64, 64, 64)])
def test_boxes_cover_the_mask_and_are_no_more_than_tiles(share, core):
    region = Roi((8, 16, 0), (45, 50, 61))
    mask = np.random.default_rng(0).random(region.shape) < share
    boxes = list(cover(mask, region, core, 8))
    covered = np.zeros(region.shape, bool)
    for box in boxes:
        assert box.shape == core
        assert all(a % 8 == 0 for a in box.start)
        covered[box.intersection(region).slices(region.start)] = True
    assert covered[mask].all()
    assert len(boxes) <= len(list(tiling(region, core)))


def test_a_box_begins_where_the_mask_does():
    region = Roi.whole((32, 32, 128))
    mask = np.zeros(region.shape, bool)
    mask[20, 5, 40:90] = True
    found = list(cover(mask, region, (16, 16, 64), 8))
    assert found == [Roi((16, 0, 40), (32, 16, 104))]


def test_boxes_lie_so_that_each_covers_as_much_as_it_can():
    region = Roi.whole((8, 48, 48))
    mask = np.zeros(region.shape, bool)
    mask[0, 0, 16] = mask[0, 8, 8:16] = True  # a step aside, a row further on
    assert list(cover(mask, region, (8, 16, 16), 8)) == [Roi((0, 0, 8), (8, 16, 24))]


@pytest.mark.parametrize("core", [(4, 4, 4), (12, 20, 9)])
def test_boxes_that_are_no_multiples_of_the_step_cover_the_mask(core):
    region = Roi((3, 0, 5), (40, 33, 31))
    mask = np.random.default_rng(1).random(region.shape) < 0.01
    covered = np.zeros(region.shape, bool)
    for box in cover(mask, region, core, 8):
        covered[box.intersection(region).slices(region.start)] = True
    assert covered[mask].all()

import numpy as np

from blockseg.core.geometry import Roi
from blockseg.inference.components import LENGTH, long_components

WHOLE = (100, 100, 100)
INSIDE = Roi((20, 20, 20), (52, 52, 52))


def told(foreground, roi=INSIDE, shape=WHOLE):
    neurites, specks = long_components(foreground, roi, shape)
    return int(np.count_nonzero(neurites)), int(specks.sum())


def test_a_piece_counts_from_its_length_along_any_axis_on():
    foreground = np.zeros((32, 32, 32), bool)
    foreground[4, 4, 4 : 4 + LENGTH] = True
    foreground[20, 8 : 8 + LENGTH - 1, 20] = True
    assert told(foreground) == (LENGTH, LENGTH - 1)


def test_voxels_that_touch_at_a_corner_are_one_piece():
    foreground = np.zeros((32, 32, 32), bool)
    steps = np.arange(4, 4 + LENGTH)
    foreground[steps, steps, steps] = True
    assert told(foreground) == (LENGTH, 0)


def test_what_a_face_cuts_off_short_is_neither_unless_the_volume_ends_there():
    foreground = np.zeros((32, 32, 32), bool)
    foreground[0, 5:7, 5] = True
    foreground[15, 15, 29:32] = True
    assert told(foreground) == (0, 0)
    at_the_start = Roi((0, 20, 20), (32, 52, 52))
    assert told(foreground, at_the_start) == (0, 2)
    at_the_end = Roi((20, 20, 68), (52, 52, 100))
    assert told(foreground, at_the_end) == (0, 3)


def test_nothing_is_no_piece_and_thin_parts_are_looked_at_as_others_are():
    assert told(np.zeros((32, 32, 32), bool)) == (0, 0)
    thin = np.zeros((1, 32, 32), bool)
    thin[0, 3, 3:20] = True
    assert told(thin, Roi((99, 20, 20), (100, 52, 52))) == (17, 0)


def test_pieces_are_told_apart():
    foreground = np.zeros((32, 32, 32), bool)
    foreground[4, 4, 4:20] = foreground[20, 4:14, 9] = True
    neurites, _ = long_components(foreground, INSIDE, WHOLE)
    assert sorted(np.bincount(neurites[foreground]).tolist()) == [0, 10, 16]

import numpy as np
import pytest

from blockseg.core.errors import GeometryError
from blockseg.core.geometry import Roi
from blockseg.dhpr.published import published_metrics, published_picks, published_roi


def labelled(shape, *boxes):
    label = np.zeros(shape, np.uint8)
    for start, stop in boxes:
        label[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = 1
    return label


def test_a_short_box_is_100_voxels_to_either_side_of_its_middle():
    label = labelled((1, 300, 300), ((0, 150, 10), (1, 152, 21)))
    # y: [150, 151], middle 150.5, 50.5 to 250.5 cut to integers; x: [10, 20], 0 to 115
    assert published_roi(label) == Roi((0, 50, 0), (1, 250, 115))


def test_a_long_box_loses_its_last_plane():
    label = labelled((1, 3, 230), ((0, 0, 10), (1, 1, 211)))
    assert published_roi(label).start[2] == 10
    assert published_roi(label).stop[2] == 210, "voxel 210 is foreground, and dropped"


def test_200_voxels_are_long_and_199_short():
    for length, stop in ((200, 204), (199, 204)):
        label = labelled((1, 1, 300), ((0, 0, 5), (1, 1, 5 + length)))
        assert published_roi(label).stop[2] == stop
    assert published_roi(label).start[2] == 4


def test_a_label_without_foreground_has_no_answer():
    with pytest.raises(GeometryError, match="without foreground"):
        published_metrics(np.zeros((2, 2, 2)), np.zeros((2, 2, 2)))


def test_the_formulas_by_hand():
    label = labelled((1, 1, 8), ((0, 0, 0), (1, 1, 3)))
    image = np.array([[[113, 108, 100, 98, 98, 102, 102, 250]]], np.uint16)
    found = published_metrics(image, label)
    # m0 is 130, 250 lies above 190; m is 100, s is 2; 8 / 2.00001 / 2 is below 2.
    assert found.level == 100
    assert found.noise == 2
    assert found.low_snr == pytest.approx(2 / 3)
    assert found.density == 3 / 50_000


def test_noise_counts_up_to_6_5_for_the_ratio_alone():
    label = labelled((1, 1, 4), ((0, 0, 0), (1, 1, 2)))
    image = np.array([[[127, 125, 90, 110]]], np.uint16)
    found = published_metrics(image, label)
    assert found.noise == 10
    assert found.low_snr == 0.5, "27 / 6.5 / 2 is above 2, 25 / 6.5 / 2 below"


def test_density_is_full_at_50000_voxels():
    label = labelled((50, 40, 40), ((0, 0, 0), (50, 40, 39)))
    assert published_metrics(np.zeros(label.shape, np.uint8), label).density == 1


def test_without_background_noise_is_not_a_number():
    label = np.ones((3, 3, 3), np.uint8)
    found = published_metrics(np.full((3, 3, 3), 7, np.uint16), label)
    assert np.isnan([found.noise, found.level, found.low_snr]).all()


def test_a_constant_image_is_all_of_low_snr():
    label = labelled((1, 1, 4), ((0, 0, 0), (1, 1, 2)))
    found = published_metrics(np.full((1, 1, 4), 65535, np.uint16), label)
    assert (found.noise, found.low_snr) == (0, 1)


def test_image_and_label_have_one_shape():
    with pytest.raises(GeometryError, match="label"):
        published_metrics(np.zeros((2, 2, 2)), np.zeros((2, 2, 3)))


def test_picks_are_the_hardest_of_the_noisier_half_by_rising_number():
    noise = [1, 9, 5, 8, 7, 5]
    density = [9, 0.1, 9, 0.5, 0.3, 9]
    low = [9, 0.1, 9, 0.4, 0.3, 9]
    # The median is 6: volumes 1, 3 and 4 are left.
    assert published_picks(density, noise, low, 2).tolist() == [3, 4]
    assert published_picks(density, noise, low).tolist() == [1, 3, 4]


def test_equal_picks_are_taken_in_order_and_equal_noise_leaves_none():
    assert published_picks([1, 1, 1, 1], [1, 2, 2, 1], [0, 0, 0, 0], 1).tolist() == [1]
    assert published_picks([1, 1], [3, 3], [1, 1]).size == 0
    assert published_picks([], [], []).size == 0


def test_one_volume_without_noise_spoils_the_median():
    assert published_picks([1, 1], [np.nan, 2], [1, 1]).size == 0

import numpy as np
import pytest
from PIL import Image

from blockseg.io.output.picture import (
    as_grey,
    coloured,
    overlaid,
    panels,
    save_png,
    with_scale_bar,
)


def test_faint_lines_stay_visible_beside_bright_somata():
    plane = np.full((100, 100), 180, np.uint16)
    plane[50] = 220
    plane[10, 10] = 60000
    grey = as_grey(plane)
    assert grey[0, 0] == 0
    assert grey[50].mean() > 100


def test_a_constant_plane_is_black():
    assert not as_grey(np.full((8, 8), 500, np.uint16)).any()


def test_nan_voxels_do_not_spoil_a_picture():
    plane = np.arange(64, dtype=np.float32).reshape(8, 8)
    plane[0, 0] = np.nan
    assert as_grey(plane).max() == 255


def test_panels_stand_side_by_side_or_below_each_other(tmp_path):
    plane = np.zeros((20, 30), np.uint8)
    across = panels([("a", plane), ("b", plane)], across=True)
    below = panels([("a", plane), ("b", plane)], across=False)
    assert across.shape[1] > 60 > below.shape[1]
    save_png(tmp_path / "p.png", across)
    with Image.open(tmp_path / "p.png") as picture:
        assert picture.size == across.shape[::-1]


def test_each_label_has_a_colour_of_its_own_and_background_is_black():
    labels = np.arange(40).reshape(5, 8)
    colours = coloured(labels).reshape(-1, 3)
    assert not colours[0].any()
    assert len(np.unique(colours, axis=0)) == 40
    assert (colours[1:].max(axis=1) > 150).all()
    assert (coloured(labels) == coloured(labels)).all()
    assert coloured(np.array([2**63 + 5], np.uint64)).any()


def test_grey_and_coloured_panels_stand_beside_each_other():
    grey, colour = np.zeros((20, 30), np.uint8), np.full((20, 30, 3), 90, np.uint8)
    both = panels([("a", grey), ("b", colour)], across=True)
    assert both.shape[2] == 3
    assert (both[18:, -30:] == 90).all()


def test_a_mask_is_laid_over_a_picture_in_colour():
    grey = np.array([[0, 100], [255, 40]], np.uint8)
    mask = np.array([[False, True], [True, False]])
    drawn = overlaid(grey, mask)
    np.testing.assert_array_equal(drawn[~mask], np.array([[0] * 3, [40] * 3]))
    assert (drawn[mask][:, 0] > drawn[mask][:, 2]).all()
    assert drawn[1, 0, 0] > drawn[0, 1, 0]  # what is bright beneath stays brighter


@pytest.mark.parametrize(("pixel", "length"), [(1.0, 50), (0.35, 20), (2.0, 100)])
def test_a_scale_bar_has_a_round_length(pixel, length):
    drawn = with_scale_bar(np.zeros((60, 256), np.uint8), pixel, "µm")
    bar = drawn[50] == 255
    assert bar.sum() == round(length / pixel)
    assert bar[8:][: bar.sum()].all()


def test_a_scale_bar_says_micrometres_and_draws_no_box_for_a_missing_letter():
    black = np.zeros((60, 256), np.uint8)
    drawn = [with_scale_bar(black, 1.0, unit) for unit in ("µm", "um", "\uffffm")]
    assert not np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("across", [False, True])
def test_a_caption_wider_than_its_picture_is_drawn_whole(across, colour):
    def ink(width):
        plane = np.zeros((8, width, 3) if colour else (8, width), np.uint8)
        drawn = panels([("background level, at most 1234", plane)], across=across)
        assert not drawn[18:, :width].any()
        return np.argwhere(drawn[:18] < 128)

    np.testing.assert_array_equal(ink(30), ink(400))


def test_pictures_below_each_other_are_as_wide_as_the_widest_caption():
    plane = np.zeros((8, 30), np.uint8)
    drawn = panels([("a", plane), ("noise SD, at most 1234", plane)], across=False)
    assert drawn.shape[1] > 100
    assert (drawn[18:26, 30:] == 255).all()

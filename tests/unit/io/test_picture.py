import numpy as np
from PIL import Image

from blockseg.io.output.picture import as_grey, panels, save_png


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

import numpy as np
import pytest
import tifffile

from blockseg.annotation.label import OpenLabel, grey_levels
from blockseg.annotation.strokes import Stroke
from blockseg.core.errors import VolumeError
from blockseg.core.space import Space

SHAPE = (4, 5, 6)


def write(path, voxels):
    tifffile.imwrite(path, voxels, photometric="minisblack")


SPACE = Space((2.0, 1.0, 1.0), "micrometer")


def body(*runs):
    return np.array(runs, "<u4").tobytes()


def opened(folder, label):
    path = folder / "a.tif"
    write(path, label)
    return OpenLabel.open(path, folder / "kept" / "a.tif", SHAPE, SPACE)


def test_a_stroke_sets_its_runs_and_the_later_of_two_counts():
    label = np.zeros(SHAPE, np.uint8)
    Stroke.from_bytes(body((3, 5, 1), (6, 1, 255), (119, 1, 1)), 120).apply(label)
    expected = np.zeros(120, np.uint8)
    expected[3:8], expected[6], expected[119] = 1, 255, 1
    np.testing.assert_array_equal(label.reshape(-1), expected)


@pytest.mark.parametrize(
    "wrong", [body((0, 1, 1))[:-1], body((119, 2, 1)), body((0, 0, 1)), body((0, 1, 2))]
)
def test_a_stroke_that_is_none_is_refused(wrong):
    with pytest.raises(VolumeError):
        Stroke.from_bytes(wrong, 120)


def test_a_drawn_label_is_on_the_disk_and_the_first_one_is_kept(tmp_path):
    draft = np.random.default_rng(0).choice([0, 1, 255], SHAPE).astype(np.uint8)
    label = opened(tmp_path, draft)
    stroke = Stroke.from_bytes(body((7, 4, 255)), 120)
    assert label.draw(stroke, 0) == 1
    changed = draft.copy()
    stroke.apply(changed)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), changed)
    assert label.draw(Stroke.from_bytes(body((0, 120, 0)), 120), 1) == 2
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "kept" / "a.tif"), draft)
    again = OpenLabel.open(label.path, label.backup, SHAPE, SPACE)
    assert not again.voxels.any()


def test_a_stroke_on_stale_voxels_changes_nothing(tmp_path):
    label = opened(tmp_path, np.zeros(SHAPE, np.uint8))
    label.draw(Stroke.from_bytes(body((0, 1, 1)), 120), 0)
    with pytest.raises(VolumeError, match="another window"):
        label.draw(Stroke.from_bytes(body((1, 1, 1)), 120), 0)
    assert label.voxels.sum() == tifffile.imread(tmp_path / "a.tif").sum() == 1


def test_a_label_that_cannot_be_written_stays_as_it_was(tmp_path, monkeypatch):
    label = opened(tmp_path, np.zeros(SHAPE, np.uint8))

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("blockseg.io.tiff.write.tifffile.imwrite", full)
    with pytest.raises(VolumeError, match="space"):
        label.draw(Stroke.from_bytes(body((0, 1, 1)), 120), 0)
    assert (label.revision, label.voxels.any()) == (0, False)
    assert not tifffile.imread(tmp_path / "a.tif").any()


@pytest.mark.parametrize(
    ("label", "said"),
    [
        (np.full(SHAPE, 7, np.uint8), "values 7"),
        (np.zeros((4, 5, 5), np.uint8), "its image"),
    ],
)
def test_a_label_of_other_values_or_another_shape_is_refused(tmp_path, label, said):
    with pytest.raises(VolumeError, match=said):
        opened(tmp_path, label)


def test_wide_types_that_hold_labels_are_taken_and_a_missing_label_says_nothing(
    tmp_path,
):
    wide = np.zeros(SHAPE, np.uint16)
    wide[0, 0, :2] = 1, 255
    label = opened(tmp_path, wide)
    assert label.voxels.dtype == np.uint8
    np.testing.assert_array_equal(label.voxels, wide)
    gone = OpenLabel.open(tmp_path / "b.tif", tmp_path / "k.tif", SHAPE, SPACE)
    assert (gone.voxels == 255).all()


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_grey_levels_can_be_told_from_their_codes(tmp_path, dtype):
    image = (np.random.default_rng(0).random(SHAPE) * 200).astype(dtype)
    if dtype == "f4":
        image[0, 0, 0], image[0, 0, 1] = np.nan, np.inf
    write(tmp_path / "i.tif", image)
    grey = grey_levels(tmp_path / "i.tif")
    found = grey.low + grey.step * grey.codes
    finite = np.isfinite(image)
    np.testing.assert_allclose(found[finite], image[finite], atol=grey.step)
    assert grey.codes[~finite].tolist() in ([], [0, 65535])

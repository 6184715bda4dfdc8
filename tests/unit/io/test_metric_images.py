import json

import numpy as np
import pytest
import zarr
from ome_zarr_models import open_ome_zarr

from blockseg.core.errors import VolumeError
from blockseg.core.space import Space
from blockseg.io.output.metric_images import predicted_metric_files, write_metric_images
from blockseg.io.output.written_files import stored_below

SPACE = Space((64.0, 32.0, 32.0), "micrometer", (31.5, 15.5, 15.5))


def write(folder, images, zarr_format=3):
    return write_metric_images(
        folder / "blocks",
        images,
        SPACE,
        zarr_format=zarr_format,
        codec="blosc-zstd",
        beside=folder,
    )


def level(array):
    return np.asarray(zarr.open_array(array, mode="r")[...])


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_images_are_ome_zarr_and_keep_nan(tmp_path, zarr_format):
    image = np.arange(130 * 3 * 2, dtype=np.float32).reshape(130, 3, 2)
    image[5] = np.nan
    write(tmp_path, {"one": image, "none": np.full_like(image, np.nan)}, zarr_format)
    for name in ("one", "none"):
        open_ome_zarr(zarr.open_group(tmp_path / "blocks" / name, mode="r"))
    fine, coarse = (level(tmp_path / "blocks" / "one" / path) for path in "01")
    np.testing.assert_array_equal(fine, image)
    assert coarse.shape == (65, 2, 1)
    assert coarse[0, 0, 0] == image[:2, :2].mean()
    assert np.isnan(coarse[2]).all(), "a mean with something unknown is unknown"
    files = [p for p in (tmp_path / "blocks").rglob("*") if p.is_file()]
    most = predicted_metric_files((130, 3, 2), 2, zarr_format, "blosc-zstd")
    assert len(files) <= most
    assert sorted(p.name for p in tmp_path.iterdir()) == ["blocks"]


def test_the_files_are_told_as_they_lie_there(tmp_path):
    image = np.ones((70, 3, 2), np.float32)
    told = write(tmp_path, {"one": image, "two": 2 * image})
    assert sorted(told, key=str) == sorted(stored_below(tmp_path, "blocks"), key=str)


def test_viewers_are_told_the_range_of_what_is_known(tmp_path):
    image = np.array([[[np.nan, 2.0, 7.0]]], np.float32)
    write(tmp_path, {"one": image, "flat": np.full_like(image, 3)})
    for name, ends in (("one", (2, 7)), ("flat", (3, 4))):
        text = (tmp_path / "blocks" / name / "zarr.json").read_text()
        (channel,) = json.loads(text)["attributes"]["ome"]["omero"]["channels"]
        assert (channel["window"]["start"], channel["window"]["end"]) == ends


def test_what_was_there_is_replaced_as_a_whole(tmp_path):
    image = np.ones((1, 1, 1), np.float32)
    write(tmp_path, {"old": image, "kept": image})
    write(tmp_path, {"kept": 2 * image})
    names = sorted(p.name for p in (tmp_path / "blocks").iterdir())
    assert names == ["kept", "zarr.json"]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "blocks.part").write_text("in the way")
    with pytest.raises(VolumeError, match="cannot write"):
        write(tmp_path, {"one": np.ones((1, 1, 1), np.float32)})

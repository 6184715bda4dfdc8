"""Folders of slices whose names, or whose files, are not those of one volume."""

import os
import re
import shlex

import numpy as np
import pytest
import tifffile
import zarr

SIZED = ("--voxel-size", "1,1,1")


def noise(planes=12):
    rng = np.random.default_rng(0)
    return rng.normal(200, 10, (planes, 40, 40)).astype(np.uint16)


def stack(folder, name="img_{:04d}.tif", planes=12, step=1):
    folder.mkdir(exist_ok=True)
    data = noise(planes)
    for z, plane in enumerate(data):
        tifffile.imwrite(folder / name.format(z * step), plane)
    return data


def copied(blockseg, source, *options):
    blockseg(
        "convert", source, "copy.zarr", "--scheduler", "serial", "-q", *SIZED, *options
    )
    return zarr.open_array(blockseg.folder / "copy.zarr" / "0", mode="r")[:]


def test_two_channels_are_refused_with_a_glob_that_chooses_one(
    tmp_path, refused, blockseg
):
    for channel in (1, 2):
        data = stack(tmp_path / "a b", f"img_Z{{:04d}}_CH{channel}.tif")
    refused(tmp_path / "a b", "Z 0000…0011", "CH 1, 2", "_CH1.tif'")
    message = blockseg("plan", tmp_path / "a b", "x.zarr", code=1).output
    (pattern,) = shlex.split(re.findall(r"glob: ('.*?')", message)[0])
    np.testing.assert_array_equal(copied(blockseg, pattern), data)


def test_a_glob_of_two_channels_is_refused_like_their_folder(tmp_path, refused):
    for channel in ("red", "green"):
        stack(tmp_path / "a", f"{channel}_{{:02d}}.tif")
    refused(tmp_path / "a" / "*.tif", "green, red", "/a/green_*.tif'")


def test_the_same_numbers_in_two_folders_are_refused(tmp_path, refused):
    for channel in ("left", "right"):
        (tmp_path / "a").mkdir(exist_ok=True)
        stack(tmp_path / "a" / channel)
    refused(tmp_path / "a" / "**" / "*.tif", "left, right", "/a/left/img_*.tif'")


def test_a_missing_plane_is_refused_and_empty_if_that_is_allowed(
    tmp_path, refused, blockseg
):
    data = stack(tmp_path / "a", "z{:05d}.tif", step=10)
    for z in (3, 7, 8):
        (tmp_path / "a" / f"z{10 * z:05d}.tif").unlink()
        data[z] = 0
    refused(tmp_path / "a", "3 are missing: 00030, 00070 to 00080", "--allow-gaps")
    np.testing.assert_array_equal(
        copied(blockseg, tmp_path / "a", "--allow-gaps", "--block", "5,32,32"), data
    )
    shown = blockseg("info", tmp_path / "a", "--allow-gaps").output
    assert "9 TIFF slices and 3 missing" in shown
    assert "12×40×40" in shown


def test_a_run_reads_missing_planes_as_empty(tmp_path, blockseg):
    stack(tmp_path / "a", planes=16)
    (tmp_path / "a" / "img_0005.tif").unlink()
    words = [
        tmp_path / "a", "out.zarr", "--allow-gaps", "--backend", "fake", "-q", *SIZED,
    ]  # fmt: skip
    blockseg("run", *words, "--scheduler", "serial")
    shape = zarr.open_array(tmp_path / "out.zarr" / "0", mode="r").shape
    assert shape == (16, 40, 40)
    # The choice is the source's: whoever goes on has to make it again.
    again = blockseg("run", *words[:2], *words[3:], code=1)
    assert "--allow-gaps" in again.output


def test_a_number_that_stands_twice_is_refused_with_both_files(tmp_path, refused):
    stack(tmp_path / "a", "img_{}.tif")
    tifffile.imwrite(tmp_path / "a" / "img_1 copy.tif", noise(1)[0])
    refused(tmp_path / "a", "img_1.tif", "img_1 copy.tif", options=("--allow-gaps",))


def test_numbers_without_a_step_are_doubted(tmp_path, doubted):
    stack(tmp_path / "a", "s{:02d}.tif", planes=3)
    for z, number in enumerate((5, 17, 23)):
        (tmp_path / "a" / f"s{z:02d}.tif").rename(tmp_path / "a" / f"p{number}.tif")
    doubted(tmp_path / "a", "5, 17, 23", "--allow-gaps", options=SIZED)


def test_numbers_without_a_step_that_are_meant_are_not_doubted(tmp_path, doubted):
    stack(tmp_path / "a", "s{:02d}.tif", planes=3)
    (tmp_path / "a" / "s02.tif").rename(tmp_path / "a" / "s77.tif")
    (tmp_path / "a" / "s00.tif").rename(tmp_path / "a" / "s60.tif")
    doubted(tmp_path / "a", options=(*SIZED, "--allow-gaps"), silent=("steps",))


def emptied(path):
    path.write_bytes(b"")


def text(path):
    path.write_text("not there yet")


def truncated(path):
    path.write_bytes(path.read_bytes()[:-100])


def folder(path):
    path.unlink()
    path.mkdir()


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def dangling(path):
    path.unlink()
    path.symlink_to(path.with_name("gone"))


def looping(path):
    path.unlink()
    path.symlink_to(path.name)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (emptied, "is empty"),
        (text, "is not a TIFF"),
        (truncated, "is truncated"),
        (folder, "no regular file"),
        (pipe, "no regular file"),
        (dangling, "no regular file"),
        (looping, "no regular file"),
    ],
)
@pytest.mark.parametrize("name", ["img_{:04d}.tif", "img{}"])
def test_a_slice_that_is_none_is_named(damage, said, name, tmp_path, blockseg):
    stack(tmp_path / "a", name)
    file = tmp_path / "a" / name.format(5)
    damage(file)
    for source in (tmp_path / "a", tmp_path / "a" / "img*"):
        for more in ((), ("--allow-gaps",)):
            words = ["convert", source, "x.zarr", "--scheduler", "serial", *more]
            output = blockseg(*words, code=1).output
            assert "Error: " in output
            assert str(file) in output
            assert said in output or "is not a TIFF" in output
    assert not (tmp_path / "x.zarr").exists()


def test_every_command_refuses_a_slice_that_is_none(tmp_path, refused):
    stack(tmp_path / "a")
    pipe(tmp_path / "a" / "img_0003.tif")
    refused(tmp_path / "a", "img_0003.tif", "no regular file")


def test_what_else_lies_beside_slices_does_not_matter(tmp_path, doubted, blockseg):
    data = stack(tmp_path / "a", "b2_C00_img{}.tif", planes=12, step=10)
    for name in ("notes.txt", "Thumbs.db", "img10.json", ".DS_Store"):
        (tmp_path / "a" / name).write_text("no slice")
    (tmp_path / "a" / "._b2_C00_img10.tif").write_bytes(b"\0\5\26\7")
    (tmp_path / "a" / "thumbnails").mkdir()
    doubted(tmp_path / "a", options=SIZED, silent=("Warning: ", "but: "))
    np.testing.assert_array_equal(copied(blockseg, tmp_path / "a"), data)


def test_a_pipe_is_no_source(tmp_path, refused):
    os.mkfifo(tmp_path / "a.tif")
    refused(tmp_path / "a.tif", "neither a file nor a folder")


def test_a_few_slices_named_by_channels_are_asked_about(tmp_path, refused, blockseg):
    data = stack(tmp_path / "a", "img_CH{}.tif", planes=3)
    refused(tmp_path / "a", "its 3 slices differ in CH 0, 1, 2 alone", "--axes zyx")
    meant = copied(blockseg, tmp_path / "a", "--axes", "zyx")
    np.testing.assert_array_equal(meant, data)


def test_a_gap_in_the_slices_of_a_mask_is_read_as_the_advice_says(tmp_path, blockseg):
    stack(tmp_path / "a", planes=16)
    stack(tmp_path / "m", planes=16)
    (tmp_path / "m" / "img_0005.tif").unlink()
    words = ["run", tmp_path / "a", "out.zarr", "--backend", "fake", "-q", *SIZED]
    words += ["--scheduler", "serial", "--mask", tmp_path / "m"]
    refusal = blockseg(*words, code=1).output
    assert "--mask: " in refusal
    assert "1 is missing: 0005; restore it, or --allow-gaps" in refusal
    blockseg(*words, "--allow-gaps")
    probability = zarr.open_array(tmp_path / "out.zarr" / "0", mode="r")
    marked = np.asarray(probability).max(axis=(1, 2)) > 0
    assert marked.any()
    assert not marked[5]


def test_a_gap_where_no_option_allows_it_is_filled_by_a_copy(tmp_path, blockseg):
    stack(tmp_path / "a")
    (tmp_path / "a" / "img_0005.tif").unlink()
    words = ["evaluate", tmp_path / "a", tmp_path / "a", *SIZED]
    refusal = blockseg(*words, code=1).output
    assert "blockseg convert --allow-gaps" in refusal
    assert "or --allow-gaps" not in refusal

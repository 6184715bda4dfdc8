"""Voxels behind the wrong type."""

import numpy as np
import pytest
import tifffile
import zarr

RUN = ("--backend", "fake", "--scheduler", "serial", "--normalization", "robust")


@pytest.fixture(scope="module")
def bright():
    """Noise with a few axons whose middle is brighter than int16 reaches."""
    rng = np.random.default_rng(0)
    image = rng.normal(200, 10, (24, 96, 112))
    across = np.exp(-(np.linspace(-2, 2, 9) ** 2))
    for y in (20, 60, 80):
        image[8:17, y : y + 9] += 52000 * np.outer(across, across)[:, :, None]
    return image.astype(np.uint16)


def store(path, image):
    group = zarr.open_group(path, mode="w", zarr_format=2)
    group.create_array("0", data=image, chunks=(16, 48, 48))
    return path / "0"


def bytes_of(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
        and ".blockseg" not in path.parts
        and path.name != "report.html"
    }


SILENT = ("--as",)


def test_uint16_behind_int16_is_doubted_and_the_line_names_what_mends_it(
    tmp_path, doubted, bright
):
    path = store(tmp_path / "signed.zarr", bright.view(np.int16))
    doubted(path, "bright voxels go on at the negative end of int16", "--as uint16")


@pytest.mark.parametrize("meant", ["int16", "uint16"])
def test_who_says_the_type_is_not_asked_about_it(tmp_path, doubted, bright, meant):
    path = store(tmp_path / "signed.zarr", bright.view(np.int16))
    doubted(path, options=("--as", meant), silent=SILENT)


def test_what_is_read_as_uint16_is_as_if_it_had_been_stored_so(
    tmp_path, blockseg, bright
):
    signed = store(tmp_path / "a" / "brain.zarr", bright.view(np.int16))
    true = store(tmp_path / "b" / "brain.zarr", bright)
    mend = ("--as", "uint16")
    for name, words in (
        ("run", (*RUN, "--block", "32,64,64")),
        ("metrics", RUN[2:]),
        ("convert", RUN[2:4]),
    ):
        for source, options in ((signed, mend), (true, ())):
            out = tmp_path / name / source.parent.parent.name / "out.zarr"
            done = blockseg(name, source, out, *words, *options)
            assert "--as" not in done.output
        found, wanted = (
            bytes_of(tmp_path / name / side / "out.zarr") for side in ("a", "b")
        )
        assert found == wanted, name
        assert len(found) >= 3
    copy = zarr.open_array(tmp_path / "convert/a/out.zarr/0", mode="r")
    assert copy.dtype == np.uint16
    assert np.array_equal(copy[:], bright)
    for source, options in ((signed, mend), (true, ())):
        folder = tmp_path / "predicted" / source.parent.parent.name
        blockseg("predict", source, "-o", folder, *RUN[:2], *options)
    assert bytes_of(tmp_path / "predicted/a") == bytes_of(tmp_path / "predicted/b")


def test_uint8_behind_int8_is_refused_with_what_mends_it(tmp_path, refused, blockseg):
    image = np.random.default_rng(0).integers(100, 160, (16, 48, 48)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", image.view(np.int8))
    refused(tmp_path / "a.tif", "int8", "--as uint8")
    blockseg("convert", tmp_path / "a.tif", "copy.zarr", "--as", "uint8", *RUN[2:4])
    copy = zarr.open_array(blockseg.folder / "copy.zarr/0", mode="r")
    assert np.array_equal(copy[:], image)


def test_bytes_in_the_wrong_order_are_doubted(tmp_path, doubted, bright):
    path = store(tmp_path / "swapped.zarr", bright.byteswap())
    doubted(path, "two bytes in the other order", "--as uint16 if it is right")


@pytest.mark.parametrize("offset", [200, 32768])
def test_data_that_are_signed_pass_silently(tmp_path, doubted, bright, offset):
    image = (bright // (1 + (offset < 32768))).astype(np.int32) - offset
    doubted(store(tmp_path / "signed.zarr", image.astype(np.int16)), silent=SILENT)


def test_a_bright_axon_that_only_the_sample_of_the_background_meets_is_doubted(
    tmp_path, blockseg
):
    image = np.full((16, 1024, 1024), 200, np.uint16)
    image += np.random.default_rng(0).integers(0, 9, image.shape, np.uint16)
    image[:, 440:456] += 40000
    path = store(tmp_path / "signed.zarr", image.view(np.int16))
    shown = blockseg("info", path)
    said = blockseg("metrics", path, "out.zarr", *RUN[2:4]).output
    assert said.count("Warning: ") - shown.output.count("--as uint16") >= 1
    assert said.count("--as uint16") == 1

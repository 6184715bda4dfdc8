import json

import numpy as np
import pytest
import tifffile

from blockseg.core.errors import VolumeError
from blockseg.core.places import local_path


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("file:///a/b.zarr", "/a/b.zarr"),
        ("file://localhost/a/b.zarr", "/a/b.zarr"),
        ("FILE://LOCALHOST/a", "/a"),
        ("file:/a/b", "/a/b"),
        ("file:///a%20b/%C3%A9%25.tif", "/a b/é%.tif"),
        ("file:///a/img_?#1.tif", "/a/img_?#1.tif"),
        ("/a%20b", "/a%20b"),
        ("file", "file"),
        ("s3://bucket/a", "s3://bucket/a"),
        ("a/file:b", "a/file:b"),
    ],
)
def test_a_file_uri_is_the_path_that_it_spells(text, path):
    assert local_path(text) == path


@pytest.mark.parametrize("text", ["file://server/a", "file://brain.zarr", "file://"])
def test_a_uri_of_another_machine_is_refused(text):
    with pytest.raises(VolumeError, match="three slashes"):
        local_path(text)


@pytest.fixture
def folder(tmp_path):
    home = tmp_path / "my brains"
    home.mkdir()
    data = np.random.default_rng(0).normal(200, 10, (16, 64, 64)).astype("u2")
    data[8:10, 20:22, 4:60] = 3000
    tifffile.imwrite(home / "a.tif", data, imagej=True, metadata={"axes": "ZYX"})
    mask = (data > 1000).astype("u1")
    tifffile.imwrite(home / "mask.tif", mask, imagej=True, metadata={"axes": "ZYX"})
    return home


def uri(path, host=""):
    return f"file://{host}{path}".replace(" ", "%20")


@pytest.mark.parametrize("host", ["", "localhost"])
def test_a_file_uri_is_a_path_wherever_a_source_or_an_output_is_named(
    blockseg, folder, host
):
    source, mask = uri(folder / "a.tif", host), uri(folder / "mask.tif", host)
    out = folder / "out.zarr"
    quick = ("--backend", "fake", "--scheduler", "serial")
    blockseg("info", source)
    blockseg("plan", source, uri(out, host), *quick[:2], "--mask", mask)
    blockseg("run", source, uri(out, host), *quick, f"--mask={mask}")
    assert "complete" in blockseg("status", uri(out, host)).output
    blockseg("run", folder / "a.tif", out, *quick, "--mask", folder / "mask.tif")
    blockseg("convert", source, uri(folder / "copy.zarr", host), *quick[2:])
    assert (folder / "copy.zarr" / "zarr.json").is_file()
    blockseg("predict", source, "-o", uri(folder / "single", host), *quick[:2])
    assert (folder / "single" / "a_prob.tif").is_file()
    blockseg("evaluate", mask, mask, "--json", uri(folder / "scores.json", host))
    assert json.loads((folder / "scores.json").read_text())


def test_settings_of_a_file_may_name_a_mask_by_its_uri(blockseg, folder):
    (folder / "mine.yaml").write_text(f"mask: {uri(folder / 'mask.tif')}\n")
    words = ("plan", folder / "a.tif", folder / "o", "--backend", "fake", "--config")
    blockseg(*words, folder / "mine.yaml")


def test_a_source_on_another_machine_is_refused(refused):
    refused("file://server/brain.zarr", "three slashes")

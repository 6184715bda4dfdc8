"""Sources with holes: lost tiles, lost planes, planes taken twice."""

import json
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from scipy.ndimage import binary_dilation

import blockseg as package
from blockseg.blockwise.sources.holes import holes_in_sample
from blockseg.blockwise.sources.inputs import memory_source
from blockseg.io.sample import sample_planes
from blockseg.measurement.cube_source import load_cubes
from blockseg.normalization.background import estimate_background
from blockseg.normalization.background_field import estimate_field

CHEAP = ("--backend", "fake", "--scheduler", "serial", "--block", "64")
SERIAL = ("--scheduler", "serial", "--block", "64")


def level(array: Any) -> Any:
    return zarr.open_array(array, mode="r")[...]


def image(store, name):
    return level(store / "blocks" / name / "0")


@pytest.fixture(scope="module")
def tissue(brain):
    """A part of a synthetic brain with neurites, and its truth."""
    part = np.s_[20:84, 40:136, 60:188]
    return level(brain / "0")[part], level(brain / "labels/truth/0")[part] > 0


def damaged(voxels):
    """Yield what a hole is called, the volume with it, and where it is."""
    for name, place, value in (
        ("lost tile", np.s_[20:60, 20:80, 30:90], 0),
        ("bright tile", np.s_[20:60, 20:80, 30:90], 65535),
        ("lost planes", np.s_[30:33], 0),
        ("repeated planes", np.s_[31:35], None),
    ):
        hole = np.zeros(voxels.shape, bool)
        hole[place] = True
        spoilt = voxels.copy()
        spoilt[place] = voxels[30] if value is None else value
        yield name, spoilt, hole


def of_another_level(voxels):
    """Yield a tile whose value is neither 0 nor extreme, cut off by patches."""
    hole = np.zeros(voxels.shape, bool)
    hole[10:70, 30:69, 40:131] = True
    spoilt = voxels.copy()
    spoilt[hole] = 100
    yield "dark tile", spoilt, hole


def test_a_hole_paints_nothing_in_it_and_around_it_no_more_than_tissue_there(tissue):
    voxels, truth = tissue
    neurites = binary_dilation(truth, np.ones((3, 3, 3)), iterations=2)
    intact = package.predict(voxels) >= 128
    assert intact.any()
    for name, spoilt, hole in damaged(voxels):
        found = package.predict(spoilt) >= 128
        assert not found[hole].any(), name
        false, before = ((mask & ~hole & ~neurites).sum() for mask in (found, intact))
        assert false <= before + 8, name
        kept = (found & intact & ~hole).sum()
        assert kept > 0.95 * (intact & ~hole).sum(), name


def test_level_and_noise_are_those_of_the_whole_brain(brain):
    voxels = level(brain / "0")

    def estimated(array):
        volume = memory_source(array).volume
        sample = sample_planes(volume)
        patches = holes_in_sample(volume, sample).patches
        one = estimate_background(patches, volume.dtype)
        field: Any = estimate_field(patches, sample.rois, volume.shape, volume.dtype)
        return np.array([one.level, *field.level]), np.array([one.sd, *field.sd])

    levels, sds = estimated(voxels)
    for name, spoilt, _ in (*damaged(voxels), *of_another_level(voxels)):
        found_level, found_sd = estimated(spoilt)
        assert abs(found_level / levels - 1).max() < 0.01, name
        assert abs(found_sd[0] / sds[0] - 1) < 0.01, name
        # A node hears of a few squares only, of which a hole takes some.
        assert abs(found_sd / sds - 1).max() < 0.04, name


def test_a_run_says_where_holes_are_and_maps_them(blockseg, tissue, tmp_path):
    voxels, _ = tissue
    for name, spoilt, hole in damaged(voxels):
        out = tmp_path / f"{name}.zarr"
        tifffile.imwrite(tmp_path / "a.tif", spoilt)
        done = blockseg("run", "a.tif", out, *CHEAP, "--voxel-size", "1,1,1")
        (line,) = (one for one in done.output.splitlines() if "no data" in one)
        z = np.flatnonzero(hole.any(axis=(1, 2)))
        assert f"{hole.sum():,} voxels" in line, (name, line)
        assert f"z {z[0]}:{z[-1] + 1}, " in line, (name, line)
        assert not level(out / "0")[hole].any()
        share = hole.reshape(1, 64, 96, 128)[0]
        cells = image(out, "nodata")
        assert cells.shape == (1, 2, 2)
        for j, i in np.ndindex(2, 2):
            part = share[:, 64 * j : 64 * j + 64, 64 * i : 64 * i + 64]
            assert cells[0, j, i] == pytest.approx(part.mean()), name
        shown = blockseg("status", out)
        assert f"{hole.sum():,} voxels" in shown.output
        kept = json.loads(blockseg("status", out, "--json").output)["holes"]
        assert kept["voxels"] == hole.sum()
        assert kept["count"] == 1


def test_metrics_without_a_network_leave_holes_out(blockseg, tissue, tmp_path):
    voxels, _ = tissue
    tifffile.imwrite(tmp_path / "whole.tif", voxels)
    for name, spoilt, hole in damaged(voxels):
        tifffile.imwrite(tmp_path / "a.tif", spoilt)
        out = tmp_path / f"{name}.zarr"
        done = blockseg("metrics", "a.tif", out, *SERIAL, "--voxel-size", "1,1,1")
        assert f"{hole.sum():,} voxels" in done.output, name
        table = load_cubes(out)
        assert table.sum("nodata").sum() == hole.sum()
        assert table.sum("voxels").sum() == (~hole).sum()
        assert not table.sum("filled").any()


def test_a_sparse_run_and_a_mask_know_holes_too(blockseg, tissue, tmp_path):
    voxels, _ = tissue
    _, spoilt, hole = next(damaged(voxels))
    tifffile.imwrite(tmp_path / "a.tif", spoilt)
    mask = np.zeros(voxels.shape, np.uint8)
    mask[:, :, :64] = 1
    tifffile.imwrite(tmp_path / "mask.tif", mask)
    words = ("run", "a.tif", "out.zarr", *CHEAP, "--voxel-size", "1,1,1")
    done = blockseg(*words, "--sparse", "--mask", "mask.tif")
    assert f"{(hole & (mask > 0)).sum():,} voxels" in done.output
    assert not level(tmp_path / "out.zarr" / "0")[hole].any()


def test_a_resumed_run_ends_with_the_bytes_of_an_undisturbed_one(
    blockseg, tissue, tmp_path, content_of
):
    _, spoilt, _ = list(damaged(tissue[0]))[2]
    tifffile.imwrite(tmp_path / "a.tif", spoilt)
    words = ("--voxel-size", "1,1,1", *CHEAP)
    blockseg("run", "a.tif", "whole.zarr", *words)
    blockseg("run", "a.tif", "cut.zarr", *words)
    again = blockseg("run", "a.tif", "cut.zarr", *words)
    assert "are no data" in again.output
    assert content_of(tmp_path / "cut.zarr") == content_of(tmp_path / "whole.zarr")


def test_volumes_without_holes_say_nothing(blockseg, tissue, tmp_path):
    voxels, _ = tissue
    z, y, x = np.indices(voxels.shape)
    outside = voxels.copy()
    outside[z + 0.4 * y + 0.2 * x < 40] = 0
    neuron = np.zeros(voxels.shape, np.uint8)
    neuron[30:33, 40:43, 10:100] = 200
    stretched = voxels[:32].repeat(2, axis=0)
    for name, volume in (
        ("whole", voxels),
        ("outside of the tissue", outside),
        ("denoised", neuron),
        ("constant", np.full(voxels.shape, 7, np.uint8)),
        ("stretched", stretched),
    ):
        tifffile.imwrite(tmp_path / "a.tif", volume)
        out = tmp_path / f"{name}.zarr"
        done = blockseg("run", "a.tif", out, *CHEAP, "--voxel-size", "1,1,1")
        assert "no data" not in done.output, name
        assert not np.nan_to_num(image(out, "nodata")).any(), name

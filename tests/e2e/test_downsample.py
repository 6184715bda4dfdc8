"""Runs and copies on a coarser grid than the source has."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

import blockseg as api
from blockseg.core.geometry import Roi
from blockseg.inspection import inspect
from blockseg.io.downsampled import cell_means
from blockseg.io.find import find
from blockseg.io.open import open_volume

SERIAL = ("--scheduler", "serial")
QUICK = (*SERIAL, "--backend", "fake", "--block", "64")
HALF = ("--downsample", "2,2,2")
SHAPE = (67, 130, 131)  # odd on two axes


@pytest.fixture
def stack(tmp_path):
    """A TIFF file of noise with a few bright lines."""
    rng = np.random.default_rng(0)
    data = rng.normal(500, 20, SHAPE)
    data[30:34, 40:44] += 800
    data[:, 90:93, 20:24] += 800
    file = tmp_path / "stack.tif"
    tifffile.imwrite(file, data.astype(np.uint16))
    return file


def voxels(path, **how):
    volume = open_volume(find(str(path), **how))
    return volume.read(Roi.whole(volume.shape))


def transforms(path):
    """Return scale and translation of level 0."""
    text = json.loads((path / "zarr.json").read_text())
    image = text["attributes"]["ome"]["multiscales"][0]
    first = image["datasets"][0]["coordinateTransformations"]
    return [first[0]["scale"], first[1]["translation"]]


def test_a_copy_holds_the_means_and_says_what_its_voxels_measure(blockseg, stack):
    size = ("--voxel-size", "2,0.5,0.5")
    blockseg("convert", stack, "half.zarr", "--downsample", "1,2,2", *size, *SERIAL)
    expected = cell_means(tifffile.imread(stack), (1, 2, 2))
    assert expected.shape == (67, 65, 66)
    half = blockseg.folder / "half.zarr"
    assert np.array_equal(voxels(half), expected)
    assert transforms(half) == [[2.0, 1.0, 1.0], [0.0, 0.25, 0.25]]


def test_a_run_equals_one_of_the_averaged_volume_byte_for_byte(
    blockseg, stack, content_of
):
    size = ("--voxel-size", "1,0.5,0.5")
    blockseg("convert", stack, "full.zarr", *size, *SERIAL)
    blockseg("convert", "full.zarr", "half.zarr", *HALF, *SERIAL)
    blockseg("run", "half.zarr", "a.zarr", *QUICK)
    blockseg("run", "full.zarr", "b.zarr", *HALF, *QUICK)
    blockseg("run", stack, "c.zarr", *HALF, *size, *QUICK)
    a, b, c = (content_of(blockseg.folder / f"{name}.zarr") for name in "abc")
    assert len(a) > 10
    assert a == b == c
    out = blockseg.folder / "b.zarr"
    assert transforms(out) == [[2.0, 1.0, 1.0], [0.5, 0.25, 0.25]]
    assert voxels(out).any()


def test_a_region_is_in_coarse_voxels_and_a_part_of_the_whole(blockseg, stack):
    blockseg("run", stack, "whole.zarr", *HALF, *QUICK)
    roi = ("--roi", "8:34,0:64,32:66")
    blockseg("run", stack, "part.zarr", *HALF, *QUICK, *roi)
    whole, part = (voxels(blockseg.folder / f"{n}.zarr") for n in ("whole", "part"))
    assert np.array_equal(part, whole[8:34, 0:64, 32:66])
    beyond = ("--roi", "0:67,0:64,0:64")
    refused = blockseg("run", stack, "other.zarr", *HALF, *QUICK, *beyond, code=1)
    assert "34×65×66" in refused.stderr


def test_a_mask_of_the_full_resolution_lies_where_it_should(blockseg, stack):
    mask = np.zeros(SHAPE, np.uint8)
    mask[20:40, 30:60] = 1
    tifffile.imwrite(blockseg.folder / "mask.tif", mask)
    blockseg("run", stack, "whole.zarr", *HALF, *QUICK)
    blockseg("run", stack, "part.zarr", *HALF, *QUICK, "--mask", "mask.tif")
    whole, part = (voxels(blockseg.folder / f"{n}.zarr") for n in ("whole", "part"))
    assert np.array_equal(part[10:20, 15:30], whole[10:20, 15:30])
    inside = np.zeros(part.shape, bool)
    inside[10:20, 15:30] = True
    assert not part[~inside].any()


def test_predict_in_python_takes_the_same_means(stack):
    data = tifffile.imread(stack)
    fake: Any = {"backend": "fake", "block": 64}
    told = api.predict(data, downsample=2, **fake)
    assert np.array_equal(told, api.predict(cell_means(data, (2, 2, 2)), **fake))


@pytest.mark.parametrize("other", [(), ("--downsample", "1,2,2")])
def test_another_factor_does_not_go_on(blockseg, stack, other):
    blockseg("run", stack, "out.zarr", *HALF, *QUICK)
    again = blockseg("run", stack, "out.zarr", *HALF, *QUICK)
    assert "done before" in again.stdout
    refused = blockseg("run", stack, "out.zarr", *QUICK, *other, code=1)
    (line,) = [line for line in refused.stderr.splitlines() if "Error" in line]
    now = other[1] if other else "1,1,1"
    assert f"--downsample was 2,2,2, now {now}" in line


@pytest.mark.parametrize("command", ["run", "convert", "metrics", "plan", "info"])
@pytest.mark.parametrize("factors", ["0", "2,0,2", "1.5", "half", "2,2"])
def test_what_is_no_factor_is_refused_in_one_line(blockseg, stack, command, factors):
    out = () if command == "info" else ("out.zarr",)
    done = blockseg(command, stack, *out, "--downsample", factors, code=1)
    (line,) = [line for line in done.stderr.splitlines() if line.strip()]
    assert line.startswith(f"Error: --downsample '{factors}'")
    assert not (blockseg.folder / "out.zarr").exists()


def test_plan_and_metrics_see_the_coarse_grid(blockseg, stack):
    plan = json.loads(
        blockseg("plan", stack, "out.zarr", *HALF, *QUICK[2:], "--json").stdout
    )
    assert plan["shape"] == [34, 65, 66]
    blockseg("metrics", stack, "m.zarr", *HALF, *SERIAL)
    record = json.loads((blockseg.folder / "m.zarr/.blockseg/run.json").read_text())
    assert record["request"]["source"]["spec"]["downsample"] == [2, 2, 2]
    assert record["request"]["source"]["fingerprint"]["shape"] == [34, 65, 66]


def test_the_preview_shows_the_image_at_the_coarse_grid(blockseg, stack):
    blockseg("run", stack, "out.zarr", *HALF, *QUICK)
    blockseg("preview", "out.zarr")
    with Image.open(blockseg.folder / "out.zarr/.blockseg/preview.png") as picture:
        assert picture.width > 3 * 66  # image, probability and mask beside each other


def test_info_says_what_would_be_read(blockseg, stack):
    shown = blockseg("info", stack, *HALF, "--voxel-size", "1,0.5,0.5").stdout
    assert "run would take all: 34×65×66 uint16, voxels of 2×1×1 µm" in shown


def tubes(radius):
    """Tubes in a plane, of noise; uint16."""
    shape = (48, 192, 192)
    z, y, x = np.indices(shape)
    off = (y - x + 32) % 64 - 32
    data = np.random.default_rng(0).normal(1000, 10, shape)
    data[off**2 / 2 + (z - 24) ** 2 <= radius**2] += 300
    return data.astype(np.uint16)


def shown(blockseg, *options):
    """Return the last lines of info, and its figures."""
    lines = blockseg("info", "tubes.tif", *options).stdout.splitlines()
    return lines, json.loads(blockseg("info", "tubes.tif", *options, "--json").stdout)


def test_info_finds_thin_neurites_well_resolved(blockseg):
    tifffile.imwrite(blockseg.folder / "tubes.tif", tubes(1))
    lines, plain = shown(blockseg)
    assert "noise SDs above the background" in lines[-1]
    assert lines[-1].endswith("; this resolution suits the shipped weights")
    assert plain["downsample"] == [1, 1, 1]
    assert 1 <= plain["structures"]["half_width"] <= 2
    found = inspect(blockseg.folder / "tubes.tif")
    doubted = replace(found, outside=("83 % of it is round and wide",)).lines()[-1]
    assert "suits the weights, but not what lies outside" in doubted


def test_info_recommends_a_coarser_grid_for_thick_neurites(blockseg):
    tifffile.imwrite(blockseg.folder / "tubes.tif", tubes(7))
    lines, plain = shown(blockseg)
    assert "bright structures: half-width" in lines[-2]
    factors = plain["downsample"]
    assert factors in ([2, 2, 2], [4, 4, 4])
    option = ",".join(map(str, factors))
    # As bright as these are, and as wide, they are dendrites.
    assert plain["weights"] == "dendrites"
    assert lines[-1] == f"  recommended: --weights dendrites --downsample {option}"
    lines, _ = shown(blockseg, "--voxel-size", "8,1,1")
    assert lines[-1].endswith(f" --downsample 1,{factors[1]},{factors[2]}")
    lines, plain = shown(blockseg, "--downsample", option)
    assert "--downsample" not in lines[-1]
    assert plain["downsample"] == factors


def test_info_recommends_nothing_where_nothing_stands_out(blockseg):
    tifffile.imwrite(blockseg.folder / "tubes.tif", np.full((8, 64, 64), 7, np.uint16))
    lines, plain = shown(blockseg)
    assert "recommended" not in "\n".join(lines)
    assert plain["structures"] is None
    assert plain["downsample"] is None


def test_a_damaged_chunk_costs_the_blocks_over_it_until_it_is_put_back(
    blockseg, stack, content_of
):
    data = tifffile.imread(stack)
    zarr.create_array(
        blockseg.folder / "brain.zarr", data=data, chunks=(32, 32, 32), zarr_format=3
    )
    # b and s are given: a damaged sample is refused
    given = ("--block", "16", "--normalization", "500,20")
    small = (*SERIAL, "--backend", "fake", *given, *HALF)
    chunk = blockseg.folder / "brain.zarr" / "c" / "1" / "2" / "3"
    kept = chunk.read_bytes()
    chunk.write_bytes(b"no voxels")
    blockseg("run", "brain.zarr", "out.zarr", *small, code=3)
    chunk.write_bytes(kept)
    blockseg("run", "brain.zarr", "out.zarr", *small)
    blockseg("run", "brain.zarr", "clean.zarr", *small)
    folders = (blockseg.folder / "out.zarr", blockseg.folder / "clean.zarr")
    assert content_of(folders[0]) == content_of(folders[1])


def test_a_chunk_that_finished_blocks_have_read_may_not_change(blockseg, stack):
    data = tifffile.imread(stack)
    zarr.create_array(blockseg.folder / "brain.zarr", data=data, chunks=(32, 32, 32))
    blockseg("run", "brain.zarr", "out.zarr", *QUICK, *HALF)
    chunk = blockseg.folder / "brain.zarr" / "c" / "2" / "4" / "4"
    chunk.write_bytes(chunk.read_bytes() + b" ")
    refused = blockseg("run", "brain.zarr", "out.zarr", *QUICK, *HALF, code=1)
    assert "has read c/2/4/4" in refused.stderr


def test_picks_of_a_coarse_run_are_on_its_grid(blockseg, stack):
    blockseg("run", stack, "out.zarr", *HALF, *QUICK)
    done = blockseg("propose-annotations", "out.zarr", "-o", "picks", "--count", "1")
    assert "voxels of 2,2,2 without a unit" in done.output
    (image,) = (blockseg.folder / "picks" / "image").iterdir()
    cells = cell_means(tifffile.imread(stack), (2, 2, 2))
    assert np.array_equal(tifffile.imread(image), cells[:, :64, :64])


@pytest.mark.parametrize("region", [(), ("--roi", "4:30,8:60,0:66")])
def test_a_coarse_run_is_scored_with_the_truth_of_the_fine_grid(
    blockseg, stack, region
):
    true = np.zeros(SHAPE, np.uint8)
    true[30:34, 40:44] = 1
    true[:, 91, 21] = 1
    true[::3, 60:] = 255
    true[0, 0, 0] = 255
    tifffile.imwrite(blockseg.folder / "true.tif", true)
    # Cells at the far end are judged by what they hold.
    filled = np.pad(true, [(0, n % 2) for n in SHAPE])
    cells = filled.reshape(34, 2, 65, 2, 66, 2)
    coarse = np.where((cells == 255).any(axis=(1, 3, 5)), 255, 0).astype(np.uint8)
    coarse[(cells == 1).any(axis=(1, 3, 5))] = 1
    tifffile.imwrite(blockseg.folder / "coarse.tif", coarse)
    blockseg("run", stack, "out.zarr", *HALF, *QUICK, *region)
    scores = []
    for name in ("true.tif", "coarse.tif"):
        done = blockseg("evaluate", "out.zarr", name, "--json", "scores.json")
        assert ("cells of 2×2×2 voxels" in done.output) == (name == "true.tif")
        scores.append(json.loads((blockseg.folder / "scores.json").read_text()))
    fine, same = ({**score, "truth": (), "notes": ()} for score in scores)
    assert fine == same
    assert 0 < fine["measures"]["centreline_f1"]["value"] < 1, fine

"""What a run writes, seen by those who read it."""

import json

import numpy as np
import pytest
import tensorstore as ts
import tifffile
import zarr
from ome_zarr_models import open_ome_zarr

import blockseg as library

QUICK = ("--scheduler", "serial", "--backend", "fake", "--block", "64")


def level(store, path="0"):
    return zarr.open_array(store / path, mode="r")[...]


def test_a_region_equals_that_region_of_the_whole_run(blockseg, brain):
    real = ("--scheduler", "serial", "--block", "64", "--window", "32", "-q")
    blockseg("run", brain, "whole.zarr", *real)
    blockseg("run", brain, "part.zarr", "--roi", "5:70,61:130,3:99", *real)
    whole, part = (level(blockseg.folder / n) for n in ("whole.zarr", "part.zarr"))
    assert part.shape == (65, 69, 96)
    np.testing.assert_array_equal(part, whole[5:70, 61:130, 3:99])
    group = json.loads((blockseg.folder / "part.zarr" / "zarr.json").read_text())
    (first, *_) = group["attributes"]["ome"]["multiscales"][0]["datasets"]
    scale, translation = (t[t["type"]] for t in first["coordinateTransformations"])
    np.testing.assert_allclose(translation, np.multiply([5, 61, 3], scale))


def test_a_mask_cuts_voxel_by_voxel_whatever_the_blocks(blockseg, brain):
    mask = np.zeros((16, 24, 32), np.uint8)
    mask[3:7, 5:20, 7:30] = 255
    tifffile.imwrite(blockseg.folder / "mask.tif", mask)
    masked = ("--mask", "mask.tif", "--scheduler", "serial", "--backend", "fake")
    blockseg("run", brain, "whole.zarr", "--scheduler", "serial", "--backend", "fake")
    blockseg("run", brain, "a.zarr", *masked, "--block", "64")
    blockseg("run", brain, "b.zarr", *masked, "--block", "32,64,96")
    inside = np.kron(mask > 0, np.ones((8, 8, 8), bool))
    expected = np.where(inside, level(blockseg.folder / "whole.zarr"), 0)
    assert expected.any()
    for name in ("a.zarr", "b.zarr"):
        np.testing.assert_array_equal(level(blockseg.folder / name), expected)
    status = json.loads(blockseg("status", "a.zarr", "--json").stdout)
    assert status["phases"][0]["blocks"] == 12, "blocks outside the mask were computed"


@pytest.mark.parametrize("version", ["2", "3"])
def test_the_output_validates_and_every_reader_agrees(blockseg, brain, version):
    blockseg("run", brain, "out.zarr", *QUICK, "--zarr-format", version)
    store = blockseg.folder / "out.zarr"
    for group in (store, store / "labels" / "foreground"):
        open_ome_zarr(zarr.open_group(group, mode="r"))
        driver = "zarr3" if version == "3" else "zarr"
        spec = {"driver": driver, "kvstore": f"file://{group}/0/"}
        np.testing.assert_array_equal(
            ts.open(spec, open=True).result().read().result(), level(group)
        )
    probability, mask = level(store), level(store / "labels" / "foreground")
    np.testing.assert_array_equal(mask, probability >= 128)
    assert 0 < mask.mean() < 0.5


def test_both_formats_hold_the_same_voxels(blockseg, brain):
    for version in ("2", "3"):
        blockseg("run", brain, f"{version}.zarr", *QUICK, "--zarr-format", version)
    for path in ("0", "1", "labels/foreground/1"):
        np.testing.assert_array_equal(
            level(blockseg.folder / "2.zarr", path),
            level(blockseg.folder / "3.zarr", path),
        )


def test_nothing_depends_on_the_name_of_the_output(blockseg, brain, content_of):
    blockseg("run", brain, "one.zarr", *QUICK)
    blockseg("run", brain, "deep/other.name", *QUICK)
    one, other = (
        content_of(blockseg.folder / n) for n in ("one.zarr", "deep/other.name")
    )
    assert one == other


def test_without_out_the_result_lies_beside_the_source(blockseg):
    tifffile.imwrite(
        blockseg.folder / "stack.ome.tif", np.full((8, 40, 40), 200, np.uint16)
    )
    blockseg("run", "stack.ome.tif", "--scheduler", "serial", "--backend", "fake", "-q")
    assert (blockseg.folder / "stack.blockseg.zarr" / "zarr.json").exists()


def test_a_constant_volume_gives_an_empty_result_and_no_error(blockseg):
    tifffile.imwrite(blockseg.folder / "c.tif", np.full((20, 70, 70), 777, np.uint16))
    blockseg("run", "c.tif", "out.zarr", "--scheduler", "serial", "-q")
    assert not level(blockseg.folder / "out.zarr").any()
    files = [p for p in (blockseg.folder / "out.zarr").rglob("c/*") if p.is_file()]
    assert files == []


def test_predict_and_run_and_the_python_function_write_the_same_bytes(blockseg, brain):
    voxels = level(brain)[:70, :90, :110]
    tifffile.imwrite(blockseg.folder / "crop.tif", voxels)
    blockseg("predict", "crop.tif", "-o", "done", "--window", "32")
    predicted = tifffile.imread(blockseg.folder / "done" / "crop_prob.tif")
    assert (blockseg.folder / "done" / "crop_mip.png").exists()
    blockseg(
        "run", "crop.tif", "out.zarr", "--scheduler", "serial", "--window", "32", "-q"
    )
    np.testing.assert_array_equal(predicted, level(blockseg.folder / "out.zarr"))
    np.testing.assert_array_equal(library.predict(voxels, window=32), predicted)
    assert predicted.any()


def test_a_corrupt_chunk_costs_the_blocks_that_need_it_and_is_named(blockseg):
    voxels = np.random.default_rng(0).integers(100, 300, (128, 128, 64), np.uint16)
    array = zarr.create_array(
        blockseg.folder / "brain.zarr", data=voxels, chunks=(64, 64, 64)
    )
    assert array.shape == voxels.shape
    chunk = blockseg.folder / "brain.zarr" / "c" / "0" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes()[:1000])
    run = ("run", "brain.zarr", "out.zarr", "--block", "32", *QUICK[:-2])
    done = blockseg(*run, code=3)
    assert "c/0/0/0" in done.stdout
    assert "Incomplete: 18 of 32 blocks not written." in done.stdout
    assert "Run the same command again" in done.stdout
    status = json.loads(blockseg("status", "out.zarr", "--json").stdout)
    failed = {tuple(f["index"]) for f in status["failures"] if f["phase"] == "segment"}
    # The chunk holds voxels 0 to 63; blocks of 32 that read 32 further reach it.
    assert failed == {(z, y, x) for z in (0, 1, 2) for y in (0, 1, 2) for x in (0, 1)}
    assert all("c/0/0/0" in f["error"] for f in status["failures"])
    assert status["state"] == "incomplete"

    zarr.open_array(blockseg.folder / "brain.zarr", mode="r+")[...] = voxels
    again = blockseg(*run, code=1)
    assert "the source changed" in again.stderr


def test_plan_writes_nothing_and_foretells_the_run(blockseg, brain):
    planned = json.loads(blockseg("plan", brain, "out.zarr", *QUICK, "--json").stdout)
    assert not (blockseg.folder / "out.zarr").exists()
    blockseg("run", brain, "out.zarr", *QUICK)
    store = blockseg.folder / "out.zarr"
    notes = {".blockseg", "report.html"}
    files = [p for p in store.rglob("*") if p.is_file() and not notes & {*p.parts}]
    assert planned["blocks"] == 24
    assert len(files) <= planned["files"]
    totals = json.loads(blockseg("status", "out.zarr", "--json").stdout)["totals"]
    assert totals["read_bytes"] == planned["bytes_read"]
    ratio = totals["computed"] / totals["written"]
    assert ratio == pytest.approx(planned["computed_over_written"])
    assert planned["work_over_one_pass"] == planned["computed_over_written"]


def test_plan_counts_the_margins_of_windows_and_their_overhang(blockseg):
    tifffile.imwrite(blockseg.folder / "a.tif", np.zeros((48, 64, 64), np.uint16))
    options = ("--backend", "torch", "--block", "64", "--normalization", "published")
    words = ("plan", "a.tif", "out.zarr", *options, "--window", "64,64,64")
    size = ("--voxel-size", "1,1,1")
    planned = json.loads(blockseg(*words, *size, "--json").stdout)
    # 64 planes computed for 48, by a window of 2.59 times the work of its core.
    assert planned["work_over_one_pass"] == pytest.approx(64 / 48 * 2.59, rel=0.01)
    said = blockseg(*words, *size).stdout
    assert "windows    3.46 times the work of one whole pass" in said


def test_convert_copies_exactly_and_averages_coarse_levels(blockseg, brain):
    voxels = level(brain)[:61, :130, :133]
    tifffile.imwrite(blockseg.folder / "s.tif", voxels)
    blockseg(
        "convert",
        "s.tif",
        "s.zarr",
        "--voxel-size",
        "1,0.5,0.5",
        "--scheduler",
        "serial",
    )
    store = blockseg.folder / "s.zarr"
    np.testing.assert_array_equal(level(store), voxels)
    corner = voxels[:2, :2, :2].mean()
    assert abs(float(level(store, "1")[0, 0, 0]) - corner) <= 0.5
    said = blockseg("info", "s.zarr").stdout
    assert "0.5" in said
    assert "micrometer" in said or "µm" in said
    blockseg("run", "s.zarr", "out.zarr", *QUICK)


def test_preview_draws_a_picture(blockseg, brain):
    from PIL import Image

    blockseg("run", brain, "out.zarr", *QUICK)
    done = blockseg("preview", "out.zarr", "-o", "picture.png")
    assert done.stdout.strip() == "picture.png"
    with Image.open(blockseg.folder / "picture.png") as picture:
        assert picture.size[0] > 3 * 256
        assert np.asarray(picture).std() > 0


def test_preview_draws_a_volume_alone_along_three_axes_with_slabs(blockseg, brain):
    from PIL import Image

    assert blockseg("preview", brain).stdout.strip() == "brain.preview.png"
    blockseg("preview", brain, "-o", "slabs.png", "--slabs", "2", "--gamma", "0.4")
    pictures = []
    for name in ("brain.preview.png", "slabs.png"):
        with Image.open(blockseg.folder / name) as picture:
            pictures.append(np.asarray(picture))
    plain, slabs = pictures
    assert plain.shape[1] == slabs.shape[1]
    assert slabs.shape[0] > 1.5 * plain.shape[0]
    # A lower power lifts what is faint.
    upper = slabs[: plain.shape[0]]
    assert upper.mean() > plain.mean()
    failed = blockseg("preview", brain, "-o", "no/such.png", code=1)
    assert "there is no folder" in failed.output


def test_a_run_ends_with_what_can_be_pasted(blockseg, brain):
    said = blockseg("run", brain, "out.zarr", *QUICK).stdout
    assert f"Look at it: blockseg preview {blockseg.folder / 'out.zarr'}" in said


def test_weights_show_names_the_shipped_ones(blockseg):
    said = blockseg("weights", "show").stdout
    assert "sha256: " in said
    assert "licence: " in said


def test_what_differs_from_an_otherwise_constant_volume_is_still_found(blockseg):
    voxels = np.full((40, 90, 90), 7, np.uint16)
    voxels[20:23, 44:47, 5:85] = 1000  # between the planes and patches of the sample
    tifffile.imwrite(blockseg.folder / "line.tif", voxels)
    run = ("run", "line.tif", "--scheduler", "serial", "--backend", "fake", "-q")
    blockseg(*run[:2], "a.zarr", *run[2:], "--block", "64")
    blockseg(*run[:2], "b.zarr", *run[2:], "--block", "32")
    found = level(blockseg.folder / "a.zarr")
    assert found[21, 45, 40] > 0
    assert not found[voxels == 7].any()
    np.testing.assert_array_equal(found, level(blockseg.folder / "b.zarr"))

"""Metrics of blocks: in the pass of a run, and alone."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from blockseg.core.errors import LedgerError, VolumeError
from blockseg.core.geometry import Roi
from blockseg.dhpr.cube_counting import count_cubes
from blockseg.dhpr.grey_scale import GreyScale
from blockseg.dhpr.metrics import DHPR_METRICS, dhpr_metrics
from blockseg.measurement.cube_source import load_cubes
from blockseg.measurement.images import BACKGROUND_IMAGES

FAKE = ("--scheduler", "serial", "--backend", "fake", "-q")


def level(store, path="0"):
    return zarr.open_array(store / path, mode="r")[...]


def images(store):
    folder = store / "blocks"
    names = [path.name for path in folder.iterdir() if path.is_dir()]
    return {name: level(folder / name) for name in sorted(names)}


@pytest.fixture(scope="session")
def measured(tmp_path_factory, blockseg_command):
    """A crop of noise with lines in it, and its run in blocks of 64 voxels."""
    from click.testing import CliRunner

    folder = tmp_path_factory.mktemp("measured")
    rng = np.random.default_rng(0)
    voxels = rng.normal(200, 10, (66, 70, 130))
    voxels[20:23, 30:33, 5:125] = 300
    voxels[60:, :, 128:] = 0
    tifffile.imwrite(folder / "a.tif", voxels.astype(np.uint16))
    paths = [str(folder / name) for name in ("a.tif", "out.zarr")]
    words = ["run", *paths, *FAKE, "--block", "64", "--voxel-size", "2,1,1"]
    done = CliRunner().invoke(blockseg_command, words)
    assert done.exit_code == 0, done.output
    return folder


def test_a_run_counts_its_cells_from_what_it_writes(measured):
    table = load_cubes(measured / "out.zarr")
    assert table.predicted
    record = json.loads((measured / "out.zarr" / ".blockseg" / "run.json").read_text())
    kept = record["facts"]["cells"]["scale"]
    assert kept["level"] == record["decisions"]["background"]["level"]
    assert table.scale == GreyScale(**kept)
    raw = tifffile.imread(measured / "a.tif")
    probability = level(measured / "out.zarr")
    again = count_cubes(raw, probability, Roi.whole(raw.shape), table.scale)
    for name in ("index", "start", "stop", "sums", "histograms"):
        np.testing.assert_array_equal(getattr(table, name), getattr(again, name))
    box = load_cubes(measured / "out.zarr", (2, 2, 3))
    np.testing.assert_array_equal(box.sums, table.boxes((2, 2, 3)).sums)
    assert box.sum("foreground") == (probability >= 128).sum()


def test_images_of_the_metrics_lie_over_the_brain(measured):
    found = images(measured / "out.zarr")
    assert sorted(found) == sorted([*DHPR_METRICS, *BACKGROUND_IMAGES])
    assert all((found.pop(name) > 0).all() for name in BACKGROUND_IMAGES)
    expected = dhpr_metrics(load_cubes(measured / "out.zarr"))
    for name, image in found.items():
        assert image.shape == (2, 2, 3)
        np.testing.assert_array_equal(image.ravel(), expected[name].astype("f4"))
    assert found["empty"][1, 0, 2] > 0
    text = (measured / "out.zarr" / "blocks" / "density" / "zarr.json").read_text()
    (multiscale,) = json.loads(text)["attributes"]["ome"]["multiscales"]
    parts = multiscale["datasets"][0]["coordinateTransformations"]
    scale, translation = (part[part["type"]] for part in parts)
    assert scale == [128, 64, 64]
    assert translation == [63, 31.5, 31.5], "the centre of the first cell"


def test_a_resumed_run_has_the_images_of_an_undisturbed_one(blockseg, measured):
    import sqlite3

    run = ("run", measured / "a.tif", "out.zarr", *FAKE, "--voxel-size", "2,1,1")
    blockseg(*run, "--block", "64", "--roi", "0:66,3:70,0:130")
    before = images(blockseg.folder / "out.zarr")
    ledger = blockseg.folder / "out.zarr" / ".blockseg" / "ledger.sqlite"
    with sqlite3.connect(ledger) as connection:
        for table in ("blocks", "payloads"):
            connection.execute(
                f"DELETE FROM {table} WHERE block_id >= 5 AND phase = 'segment'"
            )
    connection.close()
    blockseg(*run, "--block", "64", "--roi", "0:66,3:70,0:130")
    after = images(blockseg.folder / "out.zarr")
    assert before.keys() == after.keys()
    for name, image in before.items():
        np.testing.assert_array_equal(image, after[name])


def test_a_run_without_metrics_has_none_and_the_same_voxels(blockseg, measured):
    words = ("run", measured / "a.tif", "plain.zarr", *FAKE, "--block", "64")
    blockseg(*words, "--voxel-size", "2,1,1", "--no-metrics")
    store = blockseg.folder / "plain.zarr"
    assert not (store / "blocks").exists()
    np.testing.assert_array_equal(level(store), level(measured / "out.zarr"))
    with pytest.raises(LedgerError, match="without --no-metrics"):
        load_cubes(store)
    again = blockseg(*words[:-3], "--block", "64", "--voxel-size", "2,1,1")
    assert "begun without metrics and goes on so" in " ".join(again.output.split())
    assert not (store / "blocks").exists()


def test_cells_outside_the_mask_are_not_known(blockseg, measured):
    mask = np.zeros((66, 70, 130), np.uint8)
    mask[:, :, :70] = 1
    mask[:64, :64, :10] = 0
    tifffile.imwrite(blockseg.folder / "mask.tif", mask)
    words = ("run", measured / "a.tif", "out.zarr", *FAKE, "--mask", "mask.tif")
    blockseg(*words, "--block", "64", "--voxel-size", "2,1,1")
    density = images(blockseg.folder / "out.zarr")["density"]
    assert np.isnan(density[:, :, 2]).all()
    assert not np.isnan(density[:, :, :2]).any()
    assert load_cubes(blockseg.folder / "out.zarr").sum("voxels").sum() == mask.sum()


def test_metrics_alone_need_no_network_and_any_blocks(blockseg, measured):
    source = measured / "a.tif"
    options = ("--scheduler", "serial", "--voxel-size", "2,1,1")
    done = blockseg("metrics", source, "m.zarr", *options, "--block", "64")
    assert "Done: 12 blocks" in done.stdout
    table = load_cubes(blockseg.folder / "m.zarr")
    assert not table.predicted
    assert table.sum("foreground").sum() == pytest.approx(3 * 3 * 120, rel=0.05)
    found = images(blockseg.folder / "m.zarr")
    assert "entropy" not in found
    assert found["density"][0, 0, 0] > 0 == found["density"][1, 1, 0]
    blockseg("metrics", source, "n.zarr", *options, "--block", "128", "-q")
    for name, image in images(blockseg.folder / "n.zarr").items():
        np.testing.assert_array_equal(image, found[name])
    again = blockseg("metrics", source, "m.zarr", *options, "--block", "64")
    assert "Done: 12 blocks" in again.stdout


def test_cells_that_blocks_cut_are_put_together(blockseg, measured, monkeypatch):
    monkeypatch.setattr("blockseg.measurement.cube_source._TOGETHER", 3)
    options = ("--scheduler", "serial", "--voxel-size", "2,1,1", "-q")
    words = ("metrics", measured / "a.tif", "cut.zarr", "--roi", "1:66,0:70,10:130")
    blockseg(*words, *options, "--block", "40,70,48")
    table = load_cubes(blockseg.folder / "cut.zarr")
    assert len(table) == 12
    np.testing.assert_array_equal(
        table.sum("extent"), np.prod(table.stop - table.start, axis=1)
    )
    expected = dhpr_metrics(table)
    for name, image in images(blockseg.folder / "cut.zarr").items():
        np.testing.assert_array_equal(image.ravel(), expected[name].astype("f4"))


def test_published_formulas_are_those_of_the_images(blockseg, measured):
    words = ("--scheduler", "serial", "--voxel-size", "2,1,1", "--dhpr", "published")
    blockseg("metrics", measured / "a.tif", "p.zarr", *words, "-q")
    found = images(blockseg.folder / "p.zarr")
    expected = dhpr_metrics(load_cubes(blockseg.folder / "p.zarr"), "published")
    for name in ("density", "level", "low_snr"):
        np.testing.assert_array_equal(
            found[name].ravel(), expected[name].astype("f4"), name
        )
    assert found["density"].max() == np.float32(found["foreground"].max() / 50_000)


def test_metrics_lie_beside_the_source_and_refuse_what_is_not_theirs(blockseg):
    voxels = np.full((8, 70, 9), 500, np.float32)
    voxels[0, 0, 0] = np.nan
    tifffile.imwrite(blockseg.folder / "c.ome.tif", voxels)
    words = ("--scheduler", "serial", "--voxel-size", "1,1,1", "-q")
    blockseg("metrics", "c.ome.tif", *words)
    found = images(blockseg.folder / "c.metrics.zarr")
    assert found["nonfinite"][0, 0, 0] == np.float32(1 / (8 * 64 * 9))
    assert (found["sd"] == 0).all()
    other = blockseg("metrics", "c.ome.tif", *words, "--normalization", "9,1", code=1)
    assert "--normalization was auto, now 9,1" in other.stderr
    wrong = blockseg("metrics", "c.ome.tif", "--dhpr", "new", code=1)
    assert "extended, published" in wrong.stderr


def test_cells_of_what_is_no_run_are_refused(tmp_path):
    with pytest.raises(VolumeError, match="no output of blockseg"):
        load_cubes(Path(tmp_path))

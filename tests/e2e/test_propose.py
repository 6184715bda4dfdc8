"""``blockseg propose-annotations`` on a tiny run."""

import csv
import json
import shutil
import sqlite3

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner

import blockseg as api
from blockseg.core.errors import VolumeError
from blockseg.core.geometry import Roi
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.runtime.ledger.ledger import Ledger
from blockseg.training.data.annotated_volumes import find_annotated

SHAPE = (128, 128, 192)


@pytest.fixture(scope="module")
def made(tmp_path_factory, blockseg_command):
    """A run over 12 cells with neurites in most of them, and its image."""
    folder = tmp_path_factory.mktemp("made")
    rng = np.random.default_rng(0)
    image = rng.normal(200, 10, SHAPE)
    for number in range(14):
        place = [slice(at, at + 3) for at in rng.integers(8, 112, 3)]
        place[number % 3] = slice(None)
        image[tuple(place)] += (150, 200, 400)[number % 3]
    image[:64, :64, :64] = rng.normal(200, 10, (64, 64, 64))
    tifffile.imwrite(folder / "brain.tif", image.astype(np.uint16))
    command = (
        "run", folder / "brain.tif", folder / "out.zarr", "--voxel-size", "1,0.5,0.5",
        "--backend", "fake", "--normalization", "200,40", "--scheduler", "serial",
        "--block", "64,64,64", "-q",
    )  # fmt: skip
    done = CliRunner().invoke(blockseg_command, [str(word) for word in command])
    assert done.exit_code == 0, done.output
    return folder


def propose(blockseg, made, *arguments, out="picks", code=0):
    return blockseg(
        "propose-annotations", made / "out.zarr", "-o", out, *arguments, code=code
    )


def manifest(folder):
    return json.loads((folder / "manifest.json").read_text())["picks"]


@pytest.mark.usefixtures("reports")
def test_picks_are_crops_with_drafts_that_training_takes(blockseg, made):
    done = propose(blockseg, made, "--count", "3", "--margin", "8")
    assert "3 picks of 64×64×64 voxels" in done.output
    folder = blockseg.folder / "picks"
    source = tifffile.imread(made / "brain.tif")
    mask = open_volume(find(str(made / "out.zarr" / "labels" / "foreground")))
    rows = manifest(folder)
    assert [row["rank"] for row in rows] == [1, 2, 3]
    for row in rows:
        start = [row[f"start_{axis}"] for axis in "zyx"]
        stop = [a + row[f"size_{axis}"] for a, axis in zip(start, "zyx", strict=True)]
        low = [max(a - 8, 0) for a in start]
        high = [min(b + 8, n) for b, n in zip(stop, SHAPE, strict=True)]
        image = tifffile.imread(folder / "image" / f"{row['name']}.tif")
        label = tifffile.imread(folder / "label" / f"{row['name']}.tif")
        assert row["name"] == "brain_z{:05d}_y{:05d}_x{:05d}".format(*start)
        np.testing.assert_array_equal(
            image,
            source[tuple(slice(a, b) for a, b in zip(low, high, strict=True))],
        )
        inner = tuple(slice(a - b, a - b + 64) for a, b in zip(start, low, strict=True))
        expected = np.full(image.shape, 255)
        expected[inner] = mask.read(Roi(tuple(start), tuple(stop)))
        np.testing.assert_array_equal(label, expected)
        assert row["centre_x_um"] == (start[2] + 31.5) * 0.5
    images = find_annotated(str(folder)).images
    assert [labelled.name for labelled in images] == sorted(
        f"picks/{r['name']}" for r in rows
    )
    assert {labelled.background for labelled in images} == {(200.0, 40.0)}
    with (folder / "manifest.csv").open() as file:
        assert [line["name"] for line in csv.DictReader(file)] == [
            row["name"] for row in rows
        ]
    assert len((folder / "points.csv").read_text().splitlines()) == 4
    assert len(json.loads((folder / "points.json").read_text())["layers"]) == 1
    assert (folder / "report.html").read_text().count("<tr id=") == 3


@pytest.mark.usefixtures("reports")
def test_a_corrected_label_is_never_written_again_and_picks_are_the_same(
    blockseg, made
):
    command = ("--count", "3")
    propose(blockseg, made, *command)
    folder = blockseg.folder / "picks"
    first, second, _ = (row["name"] for row in manifest(folder))
    corrected = np.full((64, 64, 64), 1, np.uint8)
    tifffile.imwrite(folder / "label" / f"{first}.tif", corrected)
    (folder / "image" / f"{second}.tif").unlink()
    (folder / "manifest.json").unlink()
    again = propose(blockseg, made, *command)
    assert "3 labels that were there stayed as they were" in again.output
    np.testing.assert_array_equal(
        tifffile.imread(folder / "label" / f"{first}.tif"), corrected
    )
    assert (folder / "image" / f"{second}.tif").exists()
    propose(blockseg, made, *command, out="other", code=0)
    assert manifest(folder) == manifest(blockseg.folder / "other")

    refused = propose(blockseg, made, "--count", "4", code=1)
    assert "count was 3, now 4" in refused.output
    propose(blockseg, made, "--count", "2", "--update", "--rule", "entropy", "-q")
    rows = manifest(folder)
    assert [row["round"] for row in rows] == [1, 1, 1, 2, 2]
    assert len({row["name"] for row in rows}) == 5
    np.testing.assert_array_equal(
        tifffile.imread(folder / "label" / f"{first}.tif"), corrected
    )
    assert (folder / "report.html").read_text().count("<tr id=") == 5
    other = propose(
        blockseg, made, "--count", "20", "--rule", "random", "--exclude", "picks",
        out="rest",
    )  # fmt: skip
    assert "20 blocks were asked for; there are only 7" in other.output
    names = {row["name"] for row in manifest(blockseg.folder / "rest")}
    assert not names & {row["name"] for row in rows}


@pytest.mark.filterwarnings("ignore:.* states no unit")
def test_python_picks_what_the_command_picks(blockseg, made):
    propose(blockseg, made, "--count", "2", "--margin", "4", "-q")
    folder = blockseg.folder / "mine"
    found = api.propose(str(made / "out.zarr"), str(folder), count=2, margin=4)
    assert manifest(folder) == manifest(blockseg.folder / "picks")
    assert found.names == tuple(row["name"] for row in manifest(folder))
    shutil.copy(made / "brain.tif", blockseg.folder / "brain.tif")
    cold = api.propose(
        str(blockseg.folder / "brain.tif"),
        str(blockseg.folder / "cold"),
        scheduler="serial",
        count=2,
    )
    assert (blockseg.folder / "brain.metrics.zarr").is_dir()
    assert len(cold.names) == 2
    with pytest.raises(VolumeError, match="is no folder"):
        api.propose(str(blockseg.folder / "brain.tif"), str(made / "brain.tif" / "x"))


def test_drafts_say_nothing_where_the_network_is_not_sure(blockseg, made):
    propose(blockseg, made, "--count", "1", "--ignore-uncertain")
    (row,) = manifest(blockseg.folder / "picks")
    label = tifffile.imread(blockseg.folder / "picks" / "label" / f"{row['name']}.tif")
    start = tuple(row[f"start_{axis}"] for axis in "zyx")
    stop = tuple(row[f"start_{a}"] + row[f"size_{a}"] for a in "zyx")
    p = open_volume(find(str(made / "out.zarr"))).read(Roi(start, stop))
    np.testing.assert_array_equal(label == 255, (p >= 51) & (p < 204))
    np.testing.assert_array_equal(label == 1, p >= 204)


def test_masks_and_regions_say_where_picks_lie(blockseg, made):
    half = np.zeros((8, 8, 12), np.uint8)
    half[:, :, 8:] = 1
    tifffile.imwrite(blockseg.folder / "half.tif", half)
    propose(
        blockseg, made, "--count", "20", "--rule", "random", "--mask", "half.tif", "-q"
    )
    assert {row["start_x"] for row in manifest(blockseg.folder / "picks")} == {128}

    atlas = np.zeros((8, 8, 12), np.uint8)
    atlas[:, :, :4], atlas[:, :, 8:] = 7, 9
    tifffile.imwrite(blockseg.folder / "atlas.tif", atlas)
    propose(
        blockseg, made, "--count", "2", "--regions", "atlas.tif", "--pick-shape",
        "64,64,64", "-q", out="shared",
    )  # fmt: skip
    regions = sorted(row["region"] for row in manifest(blockseg.folder / "shared"))
    assert regions == [7, 9]


def test_picks_of_a_region_lie_where_they_say(blockseg, made):
    blockseg(
        "run", made / "brain.tif", "part.zarr", "--voxel-size", "1,0.5,0.5", "--backend",
        "fake", "--normalization", "200,40", "--scheduler", "serial", "-q",
        "--roi", "0:70,10:118,100:190",
    )  # fmt: skip
    blockseg("propose-annotations", "part.zarr", "-o", "picks", "--count", "1", "-q")
    (row,) = manifest(blockseg.folder / "picks")
    label = tifffile.imread(blockseg.folder / "picks" / "label" / f"{row['name']}.tif")
    start = [row[f"start_{axis}"] for axis in "zyx"]
    # Cells are those of the whole volume; the region cuts them.
    assert start in ([0, 10, 128], [0, 64, 100], [0, 64, 128])
    box = Roi((0, 0, 0), label.shape).shifted(
        a - b for a, b in zip(start, (0, 10, 100), strict=True)
    )
    mask = open_volume(find(str(blockseg.folder / "part.zarr/labels/foreground")))
    np.testing.assert_array_equal(label, mask.read(box))
    assert int(label.sum()) == row["foreground"]


def test_a_run_that_is_not_complete_says_how_much_is_missing(blockseg, made):
    shutil.copytree(made / "out.zarr", blockseg.folder / "part.zarr")
    record = json.loads((made / "out.zarr" / ".blockseg" / "run.json").read_text())
    assert record["facts"]["phases"][0]["blocks"] == 12
    path = blockseg.folder / "part.zarr" / ".blockseg" / "ledger.sqlite"
    with Ledger.read(path) as ledger:
        fingerprint = ledger.fingerprint
    with Ledger.open(path, fingerprint) as ledger:
        ledger.reset("segment", [0, 11])
    command = ("propose-annotations", "part.zarr", "--count", "20", "-o", "picks")
    refused = blockseg(*command, code=1)
    assert "not complete: 2 of 12 blocks are missing" in refused.output
    assert refused.output.count("\n") == 1
    done = blockseg(*command, "--allow-partial", "--rule", "random")
    assert "2 blocks of the run missing" in done.output
    starts = {
        tuple(row[f"start_{axis}"] for axis in "zyx")
        for row in manifest(blockseg.folder / "picks")
    }
    assert len(starts) == 10
    assert not starts & {(0, 0, 0), (64, 64, 128)}


def test_what_has_no_grey_level_is_not_picked_and_does_not_count(blockseg, made):
    image = tifffile.imread(made / "brain.tif").astype(np.float32)
    image[64:, :64, :64] = np.nan  # a cell
    image[64:, 64:, 128:160] = np.inf  # half of one, which may be picked
    image[64:, 64:, 160] = np.nan  # and more than half of it, which may not
    image[64:, 64:, 64:70] = np.nan  # a little of one
    tifffile.imwrite(blockseg.folder / "gaps.tif", image)
    blockseg(
        "run", "gaps.tif", "out.zarr", "--voxel-size", "1,0.5,0.5", "--backend", "fake",
        "--normalization", "200,40", "--scheduler", "serial", "--block", "64,64,64", "-q",
    )  # fmt: skip
    done = blockseg(
        "propose-annotations", "out.zarr", "-o", "picks", "--rule", "random",
        "--count", "20",
    )  # fmt: skip
    assert "there are only 10" in done.output
    rows = manifest(blockseg.folder / "picks")
    starts = {tuple(row[f"start_{axis}"] for axis in "zyx"): row for row in rows}
    assert not {(64, 0, 0), (64, 64, 128)} & set(starts)
    row = starts[64, 64, 64]
    assert row["nonfinite"] == 6 / 64
    label = tifffile.imread(blockseg.folder / "picks" / "label" / f"{row['name']}.tif")
    assert (label[:, :, :6] == 255).all()
    assert (label[:, :, 6:] != 255).all()
    dhpr = blockseg("propose-annotations", "out.zarr", "-o", "hard", "--count", "2")
    assert "2 picks" in dhpr.output


def test_a_brain_that_no_network_has_seen_is_measured_first(blockseg, made):
    shutil.copy(made / "brain.tif", blockseg.folder / "brain.tif")
    command = ("propose-annotations", "brain.tif", "-o", "cold", "--count", "2")
    done = blockseg(*command, "--scheduler", "serial")
    assert "2 picks" in done.output
    rows = manifest(blockseg.folder / "cold")
    assert all(row["entropy"] is None for row in rows)
    label = tifffile.imread(
        blockseg.folder / "cold" / "label" / f"{rows[0]['name']}.tif"
    )
    assert set(np.unique(label)) == {0, 1}
    assert int(label.sum()) == rows[0]["foreground"]
    refused = blockseg(
        "propose-annotations", "brain.metrics.zarr", "-o", "e", "--rule", "entropy",
        code=1,
    )  # fmt: skip
    assert "without a network" in refused.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--count", "0"), "count"),
        (("--rule", "best"), "choose one of dhpr, published, entropy"),
        (("--pick-shape", "64,64,100"), "multiples of 64 voxels"),
        (("--exclude", "nowhere"), "holds no manifest.json"),
        (("--regions", "nowhere.tif"), "--regions"),
        (("--mask", "nowhere.tif"), "--mask"),
        (("--update",), "leave --update out"),
    ],
)
def test_bad_input_is_one_line_before_anything_is_written(
    blockseg, made, arguments, said
):
    done = propose(blockseg, made, *arguments, code=1)
    assert said in done.output
    assert done.output.startswith("Error: ")
    assert done.output.count("\n") == 1
    assert not (blockseg.folder / "picks").exists()


def test_a_folder_that_is_taken_or_cannot_be_made_is_refused(blockseg, made):
    (blockseg.folder / "file").write_text("")
    (blockseg.folder / "full").mkdir()
    (blockseg.folder / "full" / "thesis").write_text("")
    for place, said in (
        ("file", "is no folder"),
        ("file/picks", "PICKS"),
        ("full", "exists and holds no picks"),
    ):
        done = propose(blockseg, made, out=place, code=1)
        assert said in done.output, place
    # Found out only when it is made, by whoever runs the test.
    done = propose(blockseg, made, out="/proc/picks", code=1)
    assert "/proc/picks" in done.output
    assert done.output.count("\n") == 1
    gone = blockseg("propose-annotations", "nowhere", "-o", "picks", code=1)
    assert gone.output.count("\n") == 1


def test_a_ledger_of_another_version_and_a_run_without_metrics_are_refused(
    blockseg, made
):
    shutil.copytree(made / "out.zarr", blockseg.folder / "old.zarr")
    folder = blockseg.folder / "old.zarr" / ".blockseg"
    connection = sqlite3.connect(folder / "ledger.sqlite")
    with connection:
        connection.execute("UPDATE meta SET value = '0' WHERE key = 'version'")
    connection.close()
    done = blockseg("propose-annotations", "old.zarr", "-o", "picks", code=1)
    assert "is of version 0" in done.output
    record = json.loads((folder / "run.json").read_text())
    record["facts"]["cells"] = None
    (folder / "run.json").write_text(json.dumps(record))
    done = blockseg("propose-annotations", "old.zarr", "-o", "picks", code=1)
    assert "were not measured" in done.output


def test_a_brain_without_neurites_has_nothing_to_pick_but_at_random(blockseg):
    image = np.random.default_rng(0).normal(200, 10, (64, 64, 128)).astype(np.uint16)
    tifffile.imwrite(blockseg.folder / "empty.tif", image)
    blockseg("metrics", "empty.tif", "out.zarr", "--scheduler", "serial", "-q")
    done = blockseg("propose-annotations", "out.zarr", "-o", "picks", code=1)
    assert "none of the 2 blocks holds neurites enough" in done.output
    assert not (blockseg.folder / "picks").exists()
    blockseg("propose-annotations", "out.zarr", "-o", "picks", "--rule", "random", "-q")
    assert len(manifest(blockseg.folder / "picks")) == 2


def test_the_published_rule_picks_labelled_volumes_by_name(blockseg):
    rng = np.random.default_rng(0)
    for kind in ("image", "label"):
        (blockseg.folder / "mine" / kind).mkdir(parents=True)
    for name, noise in (("d", 1), ("b", 8), ("a", 2), ("c", 6)):
        image = rng.normal(200, noise, (32, 32, 32))
        label = np.zeros(image.shape, np.uint8)
        label[16, 16] = 1
        image[label > 0] += 5 if name == "c" else 500
        for kind, data in (("image", image.astype(np.uint16)), ("label", label)):
            tifffile.imwrite(blockseg.folder / "mine" / kind / f"{name}.tif", data)
    command = ("propose-annotations", "mine", "--rule", "published")
    done = blockseg(*command, "-o", "picks", "--count", "1")
    assert "1 pick of 32×32×32 voxels from 4 of 4 blocks" in done.output
    assert "agree with these picks to 100 %" in done.output
    assert "Copied; to train on them: blockseg train" in done.output
    folder = blockseg.folder / "picks"
    assert [row["name"] for row in manifest(folder)] == ["c"]
    for kind in ("image", "label"):
        np.testing.assert_array_equal(
            tifffile.imread(folder / kind / "c.tif"),
            tifffile.imread(blockseg.folder / "mine" / kind / "c.tif"),
        )
    assert len(find_annotated(str(folder)).images) == 1
    both = blockseg(*command, "-o", "both")
    assert "only 2 of 4 are noisier than the median" in both.output
    assert [row["name"] for row in manifest(blockseg.folder / "both")] == ["b", "c"]
    for arguments, said in (
        (("--rule", "dhpr", "-o", "new"), "takes --rule published"),
        (("--margin", "4", "-o", "new"), "--margin does not go with"),
        (("-o", "mine"), "choose another"),
    ):
        refused = blockseg(*command, *arguments, code=1)
        assert said in refused.output
    tifffile.imwrite(
        blockseg.folder / "mine" / "label" / "d.tif", np.zeros((32, 32, 32), np.uint8)
    )
    empty = blockseg(*command, "-o", "new", code=1)
    assert "the label of mine/d has no foreground" in empty.output

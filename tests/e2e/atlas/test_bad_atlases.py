"""Bad atlases, tables, traces and transforms are one line, before any work."""

import shutil

import numpy as np
import pytest
import tifffile

pytestmark = pytest.mark.usefixtures("out")


@pytest.fixture
def command(walks, atlas):
    return ["regions", "out.zarr", "--atlas", str(atlas[0]), "--traces", str(walks[0]),
            "--lengths-only"]  # fmt: skip


def tiff(blockseg, name, data):
    tifffile.imwrite(blockseg.folder / name, data, photometric="minisblack")
    return name


def test_no_atlas(refused):
    assert "--atlas LABELS is needed" in refused("regions", "out.zarr")


def test_an_atlas_that_is_not_there(refused, command):
    assert "--atlas: " in refused(*command, "--atlas", "nowhere.tif")


def test_a_template_of_grey_levels(blockseg, refused, command):
    name = tiff(blockseg, "t.tif", np.ones((20, 30, 40), np.float32))
    assert "no ids of regions" in refused(*command, "--atlas", name)


def test_an_atlas_without_voxel_size(blockseg, refused, command):
    name = tiff(blockseg, "a.tif", np.ones((20, 30, 40), np.uint32))
    assert "--atlas-voxel-size" in refused(*command, "--atlas", name)


def test_a_tiff_that_is_as_large_as_nothing_that_is_known(blockseg, refused, command):
    name = tiff(blockseg, "a.tif", np.ones((20, 30, 40), np.uint32))
    words = (*command, "--atlas", name, "--atlas-voxel-size", "25")
    assert "--atlas-corner" in refused(*words)


def test_a_tiff_as_large_as_the_output_lies_over_it(blockseg, out, command):
    name = tiff(blockseg, "a.tif", np.full((12, 6, 8), 7, np.uint32))
    words = (*command, "--atlas", name, "--atlas-voxel-size", "10", "-q")
    blockseg(*words, "--scheduler", "serial")
    table = (out / "regions/regions.csv").read_text().splitlines()
    assert table[1].startswith("7,,region 7,,")
    assert float(table[2].split(",")[4]) < 1e-3  # nothing lies outside


def test_an_atlas_somewhere_else(refused, command):
    words = (*command, "--atlas-corner", "90000,0,0")
    assert "nothing in common" in refused(*words)


def test_names_of_another_atlas(blockseg, refused, command):
    (blockseg.folder / "n.csv").write_text("id,name\n1001,a\n1002,b\n")
    said = refused(*command, "--names", "n.csv")
    assert "names no region of the atlas, which has the ids 3, 11, 12" in said


def test_a_table_without_names(blockseg, refused, command):
    (blockseg.folder / "n.csv").write_text("id,colour\n3,red\n")
    assert "it needs id and name" in refused(*command, "--names", "n.csv")


def test_no_traces_yet(refused, command):
    del command[4:6]
    assert "make it with: blockseg skeletonize" in refused(*command)


def test_a_folder_without_traces(blockseg, refused, command):
    (blockseg.folder / "none").mkdir()
    assert "without SWC files" in refused(*command, "--traces", "none")


def test_traces_that_are_no_swc(blockseg, refused, command):
    (blockseg.folder / "bad").mkdir()
    (blockseg.folder / "bad/a.swc").write_text("one two three\n")
    assert "a.swc, line 1" in refused(*command, "--traces", "bad")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("z,y,x\n1,2,3\n", "lacks the columns z_um, y_um, x_um"),
        ("z_um,y_um,x_um\n1,2,3\n1,,3\n", "line 3: expected 3 cells"),
    ],
)
def test_a_table_of_somata_without_places(blockseg, refused, command, text, said):
    (blockseg.folder / "s.csv").write_text(text)
    assert said in refused(*command, "--somata", "s.csv")


def test_no_labels_yet(refused, command):
    command.remove("--lengths-only")
    assert "make it with: blockseg label" in refused(*command)


def test_a_volume_that_no_run_made(brain, refused, command):
    command[1] = str(brain)
    assert "is no output of blockseg run" in refused(*command)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 0 0\n0 1 0\n0 0 1\n", "four rows of four numbers"),
        ("1 0 0 0\n0 1 0 0\n1 1 0 0\n", "flattens space"),
        ("1 0 0 9e9\n0 1 0 0\n0 0 1 0\n", "nothing in common"),
    ],
)
def test_a_matrix_that_cannot_be_meant(blockseg, refused, command, text, said):
    (blockseg.folder / "m.txt").write_text(text)
    assert said in refused(*command, "--transform", "m.txt")


def test_a_transform_that_is_not_there(refused, command):
    assert "does not exist" in refused(*command, "--transform", "nowhere")


def test_a_folder_that_brainreg_did_not_make(blockseg, refused, command):
    (blockseg.folder / "empty").mkdir()
    said = refused(*command, "--transform", "empty")
    assert "without deformation_field_0.tiff" in said


def test_a_registration_of_another_image(refused, command, brainreg):
    for axis in range(3):
        path = brainreg / f"deformation_field_{axis}.tiff"
        data = tifffile.imread(path)
        tifffile.imwrite(path, data[:, :-4], photometric="minisblack")
    said = refused(*command, "--transform", brainreg)
    assert "registered an image of" in said
    assert "--registered-corner" in said


def test_a_corner_of_nothing(refused, command):
    assert "without --transform" in refused(*command, "--registered-corner", "0,0,0")


def test_a_run_that_is_not_complete(blockseg, brain, walks, atlas, refused):
    shutil.copytree(brain, blockseg.folder / "torn.zarr")
    shard = blockseg.folder / "torn.zarr/0/c/0/1/1"
    shard.write_bytes(shard.read_bytes()[:-9])
    blockseg(
        "run", "torn.zarr", "part.zarr", "--backend", "fake", "--block", "64", "-q",
        "--scheduler", "serial", "--normalization", "200,10", code=3,
    )  # fmt: skip
    words = ("--traces", walks[0], "--atlas", atlas[0], "--atlas-corner", "0,0,0")
    for command in (
        ("regions", "part.zarr", *words, "--lengths-only"),
        ("density", "part.zarr", *words[:2]),
        ("export", "part.zarr", "--what", "mask", "--voxel-size", "5", "-o", "m.tif"),
    ):
        assert "is not complete" in refused(*command)
        blockseg(*command, "--allow-partial", "-q", "--scheduler", "serial")


def test_a_map_over_an_atlas_needs_to_know_it(refused, walks, brainreg):
    words = ("density", "out.zarr", "--traces", walks[0], "--transform", brainreg)
    assert "give --atlas LABELS too" in refused(*words)


def test_a_map_of_voxels_without_size(refused, walks):
    words = ("density", "out.zarr", "--traces", walks[0], "--voxel-size", "0")
    assert "must be positive" in refused(*words)

"""A voxel size for a finished run: the same bytes as a run that was given it."""

import csv
import json
import shutil

import numpy as np
import pytest
import tifffile

from blockseg import skeletonize
from blockseg.blockwise.record.record import RunRecord
from blockseg.blockwise.status import status
from blockseg.core.geometry import Roi
from blockseg.io.find import find
from blockseg.io.open import open_volume

RUN = (
    *("--scheduler", "serial", "--backend", "fake", "--block", "64", "-q"),
    *("--roi", "16:128,0:160,0:200"),
)
SERIAL = ("--scheduler", "serial", "-q")
SIZE = ("--voxel-size", "1,0.4,0.4")


@pytest.fixture(scope="module")
def made(shared_blockseg, brain):
    """Return a folder with a TIFF of no voxel size and two runs of it, one measured."""
    volume = open_volume(find(str(brain)))
    image = volume.read(Roi.whole(volume.shape))
    tifffile.imwrite(shared_blockseg.folder / "brain.tif", image)
    shared_blockseg("run", "brain.tif", "bare.zarr", *RUN)
    shared_blockseg("run", "brain.tif", "measured.zarr", *RUN, *SIZE)
    for out, size in (("bare.zarr", ()), ("measured.zarr", SIZE)):
        shared_blockseg("label", out, *SERIAL, *size, "--min-size", "40")
    shared_blockseg("skeletonize", "measured.zarr", *SERIAL)
    return shared_blockseg.folder


@pytest.fixture
def bare(blockseg, made):
    """Return a copy of the run that knows no voxel size, with its labels."""
    blockseg.folder = made
    shutil.rmtree(made / "copy.zarr", ignore_errors=True)
    shutil.copytree(made / "bare.zarr", made / "copy.zarr")
    return made / "copy.zarr"


def facts(out):
    record = json.loads((out / ".blockseg/run.json").read_text())
    return {key: record[key] for key in ("request", "decisions", "facts")}


def test_traces_of_a_run_given_a_voxel_size_are_those_of_a_run_begun_with_it(
    blockseg, made, bare, content_of
):
    said = blockseg("skeletonize", bare, *SERIAL, code=1)
    assert "give --voxel-size Z,Y,X" in said.output
    before = content_of(bare)
    blockseg("skeletonize", bare, *SERIAL, *SIZE)
    measured = made / "measured.zarr"
    assert content_of(bare) == content_of(measured) != before
    assert facts(bare) == facts(measured)
    assert {part.state for part in status(str(bare)).parts} == {"complete"}
    blockseg("verify", bare, "--deep")


def test_the_command_with_that_voxel_size_then_continues_the_run(blockseg, bare):
    blockseg("label", bare, *SERIAL, *SIZE)
    blockseg("run", "brain.tif", bare, *RUN, *SIZE)
    said = blockseg("run", "brain.tif", bare, *RUN, code=1)
    assert "--voxel-size was 1.0,0.4,0.4, now auto" in said.output


def test_label_measures_again_what_it_had_measured_without(blockseg, bare):
    def lengths():
        with (bare / "tables/objects.csv").open(newline="") as file:
            return [row["length_um"] for row in csv.DictReader(file)]

    assert not any(lengths())
    blockseg("label", bare, *SERIAL, *SIZE, "--min-length", "5")
    assert all(lengths())
    assert max(map(float, lengths())) > 5


def test_another_voxel_size_is_refused_until_it_is_to_replace_the_first(
    blockseg, made, content_of
):
    out = made / "measured.zarr"
    before = content_of(out)
    for command in ("label", "skeletonize"):
        said = blockseg(command, out, *SERIAL, "--voxel-size", "2,1,1", code=1)
        assert "has voxels of 1×0.4×0.4 µm, not 2×1×1" in said.output
    assert content_of(out) == before
    copy = made / "replaced.zarr"
    shutil.copytree(out, copy)
    blockseg("skeletonize", copy, *SERIAL, "--voxel-size", "2,1,1", "--overwrite")
    assert content_of(copy) != before
    blockseg("skeletonize", copy, *SERIAL, *SIZE, "--overwrite")
    assert content_of(copy) == before
    blockseg("skeletonize", copy, *SERIAL, *SIZE)  # the same again does nothing
    assert content_of(copy) == before


def test_traces_without_objects_name_the_command_that_finds_them(
    blockseg, bare, content_of
):
    shutil.rmtree(bare / ".blockseg/label")
    before = content_of(bare)
    said = blockseg("skeletonize", bare, *SERIAL, *SIZE, code=1)
    assert f"blockseg label {bare} --voxel-size 1,0.4,0.4" in said.output
    assert content_of(bare) == before


def test_what_was_killed_between_ledger_and_record_goes_on(
    made, bare, content_of, monkeypatch
):
    class Killed(BaseException):
        pass

    def killed(*_):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(RunRecord, "save", killed)
        with pytest.raises(Killed):
            skeletonize(bare, voxel_size=(1, 0.4, 0.4), scheduler="serial")
    skeletonize(bare, voxel_size=(1, 0.4, 0.4), scheduler="serial")
    assert content_of(bare) == content_of(made / "measured.zarr")


def test_a_voxel_size_is_that_of_the_source_where_the_run_took_means(blockseg, made):
    volume = np.arange(64**3, dtype=np.uint16).reshape((64,) * 3) % 97
    tifffile.imwrite(made / "small.tif", volume)
    options = (*RUN[:-2], "--downsample", "1,2,2")
    blockseg.folder = made
    blockseg("run", "small.tif", "late.zarr", *options)
    blockseg("run", "small.tif", "early.zarr", *options, *SIZE)
    blockseg("label", "late.zarr", *SERIAL, *SIZE)
    found = [
        open_volume(find(str(made / name), mask=True))
        for name in ("late.zarr", "early.zarr")
    ]
    assert found[0].space == found[1].space
    assert found[0].space.voxel_size == (1.0, 0.8, 0.8)

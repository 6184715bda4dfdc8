"""The ledger where the user wants it, and never that of somebody else."""

import shutil

import numpy as np
import pytest
import tifffile

SMALL = ("--shape", "16,32,32", "--preset", "clean", "--block", "16")
SERIAL = ("--scheduler", "serial", "-q")
FAKE = ("--backend", "fake", "--block", "16", *SERIAL)
RUN = ("run", "tiny.zarr", "out.zarr", *FAKE)
HERE = ("--ledger", "here.sqlite")


@pytest.fixture(autouse=True)
def _tiny(blockseg):
    """Make a volume of 16×32×32 voxels."""
    noise = np.random.default_rng(0).integers(0, 4000, (16, 32, 32)).astype(np.uint16)
    tifffile.imwrite(blockseg.folder / "tiny.tif", noise)
    size = ("--voxel-size", "1,1,1")
    blockseg("convert", "tiny.tif", "tiny.zarr", *size, "--block", "16", *SERIAL)


def refusal(blockseg, *command):
    """Return the one line of a command that is refused before any work."""
    files = {p: p.read_bytes() for p in blockseg.folder.rglob("*") if p.is_file()}
    (line,) = blockseg(*command, code=1).stderr.splitlines()
    left = {p: p.read_bytes() for p in blockseg.folder.rglob("*") if p.is_file()}
    for path, data in files.items():
        assert left[path] == data
    new = {path.name for path in left.keys() - files.keys()}
    assert new <= {"here.sqlite-wal", "here.sqlite-shm"}, new  # of looking at it
    return line


@pytest.mark.parametrize(
    "command",
    [
        ("synth", "out.zarr", *SMALL, *SERIAL),
        ("convert", "tiny.zarr", "out.zarr", "--block", "16", *SERIAL),
        RUN,
    ],
    ids=lambda words: words[0],
)
def test_every_job_goes_on_with_a_ledger_elsewhere(blockseg, command):
    blockseg(*command, *HERE)
    assert (blockseg.folder / "here.sqlite").exists()
    assert "complete" in blockseg("status", "out.zarr").stdout
    blockseg(*command)
    assert not (blockseg.folder / "out.zarr/.blockseg/ledger.sqlite").exists()


@pytest.mark.parametrize(
    "settings", [(), ("--threshold", "0.4")], ids=["same settings", "other settings"]
)
def test_the_ledger_of_another_output_is_refused_before_any_work(blockseg, settings):
    blockseg(*RUN, *HERE)
    second = ("run", "tiny.zarr", "second.zarr", *FAKE, *settings)
    line = refusal(blockseg, *second, *HERE)
    assert f"is that of {blockseg.folder / 'out.zarr'}; name another" in line
    assert not (blockseg.folder / "second.zarr").exists()
    blockseg(*second)
    refusal(blockseg, *second, *HERE, "--overwrite")


def test_plan_tells_of_a_ledger_that_run_would_refuse(blockseg):
    blockseg(*RUN, *HERE)
    line = refusal(blockseg, "plan", "tiny.zarr", "second.zarr", *FAKE[:-1], *HERE)
    assert "name another with --ledger" in line


def test_rows_of_an_output_that_is_gone_are_not_believed(blockseg, content_of):
    blockseg(*RUN, *HERE)
    before = content_of(blockseg.folder / "out.zarr")
    shutil.rmtree(blockseg.folder / "out.zarr")
    line = refusal(blockseg, *RUN, *HERE)
    assert "delete it, name another with --ledger, or replace it" in line
    blockseg(*RUN, *HERE, "--overwrite")
    assert content_of(blockseg.folder / "out.zarr") == before


def test_overwrite_replaces_the_ledger_of_the_same_output(blockseg, content_of):
    blockseg(*RUN, *HERE)
    other = (*RUN, "--threshold", "0.4")
    blockseg(*other, *HERE, "--overwrite")
    after = content_of(blockseg.folder / "out.zarr")
    blockseg(*other)
    blockseg(*other, *HERE)
    assert content_of(blockseg.folder / "out.zarr") == after
    assert "complete" in blockseg("status", "out.zarr").stdout


def test_a_run_is_resumed_with_its_own_ledger_only(blockseg):
    blockseg(*RUN)
    line = refusal(blockseg, *RUN, *HERE)
    assert "ledger.sqlite; leave --ledger out, or move that file" in line
    blockseg("run", "tiny.zarr", "second.zarr", *FAKE, "--threshold", "0.4", *HERE)
    line = refusal(blockseg, *RUN, *HERE)
    assert "belongs to another run" in line
    usual = blockseg.folder / "out.zarr/.blockseg/ledger.sqlite"
    usual.rename(blockseg.folder / "moved.sqlite")
    assert "there is no ledger" in refusal(blockseg, *RUN)
    blockseg(*RUN, "--ledger", "moved.sqlite")
    blockseg(*RUN)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("tiny.zarr/ledger.sqlite", "lies inside SOURCE"),
        ("out.zarr/ledger.sqlite", "there is no folder"),
        ("nowhere/ledger.sqlite", "there is no folder"),
        ("tiny.zarr", "is a folder"),
        ("notes.txt", "not a database"),
    ],
)
def test_a_place_that_a_ledger_cannot_have_is_refused(blockseg, place, said):
    (blockseg.folder / "notes.txt").write_text("notes " * 1000)
    assert said in refusal(blockseg, *RUN, "--ledger", place)
    assert not (blockseg.folder / "out.zarr").exists()


def test_a_ledger_does_not_lie_among_the_results(blockseg):
    blockseg(*RUN)
    line = refusal(blockseg, *RUN, "--overwrite", "--ledger", "out.zarr/mine.sqlite")
    assert "lies inside OUT" in line
    usual = "out.zarr/.blockseg/ledger.sqlite"
    blockseg(*RUN, "--ledger", usual)

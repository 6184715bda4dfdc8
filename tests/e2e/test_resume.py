"""Runs that are given again, with the same words or others."""

import json
import os
import shutil
import subprocess

import numpy as np
import pytest
import tensorstore as ts
import tifffile

QUICK = ("--scheduler", "serial", "--backend", "fake", "--block", "64")


def test_a_complete_run_given_again_does_nothing(blockseg, brain, content_of):
    blockseg("run", brain, "out.zarr", *QUICK)
    before = content_of(blockseg.folder / "out.zarr")
    again = blockseg("run", brain, "out.zarr", *QUICK)
    assert "24 of them done before" in again.stdout
    assert content_of(blockseg.folder / "out.zarr") == before


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--block", "32"), "--block was 64,64,64, now 32,32,32"),
        (("--roi", "0:64,0:64,0:64"), "--roi was auto, now 0:64,0:64,0:64"),
        (("--normalization", "published"), "--normalization was auto, now published"),
    ],
)
def test_other_settings_are_refused_by_name(blockseg, brain, option, said):
    blockseg("run", brain, "out.zarr", *QUICK)
    refused = blockseg("run", brain, "out.zarr", *QUICK, *option, code=1)
    assert said in refused.stderr
    assert "--overwrite" in refused.stderr


def test_another_threshold_is_refused_with_the_command_that_makes_it(blockseg, brain):
    blockseg("run", brain, "out.zarr", *QUICK)
    option = ("--threshold", "0.4")
    refused = blockseg("run", brain, "out.zarr", *QUICK, *option, code=1).stderr
    assert "has the threshold 0.5, and 0.4 is asked for" in refused
    assert f"blockseg threshold {blockseg.folder / 'out.zarr'} 0.4" in refused


def test_settings_that_leave_the_result_alone_may_change(blockseg, brain):
    blockseg("run", brain, "out.zarr", *QUICK)
    blockseg("run", brain, "out.zarr", *QUICK, "--attempts", "5", "--memory", "20GB")


def test_a_changed_source_is_refused(blockseg, brain):
    shutil.copytree(brain, blockseg.folder / "copy.zarr")
    blockseg("run", "copy.zarr", "out.zarr", *QUICK)
    array = ts.open(
        {"driver": "zarr3", "kvstore": f"file://{blockseg.folder}/copy.zarr/0/"},
        open=True,
    ).result()
    array[:64, :64, :64] = 7
    refused = blockseg("run", "copy.zarr", "out.zarr", *QUICK, code=1)
    assert "the source changed" in refused.stderr


def test_overwrite_starts_anew_and_leaves_nothing_of_the_old_run(
    blockseg, brain, content_of
):
    blockseg("run", brain, "out.zarr", *QUICK)
    small = (*QUICK, "--roi", "0:64,0:64,0:128")
    blockseg("run", brain, "out.zarr", *small, "--overwrite")
    blockseg("run", brain, "fresh.zarr", *small)
    out, fresh = (content_of(blockseg.folder / n) for n in ("out.zarr", "fresh.zarr"))
    assert out == fresh


def test_what_blockseg_did_not_make_is_never_overwritten(blockseg, brain):
    folder = blockseg.folder / "mine"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    refused = blockseg("run", brain, "mine", *QUICK, "--overwrite", code=1)
    assert "was not made by blockseg" in refused.stderr
    assert (folder / "thesis.txt").read_text() == "years of work"
    assert [p.name for p in folder.iterdir()] == ["thesis.txt"]


def test_a_run_killed_while_planning_starts_afresh(blockseg, brain, content_of):
    blockseg("run", brain, "fresh.zarr", *QUICK)
    half = blockseg.folder / "half.zarr"
    (half / ".blockseg").mkdir(parents=True)
    (half / "0").mkdir()
    (half / "0" / "zarr.json").write_text("{ half a docu")
    blockseg("run", brain, "half.zarr", *QUICK)
    assert content_of(half) == content_of(blockseg.folder / "fresh.zarr")


@pytest.mark.parametrize("level", ["0", "1", "labels/foreground/0"])
def test_blocks_whose_files_are_gone_are_written_again(
    blockseg, brain, content_of, level
):
    first = ("c", "0", "0", "0")
    blockseg("run", brain, "out.zarr", *QUICK)
    out = blockseg.folder / "out.zarr"
    before = content_of(out)
    (out / level).joinpath(*first).unlink()
    blockseg("run", brain, "out.zarr", *QUICK)
    assert content_of(out) == before


def test_the_record_says_what_was_asked_decided_and_done(blockseg, brain):
    blockseg("run", brain, "out.zarr", *QUICK)
    record = json.loads((blockseg.folder / "out.zarr/.blockseg/run.json").read_text())
    assert record["decisions"]["block"] == [64, 64, 64]
    assert record["decisions"]["background"]["kind"] == "auto"
    assert record["facts"]["effective_threshold"] == 0.5
    assert record["request"]["source"]["fingerprint"]
    (session,) = record["sessions"]
    assert session["outcome"] == "complete"
    assert "run" in session["command"]


def test_the_ledger_can_lie_elsewhere(blockseg, brain):
    blockseg("run", brain, "out.zarr", *QUICK, "--ledger", "here.sqlite")
    assert (blockseg.folder / "here.sqlite").exists()
    assert not (blockseg.folder / "out.zarr/.blockseg/ledger.sqlite").exists()
    assert "complete" in blockseg("status", "out.zarr").stdout


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 400 kB that can grow; made by root, or not at all."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(place)]
    if (
        os.geteuid()
        or subprocess.run(mount, check=False, capture_output=True).returncode
    ):
        pytest.skip("needs the right to mount a small disk")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.dask
def test_a_full_disk_stops_the_run_cleanly_and_room_lets_it_go_on(
    blockseg, small_disk, content_of
):
    noise = np.random.default_rng(0).integers(0, 4000, (64, 128, 256)).astype(np.uint16)
    tifffile.imwrite(blockseg.folder / "noise.tif", noise)
    plain = ("--backend", "fake", "--block", "64", "--codec", "raw", "--workers", "2")
    blockseg("run", "noise.tif", "whole.zarr", *plain, "-q")
    run = (
        "run",
        "noise.tif",
        small_disk / "out.zarr",
        *plain,
        "--ledger",
        "ledger.sqlite",
    )
    stopped = blockseg(*run, code=3)
    assert "Stopped: " in stopped.output
    assert "Run the same command again" in stopped.output
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    blockseg(*run)
    whole = content_of(blockseg.folder / "whole.zarr")
    assert content_of(small_disk / "out.zarr") == whole

"""Seams audited, blocks debugged and tried again, logs read, through the command."""

import json
import shutil
import zipfile

import numpy as np
import pytest
import tensorstore as ts

SMALL = ("--roi", "4:68,0:64,0:128", "--block", "32,64,64", "--window", "32,32,32")
NETWORK = (*SMALL, "--backend", "torch", "--threads", "1", "--no-metrics", "-q")
FAKE = (
    "--backend", "fake", "--block", "64", "--normalization", "100,10",
    "--roi", "0:128,0:64,0:128", "--no-metrics", "-q",
)  # fmt: skip


@pytest.fixture(scope="module")
def weights(shared_blockseg, save_bright_network):
    path = shared_blockseg.folder / "bright.safetensors"
    save_bright_network(path, 4.0)
    return path


@pytest.fixture
def half_readable(blockseg, brain):
    """A brain one of whose files is torn, and how to mend it."""
    source = blockseg.folder / "brain.zarr"
    shutil.copytree(brain, source)
    shard = source / "0/c/0/0/0"
    good = shard.read_bytes()
    shard.write_bytes(good[: len(good) // 2])
    return lambda: shard.write_bytes(good)


def change(array, index, value):
    opened = ts.open(
        {"driver": "zarr3", "kvstore": f"file://{array}/"}, open=True
    ).result()
    opened[index] = value


def test_no_voxel_differs_across_faces_of_blocks(blockseg, brain, weights):
    run = ("run", brain, "out.zarr", *NETWORK, "--weights", weights)
    blockseg(*run, "--scheduler", "serial")
    found = json.loads(
        blockseg("audit-seams", "out.zarr", "--sample", "6", "--json").stdout
    )
    assert found["exact"]
    assert found["faces"] == 4  # two blocks along z and two along x
    assert len(found["windows"]) == 4
    assert {one["axis"] for one in found["windows"]} == {"z", "x"}
    assert sum(one["foreground"] for one in found["windows"]) > 0
    for one in found["windows"]:
        low, high = (int(n) for n in one["roi"].split(",")[0].split(":"))
        if one["axis"] == "z":
            assert low < 36 < high
    same = blockseg("audit-seams", "out.zarr", "--sample", "2", "--seed", "3").stdout
    assert (
        same
        == blockseg("audit-seams", "out.zarr", "--sample", "2", "--seed", "3").stdout
    )
    assert "0 voxels differ, greatest difference 0 of 255" in same


def test_a_seam_is_found_and_measured(blockseg, brain, weights):
    run = ("run", brain, "out.zarr", *NETWORK, "--weights", weights)
    blockseg(*run, "--scheduler", "serial")
    out = blockseg.folder / "out.zarr"
    plane = (slice(31, 32), slice(0, 64), slice(0, 128))
    change(out / "0", plane, 200)  # the last plane before the face along z
    said = blockseg("audit-seams", "out.zarr", code=3).stdout
    assert "between blocks (0, 0, 0) and (1, 0, 0)" in said
    assert "greatest difference 200 of 255" in said


def test_a_halo_that_is_too_small_shows(blockseg, brain):
    """The default weights, which look further than a halo of 4."""
    inexact = ("--halo", "4", "--inexact", "--scheduler", "serial")
    where = ("--roi", "64:128,64:128,64:128", "--block", "32,64,64")
    blockseg(
        "run", brain, "out.zarr", *where, "--window", "32,32,32", *inexact, "-q",
        "--no-metrics",
    )  # fmt: skip
    assert "voxels differ" in blockseg("audit-seams", "out.zarr", code=3).stdout


def test_a_run_without_neighbouring_blocks_has_no_seam(blockseg, brain):
    where = ("--roi", "0:64,0:64,0:64", "--scheduler", "serial")
    blockseg("run", brain, "out.zarr", *FAKE, *where)
    refused = blockseg("audit-seams", "out.zarr", code=1)
    assert "no seam to audit" in refused.stderr


@pytest.mark.dask
def test_a_block_that_fails_is_put_into_a_file_and_tried_again(
    blockseg, half_readable, content_of
):
    blockseg("run", "brain.zarr", "out.zarr", *FAKE, "--workers", "2", code=3)
    said = blockseg("debug", "out.zarr", code=3).stdout
    assert "Block (0, 0, 0) is failed" in said
    assert "Traceback (most recent call last)" in said
    assert "CorruptDataError" in said
    with zipfile.ZipFile(blockseg.folder / "out.zarr.block-0-0-0.zip") as bundle:
        names = set(bundle.namelist())
        assert {"run.json", "traceback.txt", "log.jsonl", "versions.txt"} <= names
        assert "input-error.txt" in names
        assert "0/c/0/0/0" in bundle.read("input-error.txt").decode()
        told = [json.loads(line) for line in bundle.read("log.jsonl").splitlines()]
        assert {"session", "begun", "raised", "failed"} <= {
            one["event"] for one in told
        }
        failed = json.loads(bundle.read("block.json"))["failure"]
        assert "cannot be decoded" in failed["error"]
    # What happened to it, where and when, stands in the logs.
    lines = blockseg("logs", "out.zarr", "--block", "0,0,0", "--json").stdout
    told = [json.loads(line) for line in lines.splitlines()]
    told = [one for one in told if one["phase"] == "segment"]
    assert [one["event"] for one in told] == ["begun", "raised", "failed"]
    assert told[1]["worker"] == told[2]["worker"]
    assert told[1]["worker"].startswith("tls://")
    assert "CorruptDataError" in told[1]["traceback"]
    assert told[0]["time"] < told[1]["time"]
    worker = told[0]["worker"]
    of_worker = blockseg("logs", "out.zarr", "--worker", worker).stdout
    assert "raised" in of_worker
    assert worker in of_worker.splitlines()[0]
    assert "block 0,0,0  raised" in blockseg("logs", "out.zarr", "--failed").stdout
    # Nothing is better yet: it fails again, and says so.
    assert "Incomplete" in blockseg("retry", "out.zarr", code=3).stdout
    half_readable()
    assert "Done" in blockseg("retry", "out.zarr").stdout
    assert "nothing to try" in blockseg("retry", "out.zarr").stdout
    blockseg("run", "brain.zarr", "whole.zarr", *FAKE, "--scheduler", "serial")
    whole = content_of(blockseg.folder / "whole.zarr")
    assert content_of(blockseg.folder / "out.zarr") == whole
    # Of the block as it is now the rerun gives the same.
    said = blockseg("debug", "out.zarr", "--block", "0,0,0", "-o", "one.zip").stdout
    assert "OUT holds 0 of its voxels otherwise." in said
    with (
        zipfile.ZipFile(blockseg.folder / "one.zip") as bundle,
        bundle.open("input.npy") as file,
    ):
        assert np.load(file).shape == (96, 96, 96)


def test_which_block_is_told(blockseg, brain):
    blockseg("run", brain, "out.zarr", *FAKE, "--scheduler", "serial")
    refused = blockseg("debug", "out.zarr", code=1).stderr
    assert "no block of OUT" in refused
    refused = blockseg("debug", "out.zarr", "--block", "9,0,0", code=1).stderr
    assert "--block 9,0,0: the grid has 2,1,2 blocks" in refused
    refused = blockseg("debug", "out.zarr", "--block", "1,-1", code=1).stderr
    assert "expected Z,Y,X" in refused
    blockseg("debug", "out.zarr", "--block", "1,0,1", "--no-rerun")


def test_logs_that_cannot_be_written_end_no_run(blockseg, brain, content_of):
    run = ("run", brain, "out.zarr", *FAKE, "--scheduler", "serial")
    blockseg(*run)
    out = blockseg.folder / "out.zarr"
    before = content_of(out)
    shutil.rmtree(out / ".blockseg/logs")
    (out / ".blockseg/logs").write_text("in the way")
    (out / "0/c/0/0/0").unlink()
    blockseg(*run)
    assert content_of(out) == before
    assert "has no logs" in blockseg("logs", "out.zarr", code=1).stderr
    assert (out / ".blockseg/logs").read_text() == "in the way"


def test_every_start_has_a_log(blockseg, brain):
    run = ("run", brain, "out.zarr", *FAKE, "--scheduler", "serial")
    blockseg(*run)
    blockseg(*run)
    told = [
        json.loads(line)
        for line in blockseg("logs", "out.zarr", "--json").stdout.splitlines()
    ]
    assert [one["session"] for one in told if one["event"] == "session"] == [1, 2]
    assert [one["session"] for one in told if one["event"] == "end"] == [1, 2]
    assert told == sorted(told, key=lambda one: one["time"])
    done = blockseg("logs", "out.zarr", "--block", "1,0,1").stdout
    assert done.count("done") == 1
    assert "infer" in done

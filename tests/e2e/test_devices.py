"""Runs on a device, which a fake stands in for: chosen, judged, short of memory, broken."""

import json
import re

import numpy as np
import pytest
import torch
import zarr

from blockseg.runtime.ledger.ledger import Ledger

SHAPE = (64, 64, 96)
HOW = (
    "--normalization", "100,200", "--block", "64,64,48", "--window", "64,64,48",
    "--voxel-size", "1,1,1", "--no-metrics", "--backend", "fake",
)  # fmt: skip

SERIAL = ("--device", "cuda", "--scheduler", "serial")


@pytest.fixture
def volume(tmp_path):
    rng = np.random.default_rng(0)
    store = zarr.create_array(
        tmp_path / "a.zarr", shape=SHAPE, dtype="u2", chunks=(32,) * 3
    )
    store[:] = rng.integers(100, 400, SHAPE)
    return "a.zarr"


def record(folder):
    return json.loads((folder / ".blockseg" / "run.json").read_text())


def on(monkeypatch, **suffers):
    text = ",".join(f"{key}={value}" for key, value in suffers.items())
    monkeypatch.setenv("BLOCKSEG_FAKE_DEVICE", text)


def test_a_device_gives_the_bytes_of_the_cpu_and_its_choice_is_kept(
    blockseg, volume, content_of, tmp_path
):
    blockseg("run", volume, "cpu.zarr", *HOW, "--scheduler", "serial", "-q")
    planned = blockseg("plan", volume, "gpu.zarr", *HOW, *SERIAL).output
    assert re.search(r"tried +fake float16: [\d.e+]+ million voxels/s", planned)
    first = blockseg("run", volume, "gpu.zarr", *HOW, *SERIAL)
    assert content_of(tmp_path / "gpu.zarr") == content_of(tmp_path / "cpu.zarr")
    assert "fake float16 on CUDA, windows of 64×64×48" in first.output
    assert "otherwise" not in first.output
    decided = record(tmp_path / "gpu.zarr")["decisions"]
    (tried,) = decided["trial"]["tried"]
    assert (tried["why_not"], tried["flips"]) == ("", 0)
    assert tried["voxels_per_second"] > 0
    with Ledger.read(tmp_path / "gpu.zarr" / ".blockseg" / "ledger.sqlite") as ledger:
        assert json.loads(ledger.get("engine") or "") == decided["trial"]
    blockseg("run", volume, "gpu.zarr", *HOW, *SERIAL, "-q")
    assert record(tmp_path / "gpu.zarr")["decisions"] == decided


def test_a_device_short_of_memory_from_the_start_gets_smaller_windows(
    blockseg, volume, content_of, tmp_path, monkeypatch
):
    on(monkeypatch, memory=100 * 128 * 112)
    done = blockseg("run", volume, "gpu.zarr", *HOW, *SERIAL)
    assert "windows of 32×64×48" in done.output
    assert "Note: windows of fake float16 are smaller than planned" in done.output
    assert record(tmp_path / "gpu.zarr")["decisions"]["window"] == [32, 64, 48]
    monkeypatch.delenv("BLOCKSEG_FAKE_DEVICE")
    blockseg("run", volume, "cpu.zarr", *HOW, "--scheduler", "serial", "-q")
    assert content_of(tmp_path / "gpu.zarr") == content_of(tmp_path / "cpu.zarr")


def undo(out):
    """Lose what the blocks wrote, so that they are done again by the same engine."""
    for image in ("0", "labels/foreground/0"):
        for shard in (out / image / "c").rglob("*"):
            if shard.is_file():
                shard.unlink()


@pytest.mark.parametrize("sparse", [(), ("--sparse",)], ids=["", "sparse"])
def test_a_device_that_runs_out_of_memory_later_goes_on_and_says_which_blocks(
    blockseg, volume, content_of, tmp_path, monkeypatch, sparse
):
    run = ("run", volume, "gpu.zarr", *HOW, *SERIAL, *sparse)
    blockseg(*run, "-q")
    before = content_of(tmp_path / "gpu.zarr")
    undo(tmp_path / "gpu.zarr")
    on(monkeypatch, memory=100 * 128 * 112)
    done = blockseg(*run)
    assert content_of(tmp_path / "gpu.zarr") == before
    said = "2 blocks computed by fake float16 with windows of 32×64×48"
    assert said in done.output
    kept = record(tmp_path / "gpu.zarr")
    assert kept["decisions"]["window"] == [64, 64, 48]
    ((how, blocks),) = kept["sessions"][-1]["otherwise"].items()
    assert how.startswith("computed by fake float16")
    assert blocks == kept["sessions"][-1]["totals"]["noted"] == 2


def test_a_device_that_is_off_is_not_used_and_the_user_is_told(
    blockseg, volume, content_of, tmp_path, monkeypatch
):
    on(monkeypatch, error=0.1)
    done = blockseg("run", volume, "gpu.zarr", *HOW, *SERIAL)
    assert "fake on cpu" in done.output
    assert "the CPU does the work" in done.output
    assert "probabilities differ from torch float32 by up to 0.1" in done.output
    blockseg("run", volume, "cpu.zarr", *HOW, "--scheduler", "serial", "-q")
    assert content_of(tmp_path / "gpu.zarr") == content_of(tmp_path / "cpu.zarr")


@pytest.fixture
def breaking(blockseg, volume, tmp_path, monkeypatch):
    """A run to resume on a device that will break in a block, once."""
    blockseg("run", volume, "a.out.zarr", *HOW, *SERIAL, "-q")
    undo(tmp_path / "a.out.zarr")
    judged = record(tmp_path / "a.out.zarr")["decisions"]["trial"]["windows"]
    (tmp_path / "breaks").touch()
    on(monkeypatch, breaks=tmp_path / "breaks", after=len(judged))
    blockseg("run", volume, "good.zarr", *HOW, "--scheduler", "serial", "-q")
    return tmp_path / "a.out.zarr", tmp_path / "good.zarr"


def test_without_a_cluster_a_device_that_breaks_stops_the_run_which_can_be_resumed(
    blockseg, volume, content_of, breaking
):
    out, good = breaking
    done = blockseg("run", volume, out, *HOW, *SERIAL, code=3)
    assert "the device of fake failed: the fake device broke" in done.output
    assert "Run the same command again" in done.output
    blockseg("run", volume, out, *HOW, *SERIAL, "-q")
    assert content_of(out) == content_of(good)


@pytest.mark.dask
def test_a_worker_whose_device_breaks_is_replaced_and_nothing_is_lost(
    blockseg, volume, content_of, tmp_path, breaking
):
    out, good = breaking
    done = blockseg("run", volume, out, *HOW, "--device", "cuda", "--workers", "1")
    assert not (tmp_path / "breaks").exists()
    assert "died (the device of fake failed: the fake device broke" in done.output
    assert content_of(out) == content_of(good)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("scheduler", [("--scheduler", "serial"), ()])
def test_a_card_segments_as_the_cpu_does_with_the_engine_that_was_fastest(
    blockseg, brain, tmp_path, scheduler
):
    how = ("--no-metrics", "--roi", "0:96,0:128,0:160", "-q")
    blockseg("run", brain, "cpu.zarr", *how, "--device", "cpu")
    blockseg("run", brain, "gpu.zarr", *how, "--device", "cuda", *scheduler)
    decided = record(tmp_path / "gpu.zarr")["decisions"]
    able = [one for one in decided["trial"]["tried"] if not one["why_not"]]
    assert able
    best = max(able, key=lambda one: one["voxels_per_second"])
    assert (decided["backend"], decided["precision"]) == (
        best["backend"],
        best["precision"],
    )
    cpu, gpu = (
        np.asarray(zarr.open_array(tmp_path / name / "0", mode="r")[:]).astype(int)
        for name in ("cpu.zarr", "gpu.zarr")
    )
    assert cpu.max() > 200
    assert abs(cpu - gpu).max() <= 0.012 * 255
    assert np.mean((cpu >= 128) != (gpu >= 128)) < 1e-4


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_card_that_is_allowed_little_memory_gets_smaller_windows(
    blockseg, brain, tmp_path
):
    allowed = 512 * 2**20 / torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(allowed)
    try:
        done = blockseg(
            "run", brain, "gpu.zarr", "--no-metrics", "--window", "128,192,256",
            "--backend", "torch", "--precision", "float32", "--scheduler", "serial",
            "--device", "cuda",
        )  # fmt: skip
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert "are smaller than planned" in done.output
    assert min(record(tmp_path / "gpu.zarr")["decisions"]["window"]) < 128

"""Runs in bfloat16: tried, recorded, resumed; with a fake on any CPU, with engines where
there are instructions for it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import zarr

from blockseg.inference import processor as processors
from blockseg.inference.backends.openvino.vector_width import prefers_avx2
from blockseg.inference.backends.table import available_backends, backend_row
from blockseg.inference.processor import Processor, processor
from blockseg.networks.registry import build
from blockseg.networks.weights import save_weights
from blockseg.networks.weights_info import WeightsInfo
from blockseg.segmentation.engines import cpu_precision
from blockseg.segmentation.engines import trial as engine_trial

SHAPE = (64, 64, 96)
HOW = (
    "--normalization", "100,200", "--block", "64,64,48", "--window", "64,64,48",
    "--voxel-size", "1,1,1", "--no-metrics", "--scheduler", "serial",
)  # fmt: skip
FAKE = (*HOW, "--backend", "fake")


@pytest.fixture
def volume(tmp_path):
    rng = np.random.default_rng(0)
    store = zarr.create_array(
        tmp_path / "a.zarr", shape=SHAPE, dtype="u2", chunks=(32,) * 3
    )
    voxels = rng.integers(100, 400, SHAPE)
    voxels[20:24, :, 30:34] += 900
    store[:] = voxels
    return "a.zarr"


def record(folder):
    return json.loads((folder / ".blockseg" / "run.json").read_text())["decisions"]


def _size(path):
    return path.stat().st_size if path.is_file() else -1


@pytest.fixture
def on(monkeypatch):
    def chosen(unit):
        found = Processor(f"a CPU with {unit or 'nothing'}", unit)
        for module in (cpu_precision, engine_trial, processors):
            monkeypatch.setattr(module, "processor", lambda: found)

    return chosen


def test_a_run_in_bfloat16_is_tried_recorded_and_resumed_on_another_cpu(
    blockseg, volume, content_of, tmp_path, on
):
    on("amx")
    blockseg("run", volume, "plain.zarr", *FAKE, "-q")
    first = blockseg("run", volume, "quick.zarr", *FAKE, "--precision", "bfloat16")
    assert "trying bfloat16 on windows of the volume" in first.output
    assert "fake bfloat16 on cpu" in first.output
    assert content_of(tmp_path / "quick.zarr") == content_of(tmp_path / "plain.zarr")
    found = record(tmp_path / "quick.zarr")
    assert found["precision"] == "bfloat16"
    assert [one["precision"] for one in found["trial"]["tried"]] == [
        "float32",
        "bfloat16",
    ]
    shard = max((tmp_path / "quick.zarr" / "0" / "c").rglob("0"), key=_size)
    shard.unlink()
    on("")
    again = blockseg("run", volume, "quick.zarr", *FAKE, "--precision", "bfloat16")
    assert "trying" not in again.output
    assert "computed by fake float32" in again.output
    assert "this CPU has no instructions for bfloat16" in again.output
    assert record(tmp_path / "quick.zarr") == found
    assert content_of(tmp_path / "quick.zarr") == content_of(tmp_path / "plain.zarr")


def test_a_run_says_what_fast_would_gain_where_there_are_tiles(
    blockseg, volume, on, monkeypatch
):
    on("amx")
    # A fake gains nothing, of which nothing is said.
    assert "--precision fast" not in blockseg("run", volume, "0.zarr", *FAKE).output
    quicker = replace(backend_row("fake"), bfloat16_gain={"amx": 2.0})
    monkeypatch.setattr(
        "blockseg.segmentation.engines.cpu_precision.backend_row", lambda _: quicker
    )
    said = blockseg("run", volume, "a.out.zarr", *FAKE).output
    assert said.count("--precision fast") == 1
    on("")
    assert "--precision fast" not in blockseg("run", volume, "b.zarr", *FAKE).output


def test_bfloat16_is_refused_in_one_line_before_anything_is_written(
    blockseg, volume, tmp_path, on
):
    on("")
    words = ("run", volume, "out.zarr", *FAKE, "--precision", "bfloat16")
    said = blockseg(*words, code=1).output
    assert "this CPU has no instructions for bfloat16" in said
    assert not (tmp_path / "out.zarr").exists()


def test_other_precisions_belong_to_other_runs(blockseg, volume, on):
    on("")
    blockseg("run", volume, "out.zarr", *FAKE, "-q")
    again = ("run", volume, "out.zarr", *FAKE, "--precision", "fast")
    said = blockseg(*again, code=1).output
    assert "--precision was auto, now fast" in said


@pytest.mark.skipif(
    not processor().bfloat16, reason="this CPU has no instructions for bfloat16"
)
@pytest.mark.parametrize("architecture", ["sdasn", "voxresnet", "unet3d"])
def test_every_network_runs_in_bfloat16_and_masks_are_those_of_float32(
    blockseg, volume, tmp_path, architecture
):
    if "openvino" not in available_backends():
        pytest.skip("needs the extra cpu")
    how = [*HOW, "--backend", "openvino"]
    if architecture != "sdasn":
        torch.manual_seed(3)
        info = WeightsInfo("w", 1.0, width=2, architecture=architecture)
        save_weights(tmp_path / "w.safetensors", build(architecture, 2).eval(), info)
        how += ["--weights", "w.safetensors"]
    blockseg("run", volume, "plain.zarr", *how, "-q")
    blockseg("run", volume, "quick.zarr", *how, "--precision", "bfloat16", "-q")
    found = record(tmp_path / "quick.zarr")
    judged = found["trial"]["tried"][1]
    if prefers_avx2(8 if architecture == "sdasn" else 2):
        assert "AVX2 has no bfloat16" in judged["why_not"]
    else:
        assert judged["flips"] is not None, judged
    assert found["precision"] == ("float32" if judged["why_not"] else "bfloat16")
    masks = [
        np.asarray(zarr.open_array(tmp_path / name / "labels/foreground/0", mode="r"))
        for name in ("plain.zarr", "quick.zarr")
    ]
    flips = np.count_nonzero(masks[0] != masks[1])
    allowed = max(1e-3 * masks[0].size, 0.02 * np.count_nonzero(masks[0]), 3)
    assert flips <= allowed, found["trial"]

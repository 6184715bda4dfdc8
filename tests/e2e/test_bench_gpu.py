"""The benchmark of GPUs runs without one, at toy sizes; a row that cannot run says why."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

ROOT = Path(__file__).parents[2]
MODULE = "benchmarks.gpu.bench_gpu"
ROWS = ("limits", "torch-fp16", "cuda", "run-auto")


def output_of(*words):
    done = subprocess.run(
        [sys.executable, "-m", MODULE, "--smoke", *map(str, words)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_rows_are_measured_apart_kept_and_not_measured_again(tmp_path):
    rng = np.random.default_rng(0)
    image = rng.integers(150, 400, (16, 16, 16)).astype("u2")
    tifffile.imwrite(tmp_path / "a.tif", image)
    tifffile.imwrite(tmp_path / "truth.tif", (image > 300).astype("u1"))
    file = tmp_path / "gpu.json"
    volume = f"{tmp_path / 'a.tif'}={tmp_path / 'truth.tif'}"
    words = ("--json", file, "--volumes", volume, "--rows")
    said = output_of(*words, *ROWS)
    assert "our kernels need a card" in said
    (found,) = json.loads(file.read_text()).values()
    rows = found["rows"]
    assert set(rows) == set(ROWS)
    assert all(rate > 0 for rate in rows["limits"].values())
    torch = rows["torch-fp16"]
    assert torch["forward_seconds"] > 0
    assert torch["voxels_per_second"] * torch["host_to_host_seconds"] == pytest.approx(
        16**3
    )
    (parity,) = torch["volumes"].values()
    assert parity["voxels"] == image.size
    assert parity["largest_difference"] <= 1 / 255
    assert parity["flipped"] < 1e-3
    assert abs(parity["f1"] - parity["f1_float32"]) < 0.01
    assert rows["run-auto"]["engine"] == "fake float16"
    assert rows["run-auto"]["tried"][0]["why_not"] == ""
    again = output_of(*words, "torch-fp16")
    assert again.splitlines()[-1] in said

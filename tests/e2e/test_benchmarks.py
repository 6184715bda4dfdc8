"""The benchmarks run; their numbers are made on machines that do nothing else."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def output_of(module, *words):
    done = subprocess.run(
        [sys.executable, "-m", module, "--quick", "--threads", "1", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_inference_is_compared_in_speed_memory_and_parity(tmp_path):
    file = tmp_path / "infer.json"
    ways = ("published-96", "torch", "openvino")
    said = output_of("benchmarks.infer.bench_infer", "--json", file, "--ways", *ways)
    assert "OpenVINO float32" in said
    found = json.loads(file.read_text())["ways"]
    assert set(found) == set(ways)
    for name, row in found.items():
        assert row["voxels_per_second"] > 0
        assert row["peak_bytes"] > 0
        # Without a halo every window has seams; the others are one pass over the whole.
        assert (row["largest_difference"] < 1e-4) == (name != "published-96")
    exact = found["torch"]
    assert exact["multiply_adds"] > exact["one_pass"]
    assert found["openvino"]["multiply_adds"] == exact["multiply_adds"]
    without_halo = found["published-96"]
    assert without_halo["multiply_adds"] == pytest.approx(without_halo["one_pass"])


def test_a_row_of_whole_runs_is_run_once(tmp_path):
    file = tmp_path / "run.json"
    words = ("--folder", tmp_path / "brains", "--json", file, "--rows")
    said = output_of("benchmarks.run.bench_run", *words, "blockseg", "published")
    assert "published loop" in said
    (rows,) = (v for k, v in json.loads(file.read_text()).items() if k != "machine")
    assert rows["blockseg"]["tasks"] == 1
    assert rows["published"]["tasks"] == 1
    # One window without a halo over the whole of a volume is that volume's one pass.
    assert rows["published"]["differs"] < 1e-3
    for row in rows.values():
        assert row["voxels_per_second"] == pytest.approx(64**3 / row["seconds"])
    again = output_of("benchmarks.run.bench_run", *words, "published")
    assert again.splitlines()[-1] in said


def test_rules_are_compared_by_what_a_network_learns_and_a_row_is_trained_once(
    tmp_path,
):
    file = tmp_path / "dhpr.json"
    words = ("--folder", tmp_path / "rows", "--json", file)
    said = output_of("benchmarks.dhpr.bench_dhpr", *words)
    assert "2 rows to train" in said
    found = json.loads(file.read_text())
    assert {row["rule"] for row in found["rows"]} == {"dhpr", "random"}
    for row in found["rows"]:
        assert len(set(row["picks"])) == row["picked"] == row["budget"]
        assert 0 <= row["centreline_f1"] <= 1
    against = {pair["against"] for pair in found["paired"]}
    assert against == {"random"}
    assert file.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    again = output_of("benchmarks.dhpr.bench_dhpr", *words)
    assert "0 rows to train" in again
    assert json.loads(file.read_text()) == found

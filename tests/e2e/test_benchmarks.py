"""The benchmarks run; their numbers are made on machines that do nothing else."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

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


def test_real_volumes_are_scored_by_their_kind_of_truth_and_absent_ones_are_named(
    tmp_path,
):
    real, file = tmp_path / "real", tmp_path / "accuracy.json"
    rng = np.random.default_rng(0)
    axon = np.zeros((80, 48, 48), dtype=bool)
    axon[:, 20:23, 20:23] = True
    axon[46:49, 8:11, :40] = True  # lies in the annotated plane 48
    grey = rng.normal(200, 10, axon.shape)
    for name in ("trailmap_train", "confocal_dendrite", "cellfinder_edge"):
        (real / name).mkdir(parents=True)
        bright = grey + 150 * axon * (name != "cellfinder_edge")
        tifffile.imwrite(real / name / "image.tif", bright.astype(np.uint16))
    labels = np.zeros(axon.shape, np.uint8)
    for z in (17, 48, 77):
        labels[z] = 1 + axon[z]
    tifffile.imwrite(real / "trailmap_train" / "label_sparse_slices.tif", labels)
    mask = axon.astype(np.uint8)
    tifffile.imwrite(real / "confocal_dendrite" / "mask_otsu.tif", mask)
    words = ("--brains", "0", "--whole", "0", "--filters", "none", "--threads", "1")
    command = [sys.executable, "-m", "benchmarks.accuracy.bench_accuracy", *words]
    done = subprocess.run(
        [*command, "--real", real, "--json", file],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "dlmb_B: left out, label.tif is absent" in done.stdout
    (found,) = json.loads(file.read_text()).values()
    planes, whole = found["trailmap_train"], found["confocal_dendrite"]
    assert 0 < planes["f1_in_plane"] <= planes["best_by_hand"] <= 1
    assert planes["recall_in_plane"] <= planes["recall_3d"]
    assert planes["adapting_would_bring"] >= 0
    assert 0 <= whole["surface_mean"] < 3
    assert "best_gain" in found["confocal_dendrite, half"]
    assert found["cellfinder_edge"]["painted_background"] < 0.01


def test_labels_are_compared_with_those_of_faces(tmp_path):
    file = tmp_path / "label.json"
    words = ("--folder", tmp_path / "brains", "--json", file, "--rows")
    output_of("benchmarks.objects.bench_label", *words, "label", "faces-all")
    rows = json.loads(file.read_text())["rows"]
    assert rows["label"]["objects"] == rows["faces-all"]["objects"] > 1


def test_somata_are_counted_on_brains_with_truth_and_on_volumes_without(tmp_path):
    file, real = tmp_path / "somata.json", tmp_path / "real"
    (real / "cellfinder_edge").mkdir(parents=True)
    grey = np.random.default_rng(0).normal(200, 10, (24, 48, 48)).astype(np.uint16)
    tifffile.imwrite(real / "cellfinder_edge" / "image.tif", grey)
    words = ("--folder", tmp_path / "brains", "--json", file, "--real", real)
    said = output_of("benchmarks.objects.bench_somata", *words, "--sets", "modest")
    assert "cellfinder_cells: left out, image.tif is absent" in said
    found = json.loads(file.read_text())
    (brain,) = found["brains"]
    assert brain["found"] == sum(hit for _, hit in brain["steps"]) <= brain["somata"]
    assert found["summary"]["modest"]["all"]["rows"] == brain["rows"]
    assert [row["rows"] for row in found["real"]] == [0]

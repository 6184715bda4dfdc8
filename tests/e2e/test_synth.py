"""A synthetic brain through the command line: all of its truth, whatever happens."""

import csv
import json
from pathlib import Path

import numpy as np
import ome_zarr_models
import pytest
import zarr

SWC = """1 1 0 0 0 4 -1
2 2 6 0 0 0.5 1
3 2 16 1 0 0.6 2
4 2 36 0 2 0.5 3
"""
SMALL = ("--shape", "48,64,160", "--scheduler", "serial", "--block", "48,64,64", "-q")


def _voxels(path: Path) -> np.ndarray:
    return np.asarray(zarr.open_array(path, mode="r")[:])


def _rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_labels_tables_and_centrelines_tell_the_same(blockseg):
    blockseg("synth", "b.zarr", *SMALL, "--preset", "lightsheet", "--seed", 4)
    out = blockseg.folder / "b.zarr"
    for group in (out, out / "labels" / "neurons", out / "labels" / "branches"):
        ome_zarr_models.open_ome_zarr(zarr.open_group(group, mode="r"))
    names = ("neurons", "branches", "truth")
    labels = {name: _voxels(out / "labels" / name / "0") for name in names}
    assert labels["neurons"].dtype == labels["branches"].dtype == np.uint32
    np.testing.assert_array_equal(labels["branches"] > 0, labels["truth"] > 0)
    assert labels["truth"].any()
    truth = out / ".blockseg" / "truth"
    table = {int(r["branch"]): r for r in _rows(truth / "branches.csv")}
    there = labels["branches"] > 0
    pairs = np.unique(
        np.stack([labels["branches"][there], labels["neurons"][there]]), axis=1
    )
    for branch, neuron in pairs.T.tolist():
        # A branch may show its flank here while its centreline lies outside.
        if branch in table:
            assert int(table[branch]["neuron"]) == neuron
            assert float(table[branch]["snr"]) > 0
    assert len(table) > 0.5 * pairs.shape[1]
    files = {p.name for p in (truth / "swc").iterdir()}
    assert files >= {f"neuron_{int(r['neuron']):06d}.swc" for r in table.values()}
    blocks = _rows(truth / "blocks.csv")
    assert [int(r["block"]) for r in blocks] == [0, 1, 2]
    for row in blocks:
        z, y, x = (int(row[k]) for k in "zyx")
        d, h, w = (int(row[f"size_{k}"]) for k in "zyx")
        part = labels["truth"][z : z + d, y : y + h, x : x + w]
        assert int(row["foreground"]) == np.count_nonzero(part)


def test_coarse_labels_hold_ids_of_the_finer_level_only(blockseg):
    blockseg("synth", "b.zarr", *SMALL, "--preset", "clean", "--seed", 4)
    neurons = blockseg.folder / "b.zarr" / "labels" / "neurons"
    fine, coarse = (np.unique(_voxels(neurons / level)) for level in ("0", "1"))
    assert len(coarse) > 1
    assert set(coarse) <= set(fine)


def test_a_brain_that_is_written_again_keeps_its_truth(blockseg):
    command = ("synth", "b.zarr", *SMALL, "--preset", "clean", "--seed", 4)
    blockseg(*command)
    truth = blockseg.folder / "b.zarr" / ".blockseg" / "truth"
    before = {p.name: p.read_bytes() for p in truth.rglob("*") if p.is_file()}
    (truth / "blocks.csv").unlink()
    blockseg(*command)
    assert before == {p.name: p.read_bytes() for p in truth.rglob("*") if p.is_file()}


def test_real_neurons_are_placed_and_are_part_of_the_request(blockseg):
    folder = blockseg.folder / "real"
    folder.mkdir()
    (folder / "a.swc").write_text(SWC)
    command = ("synth", "b.zarr", *SMALL, "--preset", "lightsheet", "--swc", "real")
    blockseg(*command)
    out = blockseg.folder / "b.zarr"
    assert _voxels(out / "labels" / "truth" / "0").any()
    assert any((out / ".blockseg/truth/swc").iterdir())
    record = json.loads((out / ".blockseg/run.json").read_text())
    assert len(record["request"]["settings"]["swc"]) == 1
    (folder / "a.swc").write_text(SWC.replace("36 0 2", "36 1 2"))
    assert "belongs to another run" in blockseg(*command, code=1).output


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.swc": SWC + "5 2 1 1 1 1 9\n"}, "a.swc, line 5 names the parent 9"),
        ({"a.swc": SWC + "hello\n"}, "a.swc, line 5 is not of the form"),
        ({"a.txt": SWC}, "is a folder without SWC files"),
        (None, "does not exist"),
    ],
)
def test_bad_neurons_are_one_line_before_anything_is_written(blockseg, files, message):
    folder = blockseg.folder / "real"
    if files is not None:
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text)
    done = blockseg("synth", "b.zarr", *SMALL, "--swc", "real", code=1)
    assert message in done.output.replace("\n", " ")
    assert not (blockseg.folder / "b.zarr").exists()


def test_a_negative_seed_is_one_line_before_anything_is_written(blockseg):
    done = blockseg("synth", "b.zarr", *SMALL, "--seed", "-1", code=1)
    assert done.output.startswith("Error: --seed '-1': must be at least 0")
    assert done.output.count("\n") == 1
    assert not (blockseg.folder / "b.zarr").exists()

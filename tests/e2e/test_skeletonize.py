"""``blockseg skeletonize``: from a run's result to traces in µm."""

import csv
import json
import os
import shutil
import signal

import numpy as np
import pytest
import tensorstore as ts
import zarr
from scipy.spatial import cKDTree

from blockseg import skeletonize
from blockseg.core.errors import ConfigError
from blockseg.core.geometry import Roi
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.morphology.swc import read_swc, swc_files
from blockseg.skeletonization import run

ROI = "16:128,0:176,32:256"
SERIAL = ("--scheduler", "serial")


def sampled(trees):
    """Return points every 0.2 µm on the lines of trees, and what each stands for."""
    points, weights = [], []
    for tree in trees:
        child = np.flatnonzero((tree.parent >= 0) & (tree.kind != 1))
        child = child[tree.kind[tree.parent[child]] != 1]
        a, b = tree.position[tree.parent[child]], tree.position[child]
        long = np.linalg.norm(a - b, axis=1)
        count = np.maximum(np.ceil(long / 0.2).astype(int), 1)
        row = np.repeat(np.arange(len(a)), count)
        at = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        share = ((at + 0.5) / count[row])[:, None]
        points.append(a[row] * (1 - share) + b[row] * share)
        weights.append((long / count)[row])
    return np.concatenate(points), np.concatenate(weights)


def near(of, to):
    """Return the share of one set of lines within 3 µm of another."""
    away, _ = cKDTree(to[0]).query(of[0], distance_upper_bound=3.0)
    return of[1][np.isfinite(away)].sum() / of[1].sum()


def rows(traces):
    with (traces / "objects.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def skeletons_in(layer):
    """Return the skeletons of a layer by id, as TensorStore finds them."""
    store = ts.KvStore.open(
        {
            "driver": "neuroglancer_uint64_sharded",
            "base": {"driver": "file", "path": f"{layer}/"},
            "metadata": json.loads((layer / "info").read_text())["sharding"],
        }
    ).result()
    keys = store.list().result()
    return {int.from_bytes(key, "big"): store.read(key).result().value for key in keys}


def files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def labelled(shared_blockseg, brain):
    """A run of a region of the brain, and its labels."""
    shared_blockseg(
        "run", brain, "out.zarr", *SERIAL, "--roi", ROI, "--block", "64", "-q"
    )
    shared_blockseg("label", "out.zarr", *SERIAL, "-q")
    return shared_blockseg.folder / "out.zarr"


@pytest.fixture(scope="module")
def traced(shared_blockseg, labelled):
    """The same, traced, by blocks that many lines cross."""
    out = shared_blockseg.folder / "traced.zarr"
    shutil.copytree(labelled, out)
    said = shared_blockseg("skeletonize", out, *SERIAL, "--block", "48,64,56")
    assert "long enough" in said.stdout
    return out


@pytest.fixture
def out(blockseg, labelled):
    """A labelled run of one's own."""
    return shutil.copytree(labelled, blockseg.folder / "out.zarr")


def test_traces_lie_on_the_true_neurites_in_um_from_the_origin(traced, brain):
    found = sampled([read_swc(path) for path in swc_files([traced / "traces/swc"])])
    truth = brain / ".blockseg/truth/swc"
    points, weights = sampled([read_swc(path) for path in swc_files([truth])])
    # Of the truth, what lies in the region that was segmented.
    low = np.array([16, 0, 32]) * [1.0, 0.35, 0.35]
    high = np.array([128, 176, 256]) * [1.0, 0.35, 0.35]
    inside = ((points >= low) & (points < high)).all(axis=1)
    true = points[inside], weights[inside]
    assert (found[0] >= low - 0.5).all()
    assert (found[0] <= high).all()
    assert near(true, found) >= 0.95
    assert near(found, (points, weights)) >= 0.95


def test_table_files_and_layer_agree(traced):
    traces = traced / "traces"
    table = rows(traces)
    assert [int(r["object"]) for r in table] == sorted(int(r["object"]) for r in table)
    written = {int(r["object"]): r for r in table if r["swc"]}
    assert written
    assert all(float(r["length_um"]) >= 10 for r in written.values())
    assert all(float(r["length_um"]) < 10 for r in table if not r["swc"])
    names = {int(p.stem) for p in (traces / "swc").iterdir()}
    assert names == set(written)
    layer = traces / "neuroglancer"
    assert json.loads((layer / "info").read_text())["@type"] == "neuroglancer_skeletons"
    inline = json.loads((layer / "segment_properties/info").read_text())["inline"]
    assert {int(name) for name in inline["ids"]} == names
    skeletons = skeletons_in(layer)
    assert set(skeletons) == names
    for number in names:
        tree = read_swc(traces / f"swc/{number}.swc")
        child = np.flatnonzero(tree.parent >= 0)
        step = tree.position[child] - tree.position[tree.parent[child]]
        length = np.linalg.norm(step, axis=1).sum()
        assert (
            abs(length - float(written[number]["length_um"])) < 0.001 * len(child) + 0.1
        )
        packed = skeletons[number]
        vertices, edges = np.frombuffer(packed, "<u4", 2)
        assert edges == vertices - 1
        places = np.frombuffer(packed, "<f4", 3 * vertices, 8).reshape(-1, 3)
        # In SWC a first node stands for the soma, unless there is one.
        own = tree.position[len(tree.position) - vertices :]
        np.testing.assert_allclose(places[:, ::-1] / 1000, own, atol=0.002)
    said = json.loads((traces / "traces.json").read_text())
    assert said["units"] == "micrometer"
    assert said["first_voxel"] == {"z": 16.0, "y": 0.0, "x": 32 * 0.35}
    assert said["objects_written"] == len(names)
    parquet = pytest.importorskip("pyarrow.parquet")
    copied = parquet.read_table(traces / "objects.parquet").to_pylist()
    assert [r["object"] for r in copied] == [int(r["object"]) for r in table]


def test_traces_do_not_depend_on_the_blocks_nor_on_the_workers(blockseg, traced, out):
    blockseg("skeletonize", out, "--workers", "2", "-q")
    assert files(out / "traces") == files(traced / "traces")


def test_python_traces_as_the_command_does(traced, out):
    found = skeletonize(str(out), scheduler="serial", min_length=10)
    assert found.traced is not None
    assert found.traced.objects == len(rows(traced / "traces"))
    assert files(out / "traces") == files(traced / "traces")
    with pytest.raises(ConfigError, match="min_lenght"):
        skeletonize(str(out), min_lenght=3)  # type: ignore[call-arg]


def test_traces_that_an_earlier_version_began_keep_a_file_for_each_object(
    blockseg, traced, out
):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run._Work, "_sharded", False)
        skeletonize(str(out), scheduler="serial", min_length=10)
    before = files(out / "traces")
    layer = out / "traces/neuroglancer"
    assert "sharding" not in json.loads((layer / "info").read_text())
    skeletons = skeletons_in(traced / "traces/neuroglancer")
    for number, content in skeletons.items():
        assert (layer / str(number)).read_bytes() == content
    one = layer / str(min(skeletons))
    one.write_bytes(one.read_bytes()[:-1])
    blockseg("skeletonize", out, *SERIAL, "-q")
    assert files(out / "traces") == before
    blockseg("skeletonize", out, *SERIAL, "-q", "--overwrite")
    assert files(out / "traces") == files(traced / "traces")


def test_another_folder_and_bridges(blockseg, traced, out):
    blockseg("skeletonize", out, *SERIAL, "--bridge", "4", "-o", "there", "-q")
    there = blockseg.folder / "there"
    assert not (out / "traces").exists()
    whole, joined = rows(traced / "traces"), rows(there)
    assert len(joined) <= len(whole)
    length = sum(float(r["length_um"]) for r in joined)
    assert length >= sum(float(r["length_um"]) for r in whole) - 0.5
    again = blockseg("skeletonize", out, *SERIAL, "-o", "there", code=1)
    assert "belongs to another run" in again.stderr


@pytest.mark.dask
@pytest.mark.slow
@pytest.mark.parametrize(("phase", "blocks"), [("lines", 7), ("traces", 0)])
def test_after_a_kill_the_same_traces_come_about(
    blockseg, traced, out, events_of, phase, blocks
):
    words = ("skeletonize", out, "--block", "48,64,56", "--workers", "2", "--json")
    first = blockseg.start(*words)
    done = 0
    for event in events_of(first.stdout):
        if event.get("phase") == phase:
            done += event["event"] == "BlockDone"
            if done == blocks:
                break
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    blockseg(*words)
    assert files(out / "traces") == files(traced / "traces")
    assert "skeletonize: complete" in blockseg("status", out).stdout.replace(
        f" of {out}", ""
    )


def test_lost_files_are_made_again(blockseg, traced, out):
    shutil.rmtree(out)
    shutil.copytree(traced, out)
    before = files(out / "traces")
    next((out / "traces/swc").iterdir()).unlink()
    (out / "traces/objects.csv").unlink()
    next((out / ".blockseg/skeletonize/lines").iterdir()).unlink()
    blockseg("skeletonize", out, *SERIAL, "--block", "48,64,56", "-q")
    assert files(out / "traces") == before


def test_other_options_are_refused_and_made_with_overwrite(blockseg, traced, out):
    shutil.rmtree(out)
    shutil.copytree(traced, out)
    refused = blockseg("skeletonize", out, *SERIAL, "--min-length", "40", code=1)
    assert "--min-length was 10.0, now 40.0" in refused.stderr
    lines = files(out / ".blockseg/skeletonize/lines")
    blockseg("skeletonize", out, *SERIAL, "--min-length", "40", "--overwrite", "-q")
    lengths = [float(r["length_um"]) for r in rows(out / "traces") if r["swc"]]
    assert len(lengths) == len(list((out / "traces/swc").iterdir()))
    assert min(lengths) >= 40
    assert files(out / ".blockseg/skeletonize/lines") == lines


def test_a_run_without_a_voxel_size_has_no_traces(blockseg, brain):
    volume = open_volume(find(str(brain)))
    voxels = volume.read(Roi((0, 0, 0), (32, 64, 64)))
    zarr.create_array(blockseg.folder / "bare.zarr", data=voxels, chunks=(32, 64, 64))
    fake = ("--backend", "fake", "-q")
    blockseg("run", "bare.zarr", "bare-out.zarr", *SERIAL, *fake)
    blockseg("label", "bare-out.zarr", *SERIAL, "-q")
    said = blockseg("skeletonize", "bare-out.zarr", *SERIAL, code=1).stderr
    assert "--voxel-size" in said
    assert not (blockseg.folder / "bare-out.zarr/traces").exists()


def test_an_image_without_objects_has_an_empty_table(blockseg, brain):
    volume = open_volume(find(str(brain)))
    dark = np.random.default_rng(0).normal(200, 10, (32, 64, 64)).astype(np.uint16)
    zarr.create_array(blockseg.folder / "dark.zarr", data=dark, chunks=(32, 64, 64))
    size = ",".join(map(str, volume.space.voxel_size))
    blockseg("run", "dark.zarr", "out.zarr", *SERIAL, "-q", "--voxel-size", size)
    blockseg("label", "out.zarr", *SERIAL, "-q")
    for words in ((), ("--bridge", "5", "--overwrite")):
        said = blockseg("skeletonize", "out.zarr", *SERIAL, *words)
        assert "0 objects" in said.stdout
        assert rows(blockseg.folder / "out.zarr/traces") == []


def test_what_is_not_labelled_or_not_ours_is_refused(blockseg, brain, out):
    (out / "traces").mkdir()
    (out / "traces/mine.txt").write_text("mine")
    said = blockseg("skeletonize", out, *SERIAL, code=1).stderr
    assert "mine.txt, which blockseg skeletonize did not make" in said
    # Nor would the output itself be cleared.
    said = blockseg("skeletonize", out, *SERIAL, "-o", out, "--overwrite", code=1)
    assert "did not make" in said.stderr
    (blockseg.folder / "other/swc").mkdir(parents=True)
    (blockseg.folder / "other/swc/1.swc").write_text("1 0 0 0 0 1 -1")
    said = blockseg("skeletonize", out, *SERIAL, "-o", "other", code=1).stderr
    assert "were not made from" in said
    assert (blockseg.folder / "other/swc/1.swc").exists()
    shutil.rmtree(out / "labels/foreground_clean")
    said = blockseg("skeletonize", out, *SERIAL, "-o", "traces", code=1).stderr
    assert "blockseg label" in said
    said = blockseg("skeletonize", brain, *SERIAL, code=1).stderr
    assert "no output of blockseg run" in said
    assert not (blockseg.folder / "traces").exists()

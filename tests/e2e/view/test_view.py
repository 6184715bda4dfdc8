"""The viewer in a real browser: what was found is drawn where it lies."""

import json
import shutil
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.spatial import cKDTree

from blockseg.blockwise.record.record import Paths
from blockseg.config.view_settings import ViewSettings
from blockseg.core.geometry import Roi
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.morphology.swc import read_swc, swc_files
from blockseg.runtime.ledger.ledger import Ledger
from blockseg.viewing import live
from blockseg.viewing.browser import NAMES, find_browser
from blockseg.viewing.of_run import run_of, view_of_run
from blockseg.viewing.place import interesting_place
from blockseg.viewing.run import view

RUN = ("--scheduler", "serial", "--backend", "fake", "--block", "64", "-q")
BOX = ("--roi", "10:70,20:148,0:128")
SIZE = 600

in_a_browser = pytest.mark.skipif(
    find_browser() is None,
    reason=f"needs a browser: none of {', '.join(NAMES)} is installed",
)


@pytest.fixture(scope="module")
def out(shared_blockseg, brain):
    shared_blockseg("run", brain, "out.zarr", *RUN, *BOX)
    return shared_blockseg.folder / "out.zarr"


def mask_of(out):
    volume = open_volume(find(str(out / "labels/foreground"), mask=True))
    return volume.read(Roi.whole(volume.shape)) > 0


def one_plane(out, folder):
    """Return a state that shows one plane of z, and the voxel in its middle."""
    run: Any = run_of(out)
    shown = view_of_run(run)
    state = shown.to_plain({})
    state["layers"] = [
        {"type": layer.kind, "name": layer.name, "source": f"zarr://blockseg:{layer.name}",
         **layer.look}
        for layer in shown.layers if layer.name == "mask"
    ]  # fmt: skip
    state |= {"layout": "xy", "showScaleBar": False, "showDefaultAnnotations": False}
    (folder / "state.json").write_text(json.dumps(state))
    return interesting_place(run)


@in_a_browser
def test_pixels_of_the_mask_are_where_its_voxels_are(blockseg, out):
    z, y, x = one_plane(out, blockseg.folder)
    blockseg(
        "view", out, "--layers", "mask", "--state", "state.json", "--screenshot",
        "view.png", "--size", f"{SIZE},{SIZE}",
    )  # fmt: skip
    with Image.open(blockseg.folder / "view.png") as opened:
        pixels = np.asarray(opened.convert("RGB")).astype(int)
    assert pixels.shape == (SIZE, SIZE, 3)
    orange = (pixels[..., 0] > 100) & (pixels[..., 2] < 60)
    plane = mask_of(out)[z]
    assert plane[y, x]
    # Two pixels a voxel, the middle of the picture in the middle of the voxel.
    middles = (np.arange(SIZE) - SIZE / 2 + 0.5) / 2
    rows, columns = (np.floor(n + middles + 0.5).astype(int) for n in (y, x))
    inside = [
        (at >= 0) & (at < n) for at, n in zip((rows, columns), plane.shape, strict=True)
    ]
    expected = np.zeros((SIZE, SIZE), bool)
    expected[np.ix_(*inside)] = plane[np.ix_(rows[inside[0]], columns[inside[1]])]
    assert expected.sum() > 200
    union = np.count_nonzero(orange | expected)
    assert np.count_nonzero(orange & expected) / union > 0.97


@pytest.fixture(scope="module")
def traced(shared_blockseg, out):
    """The same run with objects and traces."""
    copy = shutil.copytree(out, shared_blockseg.folder / "traced.zarr")
    shared_blockseg("label", copy, *RUN[:2], "-q")
    shared_blockseg("skeletonize", copy, *RUN[:2], "--min-length", "5", "-q")
    return copy


def drawn(blockseg, out, name, **look):
    """Return the picture of one layer in one plane, and the voxel in its middle."""
    run: Any = run_of(out)
    state = view_of_run(run).to_plain({})
    (layer,) = (one for one in view_of_run(run).layers if one.name == name)
    source = f"{layer.scheme}://blockseg:{name}"
    state["layers"] = [
        {"type": layer.kind, "name": name, "source": source, **layer.look, **look}
    ]
    state |= {"layout": "xy", "showScaleBar": False, "showDefaultAnnotations": False}
    (blockseg.folder / "state.json").write_text(json.dumps(state))
    blockseg(
        "view", out, "--layers", name, "--state", "state.json", "--screenshot",
        "view.png", "--size", f"{SIZE},{SIZE}",
    )  # fmt: skip
    with Image.open(blockseg.folder / "view.png") as opened:
        return np.asarray(opened.convert("RGB")).astype(int), interesting_place(run)


def middles():
    """Return how far pixels are from the middle of the picture, in voxels: two a voxel."""
    return (np.arange(SIZE) - SIZE / 2 + 0.5) / 2


@in_a_browser
def test_each_object_has_a_colour_of_its_own_where_its_voxels_are(blockseg, traced):
    look = {"selectedAlpha": 1, "saturation": 1}
    pixels, (z, y, x) = drawn(blockseg, traced, "components", **look)
    volume = open_volume(find(str(traced / "labels/components"), mask=True))
    plane = np.asarray(volume.read(Roi.whole(volume.shape)))[z]
    rows, columns = (np.floor(n + middles() + 0.5).astype(int) for n in (y, x))
    inside = [
        (at >= 0) & (at < n) for at, n in zip((rows, columns), plane.shape, strict=True)
    ]
    expected = np.zeros((SIZE, SIZE), np.uint64)
    expected[np.ix_(*inside)] = plane[np.ix_(rows[inside[0]], columns[inside[1]])]
    bright = pixels.max(axis=2) - pixels.min(axis=2) > 40
    there = expected > 0
    assert np.count_nonzero(bright & there) / np.count_nonzero(bright | there) > 0.97
    colours = [
        tuple(np.median(pixels[expected == n], axis=0))
        for n in np.unique(plane[plane > 0])
    ]
    assert len(set(colours)) == len(colours) >= 2


@in_a_browser
def test_traces_are_drawn_where_their_nodes_are(blockseg, traced):
    pixels, (z, y, x) = drawn(blockseg, traced, "skeletons")
    space = open_volume(find(str(traced / "labels/components"), mask=True)).space
    nodes = np.concatenate(
        [read_swc(path).position for path in swc_files([traced / "traces/swc"])]
    )
    voxels = (nodes - space.translation) / space.voxel_size
    near = voxels[np.abs(voxels[:, 0] - z) <= 3]
    bright = np.argwhere(pixels.max(axis=2) - pixels.min(axis=2) > 60)
    assert len(bright) > 10
    places = np.array([y, x]) + middles()[bright]
    away, _ = cKDTree(near[:, 1:]).query(places)
    # A line is some pixels wide, and nodes are a µm apart: three voxels.
    assert away.max() < 5


@in_a_browser
def test_what_a_network_says_appears_where_one_looks(
    blockseg, brain, save_bright_network
):
    save_bright_network(blockseg.folder / "w.safetensors", 4.0)
    blockseg(
        "view", brain, "--weights", "w.safetensors", "--screenshot", "a.png", "--size",
        "320,256",
    )  # fmt: skip
    with Image.open(blockseg.folder / "a.png") as opened:
        pixels = np.asarray(opened.convert("RGB")).astype(int)
    # The image is grey, the probability blue.
    assert np.count_nonzero(pixels[..., 2] - pixels[..., 0] > 60) > 30


def test_a_window_without_a_browser_tells_its_address_and_keeps_its_state(
    blockseg, out
):
    said: list[str] = []
    stop = threading.Event()
    settings = ViewSettings(browser=False, state=str(blockseg.folder / "kept.json"))
    waiting = threading.Thread(
        target=view,
        args=(str(out), settings),
        kwargs={"said": said.append, "stop": stop},
    )
    waiting.start()
    while not any("Ctrl-C" in line for line in said):
        assert waiting.is_alive()
        time.sleep(0.05)
    stop.set()
    waiting.join()
    assert said[0].startswith("Look at it: http://127.0.0.1:")
    token = said[0].rstrip("/").rpartition("/")[2]
    text = (blockseg.folder / "kept.json").read_text()
    assert token not in text
    assert "blockseg:probability" in text
    names = [layer["name"] for layer in json.loads(text)["layers"]]
    assert names[:3] == ["image", "probability", "mask"]


def test_a_run_that_goes_on_is_read_anew_when_blocks_were_written(
    blockseg, brain, monkeypatch
):
    monkeypatch.setattr(live, "EVERY", 0.02)
    blockseg("run", brain, "out.zarr", *RUN, *BOX)
    run: Any = run_of(blockseg.folder / "out.zarr")
    renewed, stop = threading.Event(), threading.Event()
    paths = Paths(blockseg.folder / "out.zarr")
    thread = live.follow(run, renewed.set, stop)
    assert not renewed.wait(0.2)
    with Ledger.open(paths.ledger, run.record.fingerprint) as ledger:
        ledger.reset("segment", [1])
    assert renewed.wait(300)
    stop.set()
    thread.join()


def test_what_cannot_be_shown_is_said_in_one_line(blockseg, out, brain, monkeypatch):
    def line(*words):
        (one,) = blockseg("view", *words, code=1).stderr.splitlines()
        return one

    assert "no layer 'nothing'; there are image, probability" in line(
        out, "--layers", "nothing"
    )
    assert "has its probability" in line(out, "--weights", "axons")
    assert "--picks" in line(out, "--picks", ".")
    assert "expected width,height" in line(out, "--size", "0")
    assert "ports end at 65535" in line(out, "--port", "70000")
    assert "nowhere.zarr" in line("nowhere.zarr")
    assert "blockseg[napari]" in line(brain, "--napari")
    monkeypatch.setattr("blockseg.viewing.browser.NAMES", ("no-such-browser",))
    assert "apt-get install chromium" in line(brain, "--screenshot", "a.png")
    monkeypatch.setitem(sys.modules, "neuroglancer", None)
    assert "pip install 'blockseg[view]'" in line(brain, "--screenshot", "a.png")


def test_picks_are_boxes_of_the_source(blockseg, out):
    blockseg(
        "propose-annotations",
        out,
        "-o",
        "picks",
        "--count",
        "2",
        "--pick-shape",
        "64",
        "-q",
    )
    from blockseg.viewing.picks import picks_layer

    run: Any = run_of(out)
    layer = picks_layer(blockseg.folder / "picks", run.record.source.space)
    listed = json.loads((blockseg.folder / "picks/manifest.json").read_text())["picks"]
    assert len(listed) == 2
    found: Any = layer.look["annotations"]
    for box, row in zip(found, listed, strict=True):
        start = [row[f"start_{axis}"] - 0.5 for axis in "xyz"]
        assert box["pointA"] == pytest.approx(start)
        size = np.subtract(box["pointB"], box["pointA"])
        assert size.tolist() == [row[f"size_{axis}"] for axis in "xyz"]


def test_levels_that_are_stored_are_taken(brain):
    from blockseg.viewing.served_volume import served_source

    spec = find(str(brain))
    served = served_source(spec, open_volume(spec).space)
    assert len(served.levels) > 1
    for number, level in enumerate(served.levels):
        expected = open_volume(find(str(brain), level=number))
        whole = Roi.whole(expected.shape)
        np.testing.assert_array_equal(level.volume.read(whole), expected.read(whole))
        assert level.factors == (2**number,) * 3

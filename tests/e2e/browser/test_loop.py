"""The whole round, and every page of it in one browser: a run, the viewer, picks, their
annotation, a training, a run, and both runs side by side."""

import io
import json
import re
import time

import numpy as np
import pytest
from PIL import Image

from blockseg.core.geometry import Roi
from blockseg.io.find import find
from blockseg.io.open import open_volume

pytestmark = pytest.mark.slow

WAIT = 300
TRAINED = (
    "--validation-share", "0", "--threads", "1", "--workers", "0", "--no-tensorboard",
)  # fmt: skip
SYNTH = ("--voxel-size", "2,1,1", "--scheduler", "serial", "-q")


def until(what):
    end = time.monotonic() + WAIT
    while not (found := what()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


def served(process):
    """Return the address that a command prints."""
    for line in process.stdout:
        if found := re.search(r"http://\S+", line):
            return found[0]
    raise AssertionError(process.wait())


def ended(process):
    process.terminate()
    assert process.wait(300) in (0, -15)


def runs(label):
    """Return a label as a stroke: start, length and value of each run."""
    flat = label.reshape(-1)
    starts = np.r_[0, np.flatnonzero(np.diff(flat)) + 1]
    lengths = np.diff(np.r_[starts, flat.size])
    return np.stack([starts, lengths, flat[starts]], 1).ravel().tolist()


def test_after_annotating_in_the_browser_the_next_run_finds_more(chrome, blockseg):
    blockseg(
        "synth", "brain.zarr", "--preset", "lightsheet", "--shape", "64,128,128",
        "--seed", "5", *SYNTH,
    )  # fmt: skip
    blockseg(
        "synth", "clean.zarr", "--preset", "clean", "--shape", "64,64,64", "--seed", "1",
        *SYNTH,
    )  # fmt: skip
    blockseg(
        "train", "clean.zarr", "-o", "START", "--label-name", "truth", "--width", "4",
        "--steps", "50", "--batch", "2", "--patch", "24", *TRAINED, "-q",
    )  # fmt: skip
    run(blockseg, "before", "START")
    viewer = blockseg.start("view", "before.zarr", "--layers", "mask", "--no-browser")
    blockseg(
        "propose-annotations", "before.zarr", "-o", "PICKS", "--count", "2",
        "--pick-shape", "64", "-q",
    )  # fmt: skip
    refused = blockseg("train", "PICKS", "-o", "RUN", *TRAINED, code=1)
    assert "2 unedited drafts" in refused.output
    annotation = blockseg.start("annotate", "PICKS", "--no-browser")
    chrome.get(served(viewer))
    until(lambda: is_orange(chrome))
    ended(viewer)
    chrome.get(served(annotation))
    annotate(chrome, blockseg.folder)
    ended(annotation)
    blockseg(
        "train", "PICKS", "-o", "RUN", "--init", "START/best.safetensors", "--steps",
        "80", "--batch", "2", "--patch", "32", "--rate", "3e-3", *TRAINED, "-q",
    )  # fmt: skip
    run(blockseg, "after", "RUN")
    said = blockseg(
        "compare", "before.zarr", "after.zarr", "--truth", "brain.zarr", "-q"
    )
    assert not said.output
    chrome.get((blockseg.folder / "compare.html").as_uri())
    shown = chrome.find_element("tag name", "body").text
    (scores,) = re.findall(F1, shown)
    before, after = map(float, scores)
    assert after > before + 0.05
    assert "A: before.zarr\nB: after.zarr" in shown
    broken = "return [...document.images].filter(one => !one.naturalWidth).length"
    assert not chrome.execute_script(broken)
    assert chrome.execute_script("return document.images.length") > 6


F1 = r"centreline: F1 ([\d.]+) ([\d.]+)"


def run(blockseg, name, weights):
    blockseg(
        "run", "brain.zarr", f"{name}.zarr", "--weights", f"{weights}/best.safetensors",
        "--scheduler", "serial", "-q",
    )  # fmt: skip


def is_orange(chrome):
    """Say whether the mask is drawn."""
    with Image.open(io.BytesIO(chrome.get_screenshot_as_png())) as opened:
        pixels = np.asarray(opened.convert("RGB")).astype(int)
    return np.count_nonzero((pixels[..., 0] > 100) & (pixels[..., 2] < 60)) > 500


def annotate(chrome, folder):
    """Paint the truth into every pick, and mark it as done."""
    truth = open_volume(find(str(folder / "brain.zarr/labels/truth"), mask=True))
    rows = json.loads((folder / "PICKS" / "manifest.json").read_text())["picks"]
    for row in rows:
        is_open = f"return document.body.dataset.open === '{row['name']}'"
        until(lambda script=is_open: chrome.execute_script(script))
        start = [row[f"start_{axis}"] for axis in "zyx"]
        stop = [n + row[f"size_{axis}"] for n, axis in zip(start, "zyx", strict=True)]
        label = truth.read(Roi(tuple(start), tuple(stop)))
        chrome.execute_script(
            "blockseg.history.apply(Uint32Array.from(arguments[0]))", runs(label)
        )
        until(lambda: chrome.execute_script("return !blockseg.saver.pending"))
        chrome.find_element("id", "done").click()
    done = "return blockseg.state.picks.every(p => p.state === 'done')"
    until(lambda: chrome.execute_script(done))

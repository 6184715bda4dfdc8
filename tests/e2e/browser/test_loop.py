"""The whole round: a run, picks, their annotation in the browser, a training, a run."""

import json
import re
import time

import numpy as np
import pytest

from blockseg.core.geometry import Roi
from blockseg.io.find import find
from blockseg.io.open import open_volume

pytestmark = pytest.mark.slow

WAIT = 120
TRAINED = (
    "--validation-share", "0", "--threads", "1", "--workers", "0",
)  # fmt: skip


def until(chrome, script):
    end = time.monotonic() + WAIT
    while not (found := chrome.execute_script(script)):
        assert time.monotonic() < end, script
        time.sleep(0.05)
    return found


def runs(label):
    """Return a label as a stroke: start, length and value of each run."""
    flat = label.reshape(-1)
    starts = np.r_[0, np.flatnonzero(np.diff(flat)) + 1]
    lengths = np.diff(np.r_[starts, flat.size])
    return np.stack([starts, lengths, flat[starts]], 1).ravel().tolist()


def test_after_annotating_in_the_browser_the_next_run_finds_more(chrome, blockseg):
    blockseg(
        "synth", "brain.zarr", "--preset", "lightsheet", "--shape", "64,128,192",
        "--seed", "5", "--voxel-size", "2,1,1", "--scheduler", "serial",
    )  # fmt: skip
    blockseg(
        "synth", "clean.zarr", "--preset", "clean", "--shape", "64,64,128", "--seed", "1",
        "--voxel-size", "2,1,1", "--scheduler", "serial",
    )  # fmt: skip
    blockseg(
        "train", "clean.zarr", "-o", "START", "--label-name", "truth", "--width", "4",
        "--steps", "60", "--batch", "2", "--patch", "24", *TRAINED,
    )  # fmt: skip
    before = scored(blockseg, "before", "START")
    blockseg(
        "propose-annotations", "before.zarr", "-o", "PICKS", "--count", "2",
        "--pick-shape", "64",
    )  # fmt: skip
    refused = blockseg("train", "PICKS", "-o", "RUN", *TRAINED, code=1)
    assert "2 unedited drafts" in refused.output
    truth = open_volume(
        find(str(blockseg.folder / "brain.zarr/labels/truth"), mask=True)
    )
    process = blockseg.start("annotate", "PICKS", "--no-browser")
    address = next(
        f[0] for line in process.stdout if (f := re.search(r"http://\S+", line))
    )
    chrome.get(address)
    rows = json.loads((blockseg.folder / "PICKS" / "manifest.json").read_text())[
        "picks"
    ]
    for row in rows:
        until(chrome, f"return document.body.dataset.open === '{row['name']}'")
        start = [row[f"start_{axis}"] for axis in "zyx"]
        stop = [n + row[f"size_{axis}"] for n, axis in zip(start, "zyx", strict=True)]
        label = truth.read(Roi(tuple(start), tuple(stop)))
        chrome.execute_script(
            "blockseg.history.apply(Uint32Array.from(arguments[0]))", runs(label)
        )
        until(chrome, "return !blockseg.saver.pending")
        chrome.find_element("id", "done").click()
    until(chrome, "return blockseg.state.picks.every(p => p.state === 'done')")
    process.terminate()
    assert process.wait(30) == 0
    blockseg(
        "train", "PICKS", "-o", "RUN", "--init", "START/best.safetensors", "--steps",
        "120", "--batch", "4", "--patch", "32", "--rate", "3e-3", *TRAINED,
    )  # fmt: skip
    assert scored(blockseg, "after", "RUN") > before + 0.05


def scored(blockseg, name, weights):
    """Run with weights and return the F1 of centrelines."""
    blockseg(
        "run", "brain.zarr", f"{name}.zarr", "--weights", f"{weights}/best.safetensors",
        "--scheduler", "serial",
    )  # fmt: skip
    blockseg("evaluate", f"{name}.zarr", "brain.zarr", "--json", f"{name}.json")
    found = json.loads((blockseg.folder / f"{name}.json").read_text())
    return found["measures"]["centreline_f1"]["value"]

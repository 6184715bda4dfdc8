"""A volume that weights were not trained for, as plan, run and the report tell it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from blockseg.core.errors import SourceWarning
from blockseg.networks.shipped import DEFAULT
from blockseg.networks.weights import load_weights, save_weights

RUN = (
    "--scheduler",
    "serial",
    "--block",
    "64",
    "--voxel-size",
    "8,1,1",
    "--axes",
    "zyx",
)


@pytest.fixture
def volume(blockseg):
    """Write a volume of bright round bodies, with voxels that are long along z."""
    rng = np.random.default_rng(0)
    voxels = rng.normal(200, 6, (32, 128, 128))
    y, x = np.mgrid[:128, :128]
    for cy, cx in ((30, 30), (90, 40), (60, 100)):
        voxels[:, (y - cy) ** 2 + (x - cx) ** 2 < 81] = 400
    tifffile.imwrite(blockseg.folder / "cells.tif", voxels.astype(np.uint16))
    return "cells.tif"


@pytest.fixture
def weights(blockseg, save_bright_network):
    """Write a tiny network that says what it was trained for, and one that does not."""
    save_bright_network(blockseg.folder / "plain.safetensors", 4.0)
    network, info = load_weights(blockseg.folder / "plain.safetensors")
    said = replace(info, trained=DEFAULT.trained, training_data="axons")
    save_weights(blockseg.folder / "said.safetensors", network, said)
    return "said.safetensors"


@pytest.mark.usefixtures("reports")
def test_plan_run_and_report_say_what_lies_outside(blockseg, volume, weights):
    options = (*RUN, "--weights", weights)
    said = blockseg("plan", volume, "out.zarr", *options).stdout
    for part in (
        "images like the training data of local",
        "round and wide",
        "8 times as long along z",
    ):
        assert part in said
    done = blockseg("run", volume, "out.zarr", *options)
    report = (blockseg.folder / "out.zarr/report.html").read_text()
    for text in (done.stdout, report):
        assert "lies outside" in text
        assert "round and wide" in text
        assert "look at the result" in text
    # The same again, from the record; and by the report alone.
    assert "round and wide" in blockseg("run", volume, "out.zarr", *options).stdout
    blockseg("report", "out.zarr")
    assert "round and wide" in (blockseg.folder / "out.zarr/report.html").read_text()


def test_nothing_is_said_by_weights_that_state_no_ranges(blockseg, volume, weights):
    del weights
    options = (*RUN, "--weights", "plain.safetensors")
    assert "outside" not in blockseg("plan", volume, "out.zarr", *options).stdout
    assert "outside" not in blockseg("run", volume, "out.zarr", *options).stdout


def test_info_says_it_of_the_default_weights(blockseg, volume):
    of_source = ("--voxel-size", "8,1,1", "--axes", "zyx")
    said = blockseg("info", volume, *of_source).stdout
    assert DEFAULT.purpose in said
    assert "round and wide, as somata are" in said
    found = json.loads(blockseg("info", volume, *of_source, "--json").stdout)
    assert any("along z" in clause for clause in found["outside"])


@pytest.fixture
def trained(blockseg):
    """Train a tiny network for one step on thin bright lines; its weights."""
    rng = np.random.default_rng(1)
    for name in ("a", "b"):
        label = np.zeros((16, 64, 64), np.uint8)
        for place in rng.choice(np.arange(4, 60, 8), 4, replace=False):
            label[4:12, place : place + 3] = 1
        image = rng.normal(200, 6, label.shape) + 200 * label
        for kind, voxels in (("image", image.astype(np.uint16)), ("label", label)):
            path = blockseg.folder / "mine" / kind / f"{name}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(path, voxels)
    tiny = ("--width", "2", "--patch", "16", "--batch", "1", "--steps", "1")
    here = ("--threads", "1", "--workers", "0", "--no-tensorboard")
    blockseg("train", "mine", "-o", "mine-run", *tiny, *here)
    return "mine-run/best.safetensors"


def test_weights_of_a_training_know_what_they_were_trained_for(
    blockseg, volume, trained
):
    alike, other = ("mine/image/a.tif", "--axes", "zyx"), (volume, "--axes", "zyx")
    own = ("--weights", trained)
    assert (
        "inside of what these weights were trained for"
        in blockseg("info", *alike, *own).stdout
    )
    said = blockseg("info", *other, *own).stdout
    assert f"outside of what {trained} was trained for" in said
    assert "round and wide" in said
    noted = blockseg("predict", *other, "-o", "seen", *own).stdout
    assert "images like the training data of mine-run" in noted
    assert "round and wide" in noted
    assert "outside" not in blockseg("predict", *alike, "-o", "seen", *own).stdout


def test_the_default_weights_are_judged_alike_by_any_of_their_names(blockseg, volume):
    shown = [
        blockseg("info", volume, "--axes", "zyx", *named).stdout
        for named in ((), ("--weights", "shipped"), ("--weights", DEFAULT.name))
    ]
    assert "outside of what the default weights were trained for" in shown[0]
    assert set(shown) == {shown[0]}


def test_predict_warns_of_an_array_that_lies_outside(blockseg, volume, trained):
    import blockseg as api

    voxels = tifffile.imread(blockseg.folder / volume)
    weights = blockseg.folder / trained
    with pytest.warns(SourceWarning, match="round and wide"):
        api.predict(voxels, weights=str(weights))
    alike = tifffile.imread(blockseg.folder / "mine/image/a.tif")
    assert api.predict(alike, weights=str(weights)).shape == alike.shape


def test_info_says_that_weights_state_no_ranges(blockseg, volume, weights):
    del weights
    options = ("--axes", "zyx", "--weights", "plain.safetensors")
    said = blockseg("info", volume, *options).stdout
    assert "do not say which images they were trained for" in said

"""VoxResNet and the 3-D U-Net through the command line, against the whole volume."""

import json
from importlib.util import find_spec

import numpy as np
import pytest
import tifffile
import torch
import zarr
from torch import nn

from blockseg.core.specs import Affine
from blockseg.inference.reference import reference_inference
from blockseg.networks.registry import build
from blockseg.networks.weights import save_weights
from blockseg.networks.weights_info import WeightsInfo


def lively(architecture):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = build(architecture, 2).eval()
        for module in network.modules():
            if isinstance(module, (nn.Conv3d, nn.ConvTranspose3d)):
                nn.init.kaiming_normal_(module.weight)
            if isinstance(module, nn.BatchNorm3d):
                nn.init.normal_(module.bias, std=0.5)
    return network


@pytest.fixture
def stack(blockseg):
    rng = np.random.default_rng(0)
    voxels = rng.integers(100, 300, (13, 16, 37)).astype("u2")
    tifffile.imwrite(blockseg.folder / "stack.tif", voxels)
    return voxels


def save(folder, architecture):
    network = lively(architecture)
    name = f"{architecture}.safetensors"
    info = WeightsInfo("w", 1.0, width=2, architecture=architecture)
    save_weights(folder / name, network, info)
    return network, name


@pytest.mark.parametrize(
    ("architecture", "backend"), [("voxresnet", "openvino"), ("unet3d", "torch")]
)
def test_a_run_with_another_network_equals_the_whole_volume(
    blockseg, stack, architecture, backend
):
    if not find_spec(backend):
        pytest.skip(f"{backend} is not installed")
    network, weights = save(blockseg.folder, architecture)
    blockseg(
        "run", "stack.tif", "out.zarr", "--weights", weights, "--backend", backend,
        "--block", "16,16,24", "--scheduler", "serial", "--threads", "1", "-q",
    )  # fmt: skip
    out = blockseg.folder / "out.zarr"
    record = json.loads((out / ".blockseg" / "run.json").read_text())
    assert record["request"]["settings"]["halo"] == network.reach
    made = record["decisions"]
    affine = Affine(made["offset"], made["scale"], *made["clip"])
    wanted = np.rint(255 * reference_inference(stack, network, affine, "float32"))
    got = np.asarray(zarr.open_array(out / "0", mode="r")[...]).astype(int)
    assert wanted.std() > 20
    assert abs(got - wanted).max() <= 1


@pytest.mark.usefixtures("stack")
def test_what_does_not_fit_another_network_is_one_line(blockseg):
    _, weights = save(blockseg.folder, "voxresnet")
    run = ("run", "stack.tif", "out.zarr", "--weights", weights)
    serial = ("--scheduler", "serial")
    for given, message in (
        (("--halo", "32"), "below the network's reach of 72 voxels"),
        (("--window", "12"), "no multiple of 8"),
        (("--block", "12"), "no multiple of 8"),
    ):
        done = blockseg(*run, *serial, *given, code=1)
        assert message in done.stderr
        assert "\n" not in done.stderr.removesuffix("\n").split("Error: ")[1]
    assert not (blockseg.folder / "out.zarr").exists()
    assert "voxresnet" in blockseg("weights", "show", weights).stdout

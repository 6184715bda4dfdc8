"""Weights of finite numbers whose answer is no number."""

import json

import numpy as np
import pytest
import tifffile
import torch

from blockseg.networks.registry import build
from blockseg.networks.weights import save_weights
from blockseg.networks.weights_info import WeightsInfo

WHOLE = ("--scheduler", "serial", "--threads", "1", "--normalization", "200,10")


@pytest.fixture
def weights(tmp_path):
    """Write SDASN of width 2 after a change to it."""

    def write(change):
        torch.manual_seed(0)
        network = build("sdasn", 2).eval()
        with torch.no_grad():
            change(network)
        path = tmp_path / "broken.safetensors"
        save_weights(path, network, WeightsInfo("local", 1.0, width=2))
        return path

    return write


def variance_is_negative(network):
    network.x00[0].norm.running_var.fill_(-1)


def too_large(network):
    for parameter in network.parameters():
        parameter.mul_(1e30)


@pytest.fixture
def image(tmp_path):
    image = np.random.default_rng(0).normal(200, 10, (32, 48, 48)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", image)
    return tmp_path / "a.tif"


@pytest.mark.parametrize("change", [variance_is_negative, too_large])
@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_a_block_whose_answer_is_no_number_fails_and_says_why(
    blockseg, weights, image, change, backend
):
    if backend == "openvino":
        pytest.importorskip("openvino")
    words = ("--weights", weights(change), "--backend", backend, *WHOLE)
    done = blockseg("run", image, "out.zarr", *words, "--json", code=3)
    events = [
        json.loads(line) for line in done.output.splitlines() if line.startswith("{")
    ]
    said = [event for event in events if "NaN" in json.dumps(event)]
    assert said, done.output
    assert "weights are damaged" in json.dumps(said)
    status = blockseg("status", "out.zarr", code=None)
    assert "NaN" in status.output


def test_a_single_stack_whose_answer_is_no_number_is_refused(blockseg, weights, image):
    words = ("--weights", weights(too_large), "--backend", "torch", *WHOLE[2:])
    done = blockseg("predict", image, "-o", "folder", *words, code=1)
    assert "the network answers NaN" in done.output

"""Our kernels in Triton's interpreter, on a CPU; on a card see test_backend_cuda."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from blockseg.core.specs import Affine
from blockseg.inference.backends.cuda.weights import heads
from blockseg.inference.backends.device.protocol import RawWindow
from blockseg.inference.backends.device.streams import bounds
from blockseg.networks.layers import level_masks
from blockseg.networks.weights import save_weights
from blockseg.networks.weights_info import WeightsInfo
from blockseg.normalization.affine import normalize

pytest.importorskip(
    "triton",
    "3.9",
    reason="Triton is not there, or its interpreter is too old for NumPy",
)

pytestmark = pytest.mark.slow

CORE = (4, 4, 4)
WINDOW = (68, 68, 68)
AFFINE = Affine(168.5, 500.0, -1.0, 3.0)


def windows():
    """Return one inside the volume, and one that reaches beyond on every axis."""
    voxels = np.random.default_rng(0).integers(0, 3000, WINDOW).astype(np.uint16)
    inside = [np.ones(n, np.float32) for n in WINDOW]
    inside[0][36:] = inside[1][36:] = inside[2][:28] = inside[2][44:] = 0
    # The volume's last voxel but one is the last that is known.
    known = voxels[:35, :35, 28:43]
    return {
        "inside": RawWindow(voxels, (0, 0, 0), None),
        "edge": RawWindow(known, (0, 0, 28), (inside[0], inside[1], inside[2])),
    }


@pytest.fixture(scope="module")
def random_network(make_network):
    network = make_network(4)
    for head in (network.head00, network.head01, network.head02):
        # Logits of 80 would make of fp16's rounding more than networks have.
        torch.nn.init.normal_(head.weight, std=0.05)
    return network


@pytest.fixture(scope="module")
def interpreted(tmp_path_factory, random_network, reference):
    folder = tmp_path_factory.mktemp("kernels")
    info = WeightsInfo(
        "random", gain=0.03, training_data="none", licence="MIT", width=4
    )
    save_weights(folder / "weights.safetensors", random_network, info)
    given: dict[str, Any] = {
        "weights": str(folder / "weights.safetensors"),
        "affine": [AFFINE.offset, AFFINE.scale, AFFINE.low, AFFINE.high],
        "core": CORE,
    }
    for name, window in windows().items():
        # What is not known must not matter.
        given[f"{name}_raw"] = np.full(WINDOW, 65535, np.uint16)
        given[f"{name}_raw"][place(window)] = window.voxels
        given[f"{name}_bounds"] = bounds(window, WINDOW)
    _, x00 = reference["inside"]
    given["x00"] = np.zeros((*x00.shape[1:], 8), np.float16)
    given["x00"][..., :4] = np.moveaxis(x00, 0, 3)
    given["pool1"] = pooled(given["x00"])
    shares, _ = heads(random_network, 8)
    inner = given["x00"][30:-30, 30:-30, 30:-30].astype(np.float32)
    given["logits"] = inner @ shares["x00.1"].numpy()
    np.savez(folder / "in.npz", **given)
    subprocess.run(
        [
            sys.executable,
            Path(__file__).with_name("interpreted_kernels.py"),
            folder / "in.npz",
            folder / "out.npz",
        ],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        check=True,
    )
    with np.load(folder / "out.npz") as found:
        return dict(found)


def place(window):
    return tuple(
        slice(a, a + n) for a, n in zip(window.start, window.voxels.shape, strict=True)
    )


@pytest.fixture(scope="module")
def reference(random_network):
    """Return for each window the probability and x00, by torch in float32."""
    found = {}
    for name, window in windows().items():
        group = np.zeros(WINDOW, np.float32)
        normalize(window.voxels, AFFINE, group[place(window)])
        masks = mask = None
        if window.inside is not None:
            z, y, x = (torch.from_numpy(vector)[None] for vector in window.inside)
            masks = (z, y, x)
            (mask,) = level_masks(masks, 1)
        image = torch.from_numpy(group)[None, None]
        with torch.inference_mode():
            logits = random_network.core_logits(image, masks)
            x00 = random_network.x00(image, False, mask)
        found[name] = logits.sigmoid()[0, 0].numpy(), x00[0].numpy()
    return found


@pytest.mark.parametrize("name", ["inside", "edge"])
def test_the_chain_of_kernels_gives_the_networks_bytes(interpreted, reference, name):
    wanted, _ = reference[name]
    assert wanted.std() > 0.1  # not saturated: a shift by a voxel would show
    got = interpreted[f"{name}_bytes"]
    assert (got.shape, got.dtype) == (CORE, np.uint8)
    assert abs(got / 255 - wanted).max() < 0.01


def assert_close(got, wanted):
    assert wanted.std() > 0.5
    assert abs(got - wanted).max() < 0.002 * abs(wanted).max()


def pooled(x00):
    z, y, x = (n // 2 for n in x00.shape[:3])
    return x00.reshape(z, 2, y, 2, x, 2, 8).max((1, 3, 5))


@pytest.mark.parametrize(("name", "planes"), [("inside", 6), ("edge", 64)])
def test_the_encoders_maps_are_the_networks(interpreted, reference, name, planes):
    _, wanted = reference[name]
    x00 = interpreted[f"{name}_x00"]
    assert x00.shape == (*wanted.shape[1:], 8)
    assert_close(np.moveaxis(x00, 3, 0)[:4, :planes], wanted[:, :planes])
    half = planes // 2
    assert np.array_equal(interpreted[f"{name}_pool1"][:half], pooled(x00)[:half])


def test_two_layers_in_one_kernel_give_the_same_maps(interpreted, reference):
    wanted = np.moveaxis(reference["inside"][1], 0, 3)
    wanted = np.pad(wanted, [(0, 0)] * 3 + [(0, 4)])
    x00, pool = interpreted["pair_x00"], interpreted["pair_pool1"]
    assert_close(x00[:4], wanted[:4])
    # One more group of the next planes of tiles, and nothing else.
    assert_close(x00[4:8, :62, :62], wanted[4:8, :62, :62])
    assert np.array_equal(pool, pooled(x00))
    assert not x00[4:8, 62:].any()
    assert not x00[4:8, :, 62:].any()
    assert not x00[8:].any()


@pytest.mark.parametrize("way", ["inside", "pair"])
def test_the_encoder_starts_the_logits(interpreted, reference, way):
    _, x00 = reference["inside"]
    share = interpreted["share"][:4]
    wanted = np.einsum("cxyz,c->xyz", x00[:, :4, :4, :4], share)
    assert wanted.std() > 0.05
    assert abs(interpreted[f"{way}_logits"] - wanted).max() < 0.01

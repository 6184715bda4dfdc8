"""SDASN's parameters without torch are those with torch."""

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from safetensors.torch import load_file as load_tensors
from safetensors.torch import save_file as save_tensors

from blockseg.core.errors import WeightsError
from blockseg.networks.folding import folded
from blockseg.networks.sdasn import SDASN
from blockseg.networks.sdasn_arrays import folded_arrays, load_arrays, sdasn_shapes
from blockseg.networks.unet3d import UNet3D
from blockseg.networks.weights import save_weights
from blockseg.networks.weights_info import WeightsInfo


def information(architecture, width):
    return WeightsInfo("n", 1.0, "none", "none", width, architecture=architecture)


@pytest.mark.parametrize("width", [2, 3, 8, 12])
def test_shapes_are_those_of_the_network(width):
    own = {k: tuple(v.shape) for k, v in SDASN(width).state_dict().items()}
    assert sdasn_shapes(width) == own


def test_folded_weights_are_those_that_torch_folds(weights_file, network):
    arrays = folded_arrays(load_arrays(weights_file))
    layers = dict(folded(network).named_modules())
    for name, array in arrays.items():
        layer, _, kind = name.rpartition(".")
        conv = layers[layer] if layer.startswith("head") else layers[layer].conv
        wanted = getattr(conv, kind).numpy()
        assert array.dtype == np.float32
        np.testing.assert_allclose(array, wanted, rtol=1e-6, atol=1e-9)
    assert len(arrays) == sum(
        k.endswith(("conv.weight", "conv.bias")) or "head" in k
        for k in network.state_dict()
    )


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "unet.safetensors"
    save_weights(path, UNet3D(4), information("unet3d", 4))
    with pytest.raises(WeightsError, match="holds weights of unet3d"):
        load_arrays(path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda t: t.pop("up01.conv.bias"), "lacks up01.conv.bias"),
        (lambda t: t.update(more=np.zeros(1, "f4")), "also holds more"),
        (
            lambda t: t.update({"head00.bias": np.zeros(2, "f4")}),
            "head00.bias has shape",
        ),
        (lambda t: t["x00.0.conv.bias"].fill(np.nan), "NaN or infinity in x00.0"),
    ],
)
def test_damaged_weights_are_refused(weights_file, tmp_path, damage, message):
    tensors = {k: v.copy() for k, v in load_file(weights_file).items()}
    damage(tensors)
    with safe_open(weights_file, framework="numpy") as file:
        header = file.metadata()
    path = tmp_path / "damaged.safetensors"
    save_file(tensors, path, header)
    with pytest.raises(WeightsError, match=message):
        load_arrays(path)


def test_numbers_that_numpy_does_not_know_are_refused(weights_file, tmp_path):
    tensors = load_tensors(weights_file)
    tensors["head00.bias"] = tensors["head00.bias"].to(torch.bfloat16)
    with safe_open(weights_file, framework="numpy") as file:
        header = file.metadata()
    path = tmp_path / "other.safetensors"
    save_tensors(tensors, path, header)
    with pytest.raises(WeightsError, match="of a type that NumPy lacks"):
        load_arrays(path)

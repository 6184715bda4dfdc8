import numpy as np
import pytest

from blockseg.core.specs import Normalization
from blockseg.inference.reference import reference_inference
from blockseg.networks.shipped import DEFAULT, default_weights
from blockseg.networks.weights import load_weights
from blockseg.networks.weights_info import load_info, sha256
from blockseg.normalization.affine import affine
from blockseg.normalization.background import estimate_background


def test_the_shipped_weights_are_the_network_and_say_what_they_are():
    network, info = load_weights(default_weights())
    assert sum(p.numel() for p in network.parameters()) == 89_075
    assert info == load_info(default_weights())
    assert sha256(default_weights()) == DEFAULT.sha256
    assert info.licence == "MIT"
    assert "synthetic" in info.training_data


@pytest.mark.parametrize(("dtype", "value"), [("u2", 0), ("u2", 300), ("f4", -1.5)])
def test_a_constant_volume_has_no_foreground(dtype, value):
    network, info = load_weights(default_weights())
    raw = np.full((40, 40, 40), value, dtype)
    by = affine(Normalization("robust"), estimate_background(raw, dtype), info.gain)
    assert reference_inference(raw, network, by, "float32").max() < 0.5

"""Networks to test with: small ones with lively norms."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from blockseg.networks.base import Network
from blockseg.networks.registry import build
from blockseg.networks.weights import save_weights
from blockseg.networks.weights_info import WeightsInfo


def random_network(
    width: int = 8, seed: int = 0, architecture: str = "sdasn"
) -> Network:
    # Fresh norms do nothing; a mistake in folding or at an edge would not show.
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build(architecture, width)
        for module in network.modules():
            if isinstance(module, (nn.Conv3d, nn.ConvTranspose3d)):
                # The usual initialisation shrinks signals from layer to layer.
                nn.init.kaiming_normal_(module.weight, a=0.2)
            if isinstance(module, nn.BatchNorm3d):
                nn.init.normal_(module.bias, std=0.5)
                nn.init.uniform_(module.weight, 0.5, 1.5)
                assert module.running_mean is not None
                assert module.running_var is not None
                nn.init.normal_(module.running_mean, std=0.5)
                nn.init.uniform_(module.running_var, 0.2, 1.0)
    return network.eval()


@pytest.fixture(scope="session")
def make_network() -> Callable[..., Network]:
    return random_network


@pytest.fixture
def network() -> Network:
    return random_network()


@pytest.fixture
def weights_file(tmp_path: Path) -> Path:
    path = tmp_path / "random.safetensors"
    info = WeightsInfo("random", gain=0.03, training_data="none", licence="MIT")
    save_weights(path, random_network(), info)
    return path


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)

"""The training pass computes the network."""

import pytest
import torch

from blockseg.networks.receptive_field import ARCHITECTURES
from blockseg.networks.registry import build
from blockseg.training.learning.trainer import training_heads


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_training_pass_equals_the_network(architecture: str) -> None:
    torch.manual_seed(0)
    network = build(architecture, 4).double().train()
    x = torch.randn(2, 1, 16, 8, 24, dtype=torch.float64)
    heads = training_heads(network, x)
    torch.testing.assert_close(heads, network.heads(x))
    torch.testing.assert_close(sum(heads), network(x))


def test_the_training_pass_has_the_gradients_of_the_network() -> None:
    torch.manual_seed(0)
    network = build("sdasn", 4).double().train()
    x = torch.randn(1, 1, 16, 12, 12, dtype=torch.float64)
    gradients = []
    for forward in (network, lambda x: torch.stack(training_heads(network, x)).sum(0)):
        network.zero_grad()
        forward(x).square().mean().backward()
        gradients.append(
            [p.grad.clone() for p in network.parameters() if p.grad is not None]
        )
    assert len(gradients[0]) == len(list(network.parameters()))
    torch.testing.assert_close(gradients[1], gradients[0])

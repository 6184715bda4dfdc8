"""The training pass computes the network."""

import torch

from blockseg.model.sdasn import SDASN
from blockseg.training.forward import training_logits


def test_the_training_pass_equals_the_network() -> None:
    torch.manual_seed(0)
    network = SDASN(4).double().train()
    x = torch.randn(2, 1, 16, 12, 20, dtype=torch.float64)
    torch.testing.assert_close(training_logits(network, x), network(x))


def test_the_training_pass_has_the_gradients_of_the_network() -> None:
    torch.manual_seed(0)
    network = SDASN(4).double().train()
    x = torch.randn(1, 1, 16, 12, 12, dtype=torch.float64)
    gradients = []
    for forward in (network, lambda x: training_logits(network, x)):
        network.zero_grad()
        forward(x).square().mean().backward()
        gradients.append(
            [p.grad.clone() for p in network.parameters() if p.grad is not None]
        )
    assert len(gradients[0]) == len(list(network.parameters()))
    torch.testing.assert_close(gradients[1], gradients[0])

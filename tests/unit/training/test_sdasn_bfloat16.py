"""SDASN's pass for bfloat16 on CPUs computes the network."""

import copy

import pytest
import torch

from blockseg.networks.sdasn import SDASN
from blockseg.training.learning import sdasn_bfloat16
from blockseg.training.learning.sdasn_bfloat16 import bfloat16_heads

SHAPE = (2, 1, 16, 8, 12)


def both(width, seed=0):
    torch.manual_seed(seed)
    network = SDASN(width).train()
    x = torch.randn(SHAPE)
    back = torch.randn(SHAPE)
    other = copy.deepcopy(network)
    found, expected = bfloat16_heads(network, x), other.heads(x)
    (sum(found) * back).mean().backward()
    (sum(expected) * back).mean().backward()
    return network, other, found, expected


# Below 16 channels neighbours along x are folded together.
@pytest.mark.parametrize("width", [2, 5, 16])
def test_but_for_its_rounding_it_is_the_network(width, monkeypatch):
    monkeypatch.setattr(sdasn_bfloat16, "_HALF", torch.float32)
    network, other, found, expected = both(width)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    for name, kept in network.named_buffers():
        torch.testing.assert_close(kept, other.get_buffer(name), msg=name)
    for name, parameter in network.named_parameters():
        exact = other.get_parameter(name).grad
        if not name.endswith("conv.bias"):  # behind a norm they do nothing
            # An activation at its kink may differ.
            distance = (parameter.grad - exact).norm() / exact.norm()
            assert distance < 0.03, name


def test_in_bfloat16_it_is_the_network_within_its_rounding():
    network, other, found, expected = both(8)
    for head, exact in zip(found, expected, strict=True):
        assert head.dtype == torch.float32
        assert head.shape == SHAPE
        assert (head - exact).abs().max() < 0.05 * exact.abs().max()
    for name, parameter in network.named_parameters():
        if name.endswith(("conv.weight", "head02.weight")):
            grad, exact = parameter.grad.flatten(), other.get_parameter(name).grad
            assert parameter.grad.dtype == torch.float32
            alike = torch.cosine_similarity(grad, exact.flatten(), 0)
            assert alike > 0.9, name


def test_the_greatest_of_equals_gets_the_gradient_once():
    x = torch.zeros(1, 4, 2, 4, 2).requires_grad_()  # 2 channels, folded
    pooled = sdasn_bfloat16._pooled(x, 2)
    assert pooled.shape == (1, 2, 1, 2, 2)
    (grad,) = torch.autograd.grad(pooled.sum(), x)
    assert grad.sum() == pooled.numel()
    assert set(grad.unique().tolist()) == {0.0, 1.0}

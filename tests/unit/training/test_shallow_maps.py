import pytest
import torch
from torch.nn import functional

from blockseg.networks.registry import build
from blockseg.training.learning.shallow_maps import convolved, guard


def gradients(depth, kernel, dtype):
    generator = torch.Generator().manual_seed(depth)
    x = torch.randn(2, 8, depth, 4, 4, generator=generator).bfloat16()
    weight = torch.randn(16, 8, *(kernel,) * 3, generator=generator).bfloat16() / 9
    x, weight = (part.to(dtype).requires_grad_() for part in (x, weight))
    y = convolved(x, weight, None, kernel // 2)
    y.backward(torch.linspace(-1, 1, y.numel()).reshape(y.shape).to(dtype))
    assert x.grad is not None
    assert weight.grad is not None
    return y.dtype, x.grad.float(), weight.grad.float()


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_gradients_in_bfloat16_are_those_of_float32_however_few_planes(depth, kernel):
    half, *found = gradients(depth, kernel, torch.bfloat16)
    _, *wanted = gradients(depth, kernel, torch.float32)
    assert half == torch.bfloat16
    for mine, exact in zip(found, wanted, strict=True):
        assert (mine - exact).abs().max() < 0.03 * exact.abs().max()


@pytest.mark.parametrize("architecture", ["unet3d", "voxresnet"])
def test_a_guarded_network_has_finite_gradients_on_its_smallest_patch(architecture):
    torch.manual_seed(0)
    network = build(architecture, 4).train()
    guard(network)
    for _ in range(4):
        with torch.autocast("cpu", torch.bfloat16):
            found = network(torch.randn(2, 1, 16, 16, 16))
        network.zero_grad()
        found.float().square().mean().backward()
        for parameter in network.parameters():
            assert parameter.grad is None or torch.isfinite(parameter.grad).all()


def test_maps_that_are_deep_enough_are_left_to_torch():
    x, weight = torch.randn(1, 2, 4, 4, 4), torch.randn(3, 2, 3, 3, 3)
    assert torch.equal(
        convolved(x, weight, None, 1), functional.conv3d(x, weight, None, padding=1)
    )

"""Norm and activation by rows, beside torch's own."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from blockseg.training.learning.norm_activation import norm_activation

CHANNELS = 6
CLOSE = {torch.float32: 1e-5, torch.bfloat16: 8e-3}


@pytest.fixture
def norm():
    torch.manual_seed(1)
    norm = nn.BatchNorm3d(CHANNELS)
    nn.init.uniform_(norm.weight, 0.5, 1.5)
    nn.init.normal_(norm.bias)
    for name, start in (("running_mean", 15.0), ("running_var", 1.0)):
        norm.get_buffer(name).copy_(start + torch.rand(CHANNELS))
    return norm


def far_from_zero(dtype):
    """A map whose mean is many times its spread, channels last."""
    x = torch.randn(2, CHANNELS, 4, 6, 8) * 2 + 20
    return x.to(dtype).contiguous(memory_format=torch.channels_last_3d)


def distance(found, expected):
    expected = expected.detach()
    return float(
        (found.detach().double() - expected).abs().max() / expected.abs().max()
    )


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_is_torchs_norm_and_activation_and_their_gradients(norm, dtype, training):
    exact = copy.deepcopy(norm.train(training)).double()
    x = far_from_zero(dtype)
    back = torch.randn(x.shape).to(dtype)
    one, other = x.clone().requires_grad_(), x.double().requires_grad_()
    y = norm_activation(one, norm, 0.2)
    z = functional.leaky_relu(exact(other), 0.2)
    y.backward(back)
    z.backward(back.double())
    close = CLOSE[dtype]
    assert y.dtype == one.grad.dtype == dtype
    assert distance(y, z) < close
    assert distance(one.grad, other.grad) < close
    assert distance(norm.weight.grad, exact.weight.grad) < close
    assert distance(norm.bias.grad, exact.bias.grad) < close
    for name, kept in norm.named_buffers():
        # Statistics are those of the rounded map, in float32.
        torch.testing.assert_close(
            kept.double(), exact.get_buffer(name).double(), atol=0, rtol=1e-5
        )


def test_channels_after_another_count_as_voxels(norm):
    x = far_from_zero(torch.float32)
    columns = x.permute(0, 2, 3, 4, 1).reshape(2, 4, 6, 4, 2 * CHANNELS)
    folded = columns.permute(0, 4, 1, 2, 3)
    plain = norm_activation(x, copy.deepcopy(norm), 0.2)
    found = norm_activation(folded, norm, 0.2)
    back = found.permute(0, 2, 3, 4, 1).reshape(2, 4, 6, 8, CHANNELS)
    torch.testing.assert_close(back.permute(0, 4, 1, 2, 3), plain)


def test_the_gradient_of_a_norm_in_training_moves_no_mean(norm):
    x = far_from_zero(torch.bfloat16).requires_grad_()
    norm_activation(x, norm, 0.2).backward(torch.rand(x.shape).bfloat16())
    total = x.grad.double().sum((0, 2, 3, 4)).abs()
    assert (total < 0.01 * x.grad.double().abs().sum((0, 2, 3, 4))).all()


@pytest.mark.parametrize(
    ("norm", "said"),
    [
        (nn.Identity(), "no batch norm"),
        (nn.BatchNorm3d(CHANNELS, track_running_stats=False), "keeps no statistics"),
    ],
)
def test_another_norm_is_refused(norm, said):
    with pytest.raises(TypeError, match=said):
        norm_activation(far_from_zero(torch.float32), norm, 0.2)

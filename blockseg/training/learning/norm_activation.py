"""Batch norm and leaky activation as one differentiable step, for bfloat16 on CPUs.

torch's kernels of the norm take a channels-last map voxel by voxel, and of eight
channels they fill no register. Here a whole row of the map, its columns times its
channels, is given to the same kernels as so many channels; what they sum up is added
over the columns afterwards, in float32.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

_sums_and_gradient = torch.ops.aten.native_batch_norm_backward.default


def norm_activation(x: Tensor, norm: nn.Module, slope: float) -> Tensor:
    """Return the activation of a norm, whose running statistics move as torch's do.

    Statistics, sums and the gradients of scale and shift are float32.

    Parameters
    ----------
    x
        ``(batch, n × channel, z, y, x)``, channels last, bfloat16; n channels after
        another, each as the norm has them, count as so many voxels.
    norm
        ``BatchNorm3d`` with scale, shift and running statistics in float32.
    slope
        Of the activation below zero.

    Raises
    ------
    TypeError
        If the norm is another one, or has no statistics.
    """
    if not isinstance(norm, nn.BatchNorm3d):
        message = f"{norm} is no batch norm"
        raise TypeError(message)
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None:
        message = f"{norm} keeps no statistics"
        raise TypeError(message)
    if norm.training:
        here, spread = _statistics(x, mean)
        count = x.numel() // norm.num_features
        momentum = 0.1 if norm.momentum is None else norm.momentum
        mean.lerp_(here, momentum)
        variance.lerp_(spread * (count / max(count - 1, 1)), momentum)
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked.add_(1)
        mean, variance = here, spread
    inverse = torch.rsqrt(variance + norm.eps)
    y: Tensor = _NormActivation.apply(  # type: ignore[no-untyped-call]
        x, norm.weight, norm.bias, mean, inverse, slope, norm.training
    )
    return y


class _NormActivation(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        mean: Tensor,
        inverse: Tensor,
        slope: float,
        training: bool,
    ) -> Tensor:
        gain = weight * inverse
        y = functional.leaky_relu_(_affine(x, gain, bias - gain * mean), slope)
        ctx.save_for_backward(x, y, gain, mean, inverse)
        ctx.slope, ctx.training = slope, training
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, y, gain, mean, inverse = ctx.saved_tensors
        dy = dy.contiguous(memory_format=torch.channels_last_3d)
        dz = torch.ops.aten.leaky_relu_backward(dy, y, ctx.slope, True)
        shift, slant = _sums(dz, x, mean)
        slant = slant * inverse
        if not ctx.training:
            dx = _affine(dz, gain, torch.zeros_like(gain))
            return dx, slant, shift, None, None, None, None
        # gain · (dz − mean(dz) − n · mean(dz · n)) with n = inverse · (x − mean). The
        # gain as bfloat16 has it stands before all three, so that their sum stays 0.
        rounded = gain.to(x.dtype)
        gain, count = rounded.float(), x.numel() // len(gain)
        by_x = -gain * inverse * slant / count
        dx = _affine(x, by_x, -gain * shift / count - by_x * mean)
        _rows(dx).addcmul_(_rows(dz), _tiled(rounded, dx))
        return dx, slant, shift, None, None, None, None


def _rows(x: Tensor) -> Tensor:
    """Return the map as a matrix: a row for each batch, z and y."""
    batch, channels, z, y, columns = x.shape
    return x.permute(0, 2, 3, 4, 1).reshape(batch * z * y, columns * channels)


def _as_channels(x: Tensor) -> Tensor:
    """Return the map as one image ``(1, columns × channels, rows, 1)``, channels last."""
    return _rows(x)[None, :, None].permute(0, 3, 1, 2)


def _tiled(values: Tensor, x: Tensor) -> Tensor:
    times = x.shape[1] * x.shape[4] // len(values)
    return values.expand(times, -1).reshape(-1)


def _affine(x: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
    """Return ``gain · x + shift``, computed in float32."""
    one, zero = torch.ones_like(gain), torch.zeros_like(gain)
    gain, shift, zero, one = (_tiled(v, x) for v in (gain, shift, zero, one))
    flat = torch.native_batch_norm(
        _as_channels(x), gain, shift, zero, one, False, 0.0, 0.0
    )[0]
    batch, channels, z, y, columns = x.shape
    rows = flat.permute(0, 2, 3, 1).reshape(batch, z, y, columns, channels)
    return rows.permute(0, 4, 1, 2, 3)


def _sums(factor: Tensor, x: Tensor, pivot: Tensor) -> tuple[Tensor, Tensor]:
    """Return by channel the sums of ``factor`` and of ``factor · (x − pivot)``."""
    _, products, plain = _sums_and_gradient(
        _as_channels(factor),
        _as_channels(x),
        None,
        _tiled(pivot, x),
        torch.ones(x.shape[1] * x.shape[4]),
        None,
        None,
        False,
        0.0,
        [False, True, True],
    )
    channels = len(pivot)
    return plain.view(-1, channels).sum(0), products.view(-1, channels).sum(0)


@torch.no_grad()
def _statistics(x: Tensor, pivot: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance of each channel.

    About the running mean, which keeps the difference of two large sums from being all
    that is left of a small variance.
    """
    count = x.numel() // len(pivot)
    first, second = _sums(x, x, pivot)
    mean, middle = first.double() / count, pivot.double()
    square = second.double() / count - middle * (mean - middle)
    variance = (square - (mean - middle).square()).clamp(min=0)
    return mean.float(), variance.float()

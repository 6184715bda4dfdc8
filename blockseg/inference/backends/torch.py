"""Networks on torch: CPU and CUDA, float32 and float64; bfloat16 on CPUs."""

from __future__ import annotations

from contextlib import nullcontext
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from blockseg.core.errors import BackendError, DeviceMemoryError
from blockseg.core.specs import array_type
from blockseg.inference.backends.protocol import check_core, window_shape
from blockseg.networks.bfloat16 import rounded_weights
from blockseg.networks.convolution import convolution_for
from blockseg.networks.folding import folded
from blockseg.networks.layers import Convolution
from blockseg.networks.receptive_field import FIELDS
from blockseg.networks.weights import load_weights

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import numpy.typing as npt

    from blockseg.core.specs import BackendSpec
    from blockseg.inference.backends.protocol import AxisMasks
    from blockseg.networks.base import Network


class TorchBackend:
    """The reference engine; norms folded, channels last.

    Sets torch's number of threads for the whole process.

    Parameters
    ----------
    spec
        What to build.
    network
        Runs this network instead of reading ``spec.weights``.

    Raises
    ------
    BackendError
        If ``spec.device`` is not there.
    ConfigError
        If the core is no multiple of the network's alignment.
    WeightsError
        If the weights cannot be read.
    """

    def __init__(self, spec: BackendSpec, network: Network | None = None) -> None:
        self.core = spec.core
        self.dtype = np.dtype(array_type(spec.precision))
        self._device = torch_device(spec.device)
        if network is None:
            network, _ = load_weights(spec.weights)
        self.field = FIELDS[network.architecture]
        check_core(spec.core, self.field.alignment)
        if self._device.type == "cpu":
            torch.set_num_threads(spec.threads)
        self._type = getattr(torch, spec.precision)
        self._network = on_device(network, self._device, self._type)

    def infer(
        self, tile: npt.NDArray[Any], inside: AxisMasks | None
    ) -> npt.NDArray[Any]:
        """Return the foreground probability of a window's core.

        Raises
        ------
        DeviceMemoryError
            If the device runs out of memory.
        """
        try:
            return self._probability(tile, inside)
        except torch.OutOfMemoryError as error:
            message = (
                f"device {self._device} has too little memory for a window of "
                f"{window_shape(self.core, self.field.reach)} voxels; choose a smaller --window"
            )
            raise DeviceMemoryError(message) from error

    def close(self) -> None:
        """Drop the network, and give cached device memory back."""
        del self._network
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _probability(
        self, tile: npt.NDArray[Any], inside: AxisMasks | None
    ) -> npt.NDArray[Any]:
        masks = None
        if inside is not None:
            z, y, x = (self._tensor(vector)[None] for vector in inside)
            masks = (z.to(self._type), y.to(self._type), x.to(self._type))
        window = self._tensor(tile)[None, None]
        with torch.inference_mode(), self._exact():
            logits = self._network.core_logits(window, masks)
            probability: npt.NDArray[Any] = logits.sigmoid_()[0, 0].cpu().numpy()
        return probability

    def _tensor(self, array: npt.NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(array).to(self._device)

    def _exact(self) -> AbstractContextManager[Any]:
        # Repeatable algorithms without TF32, whose 10-bit mantissa shows in bytes.
        if self._device.type == "cpu":
            return nullcontext()
        return torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=True, allow_tf32=False
        )


def on_device(network: Network, device: torch.device, dtype: torch.dtype) -> Network:
    """Return a copy of ``network`` for inference: folded, channels last.

    In bfloat16 it takes float32 images and gives float32 logits.
    """
    if dtype == torch.bfloat16:
        copy = _in_bfloat16(folded(deepcopy(network).to(device)))
    else:
        copy = folded(deepcopy(network).to(device, dtype))
    convolve = convolution_for(device, dtype)
    for layer in copy.modules():
        if isinstance(layer, Convolution):
            layer.convolve = convolve
    for parameter in copy.parameters():
        if parameter.dim() == 5:
            parameter.data = parameter.contiguous(memory_format=torch.channels_last_3d)
    return copy


def _in_bfloat16(network: Network) -> Network:
    """Convert a folded network but for what takes the image and what gives logits.

    Those of one channel and of kernels of one voxel stay in float32: they take little
    time, and rounding them too would change more of the masks.
    """
    for layer in network.modules():
        if isinstance(layer, nn.ConvTranspose3d | nn.Conv3d):
            if isinstance(layer, nn.Conv3d) and layer.in_channels == 1:
                layer.register_forward_hook(_narrowed)
            elif layer.kernel_size == (1, 1, 1):
                layer.register_forward_pre_hook(_widened)
            else:
                transposed = isinstance(layer, nn.ConvTranspose3d)
                weights = layer.weight.detach().numpy()
                found = rounded_weights(weights, transposed=transposed)
                layer.weight.data = torch.from_numpy(found)
                layer.to(torch.bfloat16)
        elif isinstance(layer, nn.BatchNorm3d):
            layer.to(torch.bfloat16)
    return network


def _narrowed(_: nn.Module, __: Any, found: torch.Tensor) -> torch.Tensor:
    return found.bfloat16()


def _widened(_: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
    return (given[0].float(), *given[1:])


def torch_device(name: str) -> torch.device:
    """Return a device; raises BackendError if it is not there."""
    try:
        device = torch.device(name)
    except RuntimeError as error:
        message = f"no device {name!r}; choose cpu or cuda"
        raise BackendError(message) from error
    if device.type == "cuda" and not torch.cuda.is_available():
        message = f"device {name!r} was asked for, but torch finds no CUDA device"
        raise BackendError(message)
    return device

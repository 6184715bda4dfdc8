"""Engines on a CUDA device that take grey levels and give bytes: torch's, and our own."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import torch

from blockseg.core.errors import BackendError, ConfigError, MissingExtraError
from blockseg.inference.backends.cuda.torch_network import TorchNetwork
from blockseg.inference.backends.device.streams import (
    StreamBackend,
    Streams,
    device_errors,
)
from blockseg.inference.backends.protocol import check_core, window_shape
from blockseg.inference.backends.torch import torch_device
from blockseg.networks.receptive_field import FIELDS
from blockseg.networks.sdasn import SDASN
from blockseg.networks.weights import load_weights

if TYPE_CHECKING:
    from blockseg.core.specs import Affine, BackendSpec
    from blockseg.inference.backends.cuda.tiling import Tiling
    from blockseg.inference.backends.device.streams import DeviceNetwork
    from blockseg.networks.base import Network

OLDEST = (8, 0)
"""Least compute capability with the matrix products that our kernels need."""


class _CudaBackend(StreamBackend):
    """Base of both: windows, streams, errors."""

    def __init__(
        self, spec: BackendSpec, affine: Affine, network: Network | None
    ) -> None:
        device = torch_device(spec.device)
        super().__init__(device)
        if network is None:
            network, _ = load_weights(spec.weights)
        self.field = FIELDS[network.architecture]
        self.core = spec.core
        check_core(spec.core, self.field.alignment)
        window = window_shape(spec.core, self.field.reach)
        try:
            with device_errors(window, device):
                on_device = self._on_device(spec, affine, network)
            self._streams = Streams(on_device, window, spec.core, device)
        except BackendError:
            self.close()
            raise

    def _on_device(
        self, spec: BackendSpec, affine: Affine, network: Network
    ) -> DeviceNetwork:
        raise NotImplementedError


class TorchCudaBackend(_CudaBackend):
    """Any network on torch's kernels, in fp16 with float32 heads.

    On a CPU it does the same without streams and graphs, which is for tests.

    Parameters
    ----------
    spec
        What to build; ``precision`` float16 or float32.
    affine
        Normalisation of the run.
    network
        Runs this network instead of reading ``spec.weights``.
    compiled
        Whether ``torch.compile`` makes kernels for it.

    Raises
    ------
    BackendError
        If ``spec.device`` is not there, or fails.
    DeviceMemoryError
        If it has too little memory.
    ConfigError
        If the core is no multiple of the network's alignment.
    WeightsError
        If the weights cannot be read.
    """

    def __init__(
        self,
        spec: BackendSpec,
        affine: Affine,
        network: Network | None = None,
        *,
        compiled: bool = False,
    ) -> None:
        self._compiled = compiled
        super().__init__(spec, affine, network)

    def _on_device(
        self, spec: BackendSpec, affine: Affine, network: Network
    ) -> DeviceNetwork:
        dtype = getattr(torch, spec.precision)
        return TorchNetwork(
            network, affine, self._device, dtype, compiled=self._compiled
        )


class FusedCudaBackend(_CudaBackend):
    """SDASN on our own kernels: fp16 maps, float32 sums and heads.

    On a CPU it runs in Triton's interpreter only, which is for tests.

    Parameters
    ----------
    spec
        What to build; its ``precision`` is not asked.
    affine
        Normalisation of the run.
    network
        Runs this network instead of reading ``spec.weights``.
    tiling
        How the work is cut, where not as for this kind of device.

    Raises
    ------
    MissingExtraError
        If Triton is not installed.
    ConfigError
        If the network is another one or too wide, or the core is no multiple of 4.
    BackendError
        If ``spec.device`` is not there, too old, or fails.
    DeviceMemoryError
        If it has too little memory.
    WeightsError
        If the weights cannot be read.
    """

    def __init__(
        self,
        spec: BackendSpec,
        affine: Affine,
        network: Network | None = None,
        *,
        tiling: Tiling | None = None,
    ) -> None:
        if find_spec("triton") is None:
            what = "Triton, which backend cuda needs,"
            raise MissingExtraError(what, "gpu")
        self._tiling = tiling
        super().__init__(spec, affine, network)

    def _on_device(
        self, spec: BackendSpec, affine: Affine, network: Network
    ) -> DeviceNetwork:
        if not isinstance(network, SDASN):
            message = (
                f"backend cuda runs SDASN only, not {network.architecture}; choose "
                "--backend torch"
            )
            raise ConfigError(message)
        if self._device.type == "cuda":
            _check_age(self._device)
        from blockseg.inference.backends.cuda.fused import FusedNetwork

        return FusedNetwork(
            network, spec.core, affine, self._device, tiling=self._tiling
        )


def _check_age(device: torch.device) -> None:
    found = torch.cuda.get_device_capability(device)
    if found < OLDEST:
        message = (
            f"backend cuda needs a GPU of compute capability {OLDEST[0]}.{OLDEST[1]}, "
            f"this one has {found[0]}.{found[1]}; choose --backend torch"
        )
        raise BackendError(message)

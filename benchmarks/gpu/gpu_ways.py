"""Ways to segment a volume on a GPU, ours and others'; on a CPU at toy sizes.

A way takes grey levels in main memory and gives bytes there. What a network of another
architecture computes is of random weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import torch

from blockseg.core.geometry import Roi
from blockseg.core.specs import BackendSpec, Precision
from blockseg.inference.backends.device.engine import ByteEngine
from blockseg.inference.backends.device.protocol import RawWindow
from blockseg.inference.backends.protocol import window_shape
from blockseg.inference.backends.torch import TorchBackend
from blockseg.inference.block_input import BlockInput
from blockseg.inference.cover import tiling
from blockseg.inference.engine import Engine
from blockseg.networks.registry import build
from blockseg.networks.weights import load_weights

if TYPE_CHECKING:
    from collections.abc import Callable

    from blockseg.core.geometry import Zyx
    from blockseg.core.specs import Affine
    from blockseg.inference.backends.device.protocol import ByteBackend
    from blockseg.networks.base import Network

Array = np.ndarray[Any, Any]


class Running(Protocol):
    """A way that was built."""

    def segment(self, raw: Array) -> Array:
        """Return round(255 p) of a whole volume, from main memory to main memory."""
        ...

    def forward(self) -> None:
        """Run the network once on a window that is on the device already."""
        ...

    def close(self) -> None:
        """Give the device back."""
        ...


@dataclass(frozen=True)
class Way:
    """One row of the table."""

    title: str
    make: Callable[[Network, Zyx, Affine, str, str], Running]
    """Of a network, the core, the normalisation, the device and the weights file."""
    precision: Precision = "float32"
    architecture: str = "sdasn"
    stored: Literal["each", "fused", "unknown"] = "each"
    """Which maps go to the device's memory: of every layer, of our fused ones."""
    edge: int | None = None
    """Of the core, where the way decides; the benchmark's otherwise."""
    padded: bool = False
    """Whether windows are padded networks without a halo: seams, and nothing twice."""


class Padded:
    """The network as it was trained: torch eager, norms kept, pieces without a halo."""

    def __init__(self, network: Network, core: Zyx, by: Affine, device: str) -> None:
        self._network = network.to(device).eval()
        self._core, self._by, self._device = core, by, device
        self._window = torch.randn((1, 1, *core), device=device)
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False

    def segment(self, raw: Array) -> Array:
        out = np.zeros(raw.shape, np.uint8)
        whole = Roi.whole(raw.shape)
        for core in tiling(whole, self._core):
            part = core.intersection(whole)
            tile = np.zeros(self._core, np.float32)
            inner = part.slices(core.start)
            tile[inner] = (raw[part.slices()] - self._by.offset) / self._by.scale
            with torch.inference_mode():
                logits = self._network(
                    torch.from_numpy(tile)[None, None].to(self._device)
                )
                p = logits.sigmoid()[0, 0].cpu().numpy()
            out[part.slices()] = np.rint(p * 255)[inner]
        return out

    def forward(self) -> None:
        with torch.inference_mode():
            self._network(self._window)

    def close(self) -> None:
        del self._network, self._window


class Windowed:
    """Our torch engine in float32: normalised on the host, windows of a cropped network."""

    def __init__(self, network: Network, core: Zyx, by: Affine, device: str) -> None:
        spec = BackendSpec("torch", "", core, "float32", device=device)
        self._backend = TorchBackend(spec, network)
        self._engine = Engine(self._backend, by)
        shape = window_shape(core, network.reach)
        self._window = torch.randn((1, 1, *shape), device=device)

    def segment(self, raw: Array) -> Array:
        whole = Roi.whole(raw.shape)
        return self._engine.segment(
            BlockInput(raw, whole, whole, whole.shape)
        ).probability

    def forward(self) -> None:
        with torch.inference_mode(), self._backend._exact():
            self._backend._network.core_logits(self._window, None)

    def close(self) -> None:
        self._engine.close()


class Streamed:
    """An engine that takes grey levels and gives bytes."""

    def __init__(self, backend: ByteBackend) -> None:
        self._backend: Any = backend
        self._engine = ByteEngine(backend)

    def segment(self, raw: Array) -> Array:
        whole = Roi.whole(raw.shape)
        return self._engine.segment(
            BlockInput(raw, whole, whole, whole.shape)
        ).probability

    def forward(self) -> None:
        streams = self._backend._streams
        slot = streams._slots[0]
        if not slot.host_bounds.any():  # never filled: a window inside of a volume
            shape = tuple(slot.host_raw.shape)
            rng = np.random.default_rng(0)
            voxels = rng.integers(100, 300, shape, np.uint16)
            streams._fill(slot, RawWindow(voxels, (0, 0, 0), None))
            slot.raw.copy_(slot.host_raw)
            slot.bounds.copy_(slot.host_bounds)
        if streams._compute is None:
            streams._network.run(slot.raw, slot.bounds, slot.out, False)
        else:
            streams._run(slot, False, streams._compute)

    def close(self) -> None:
        self._engine.close()


def _padded(network: Network, core: Zyx, by: Affine, device: str, _: str) -> Running:
    return Padded(network, core, by, device)


def _windowed(network: Network, core: Zyx, by: Affine, device: str, _: str) -> Running:
    return Windowed(network, core, by, device)


def _torch(precision: Precision, *, compiled: bool = False) -> Any:
    def make(network: Network, core: Zyx, by: Affine, device: str, _: str) -> Running:
        from blockseg.inference.backends.cuda.backend import TorchCudaBackend

        # No half precision on a CPU: the same with other numbers.
        exact: Precision = "float32" if device == "cpu" else precision
        spec = BackendSpec("torch", "", core, exact, device=device)
        return Streamed(TorchCudaBackend(spec, by, network, compiled=compiled))

    return make


def _fused(network: Network, core: Zyx, by: Affine, device: str, _: str) -> Running:
    from blockseg.inference.backends.cuda.backend import FusedCudaBackend

    if device == "cpu":
        message = "our kernels need a card; Triton's interpreter is for their tests"
        raise RuntimeError(message)
    spec = BackendSpec("cuda", "", core, "float16", device=device)
    return Streamed(FusedCudaBackend(spec, by, network))


def _tensorrt(precision: Precision) -> Any:
    def make(_: Network, core: Zyx, by: Affine, device: str, weights: str) -> Running:
        from blockseg.inference.backends.tensorrt.backend import TensorRtBackend

        if device == "cpu":
            message = "TensorRT needs a card"
            raise RuntimeError(message)
        spec = BackendSpec("tensorrt", weights, core, precision, device=device)
        return Streamed(TensorRtBackend(spec, by))

    return make


WAYS = {
    "published": Way(
        "published: torch eager fp32, one pass", _padded, padded=True, stored="unknown"
    ),
    "torch-fp32": Way("torch fp32, cropped windows", _windowed),
    "torch-fp16": Way("torch fp16, channels last", _torch("float16"), "float16"),
    "compile": Way(
        "the same under torch.compile",
        _torch("float16", compiled=True),
        "float16",
        stored="unknown",
    ),
    "tensorrt-fp32": Way("TensorRT fp32", _tensorrt("float32"), stored="unknown"),
    "tensorrt-fp16": Way(
        "TensorRT fp16", _tensorrt("float16"), "float16", stored="unknown"
    ),
    "cuda": Way("ours, fused, fp16", _fused, "float16", stored="fused"),
    "unet3d": Way(
        "3-D U-Net, width 32: torch eager fp32, no halo",
        _padded,
        architecture="unet3d",
        stored="unknown",
        edge=104,
        padded=True,
    ),
    "unet3d-fp16": Way(
        "3-D U-Net, width 32: torch fp16, cropped",
        _torch("float16"),
        "float16",
        "unet3d",
        "unknown",
        edge=104,
    ),
}


def network_of(way: Way, weights: str) -> Network:
    """Return the network of a way; that of another architecture has random weights."""
    if way.architecture == "sdasn":
        return load_weights(weights)[0].eval()
    torch.manual_seed(0)
    return build(way.architecture, None).eval()

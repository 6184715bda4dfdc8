"""Ways to run a network on windows of one shape, ours and others'.

A way is a ``Backend``: it writes the core of a window. Ways that tile as the published
script does have a reach of 0, and seams.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from blockseg.core.specs import BackendSpec
from blockseg.inference.backends.llvm.backend import LlvmBackend
from blockseg.inference.backends.llvm.bfloat16 import TiledBfloat16
from blockseg.inference.backends.llvm.planar_form import PlanarForm
from blockseg.inference.backends.openvino.backend import OpenVinoBackend
from blockseg.inference.backends.torch import TorchBackend
from blockseg.networks.receptive_field import FIELDS, Field
from blockseg.networks.registry import build
from blockseg.networks.sdasn_arrays import folded_arrays
from blockseg.networks.weights import load_weights

if TYPE_CHECKING:
    from collections.abc import Callable

    from blockseg.core.geometry import Zyx
    from blockseg.inference.backends.protocol import AxisMasks, Backend
    from blockseg.networks.base import Network
    from blockseg.networks.sdasn_arrays import Arrays


@dataclass(frozen=True)
class Way:
    """One row of the table."""

    title: str
    make: Callable[[Network, Zyx, int], Backend]
    """Of a network, the core and the number of threads."""
    architecture: str = "sdasn"
    core: int | None = None
    """Edge of the core, where the way decides; the benchmark's window otherwise."""
    exact: bool = True
    """Whether the mask should be that of one pass over the whole volume."""


class Eager:
    """The padded network as it was trained: torch eager, norms and layout untouched.

    With a reach of 0 this is the published way; with the network's own it is exact
    inside the volume, at the cost of computing whole windows.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, network: Network, core: Zyx, threads: int, reach: int) -> None:
        torch.set_num_threads(threads)
        self.core = core
        self.field = Field(reach, network.alignment, 0, network.width)
        self._network = network.eval()

    def infer(
        self, tile: np.ndarray[Any, Any], inside: AxisMasks | None
    ) -> np.ndarray[Any, Any]:
        del inside  # the published script knows no edges
        with torch.inference_mode():
            out = self._network(torch.from_numpy(tile)[None, None]).sigmoid()[0, 0]
        r = self.field.reach
        z, y, x = (slice(r, r + n) for n in self.core)
        part: np.ndarray[Any, Any] = out[z, y, x].numpy()
        return part

    def close(self) -> None:
        pass


class Compiled(TorchBackend):
    """Our torch engine with ``torch.compile`` around the cropped network."""

    def __init__(self, network: Network, core: Zyx, threads: int) -> None:
        super().__init__(_spec("torch", core, threads), network)
        whole = self._network.core_logits
        run = torch.compile(whole, mode="max-autotune-no-cudagraphs", dynamic=False)
        self._network.core_logits = run  # type: ignore[method-assign]


class OpenVinoWith(OpenVinoBackend):
    """Our OpenVINO engine with other settings, or with its graph changed."""

    def __init__(
        self,
        network: Network,
        core: Zyx,
        threads: int,
        settings: dict[str, Any] | None = None,
        change: Callable[[Any], Any] = lambda model: model,
    ) -> None:
        super().__init__(_spec("openvino", core, threads), network)
        made = self._graph
        self._graph = lambda walls: change(made(walls))
        self._settings |= settings or {}

    @property
    def graph(self) -> Any:
        """The compiled graph of the last window."""
        return self._request.get_compiled_model()

    @property
    def profile(self) -> Any:
        """Seconds of each node in the last window, with ``PERF_COUNT``."""
        return self._request.profiling_info


class Onnx:
    """Our cropped graph on onnxruntime, for windows inside the volume."""

    dtype = np.dtype(np.float32)

    def __init__(self, network: Network, core: Zyx, threads: int) -> None:
        import io

        import onnxruntime

        from blockseg.networks.folding import folded

        self.core, self.field = core, FIELDS[network.architecture]
        model = folded(network.float())
        shape = [n + 2 * self.field.reach for n in core]
        file = io.BytesIO()
        torch.onnx.export(
            _Probability(model),
            (torch.zeros(1, 1, *shape),),
            file,  # type: ignore[arg-type]
            dynamo=False,
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(
            file.getvalue(), options, providers=["CPUExecutionProvider"]
        )
        self._name = self._session.get_inputs()[0].name

    def infer(
        self, tile: np.ndarray[Any, Any], inside: AxisMasks | None
    ) -> np.ndarray[Any, Any]:
        del inside
        (out,) = self._session.run(None, {self._name: tile[None, None]})
        part: np.ndarray[Any, Any] = out[0, 0]
        return part

    def close(self) -> None:
        pass


class _Probability(nn.Module):
    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, tile: torch.Tensor) -> torch.Tensor:
        return self.network.core_logits(tile).sigmoid()


def _spec(
    name: str, core: Zyx, threads: int, precision: Any = "float32"
) -> BackendSpec:
    return BackendSpec(name, "", core, precision, threads)


def _eager(network: Network, core: Zyx, threads: int) -> Backend:
    return Eager(network, core, threads, reach=0)


def _eager_exact(network: Network, core: Zyx, threads: int) -> Backend:
    return Eager(network, core, threads, reach=FIELDS[network.architecture].reach)


def _torch(network: Network, core: Zyx, threads: int) -> Backend:
    return TorchBackend(_spec("torch", core, threads), network)


def _torch64(network: Network, core: Zyx, threads: int) -> Backend:
    return TorchBackend(_spec("torch", core, threads, "float64"), network)


def _openvino(network: Network, core: Zyx, threads: int) -> Backend:
    return OpenVinoWith(network, core, threads)


def _openvino_bf16(network: Network, core: Zyx, threads: int) -> Backend:
    return OpenVinoWith(network, core, threads, {"INFERENCE_PRECISION_HINT": "bf16"})


def _openvino_int8(network: Network, core: Zyx, threads: int) -> Backend:
    from benchmarks.infer.infer_int8 import quantised

    return OpenVinoWith(network, core, threads, change=quantised(core, "all"))


def _llvm(network: Network, core: Zyx, threads: int) -> Backend:
    form = PlanarForm(_arrays(network))
    return LlvmBackend(BackendSpec("llvm", "", core, threads=threads), form)


def _llvm_bf16(network: Network, core: Zyx, threads: int) -> Backend:
    form = TiledBfloat16(_arrays(network))
    return LlvmBackend(BackendSpec("llvm", "", core, "bfloat16", threads), form)


def _arrays(network: Network) -> Arrays:
    state = network.state_dict()
    return folded_arrays({key: value.numpy() for key, value in state.items()})


WAYS = {
    "published-96": Way(
        "published: torch eager, no halo", _eager, core=96, exact=False
    ),
    "published-128": Way(
        "published: torch eager, no halo", _eager, core=128, exact=False
    ),
    "eager-halo": Way("torch eager, halo of 32, padded network", _eager_exact),
    "torch": Way("torch, folded, channels last, cropped", _torch),
    "torch-float64": Way("the same in float64", _torch64),
    "compile": Way("the same under torch.compile", Compiled),
    "openvino": Way("OpenVINO float32, static shape, cropped", _openvino),
    "openvino-bf16": Way("OpenVINO, bfloat16 asked for", _openvino_bf16, exact=False),
    "openvino-int8": Way("OpenVINO, int8 by NNCF", _openvino_int8, exact=False),
    "llvm": Way("kernels of our own, float32", _llvm),
    "llvm-bf16": Way("kernels of our own, bfloat16 on AMX", _llvm_bf16, exact=False),
    "onnxruntime": Way("onnxruntime float32, cropped", Onnx),
    "unet3d-eager": Way(
        "3-D U-Net, width 32: torch eager, no halo", _eager, "unet3d", 96
    ),
    "unet3d-openvino": Way(
        "3-D U-Net, width 32: OpenVINO, cropped", _openvino, "unet3d"
    ),
}


def network_of(way: Way, weights: str) -> Network:
    """Return the network of a way; that of another architecture has random weights."""
    if way.architecture == "sdasn":
        return load_weights(weights)[0].eval()
    torch.manual_seed(0)
    return build(way.architecture, None).eval()

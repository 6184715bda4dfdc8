"""Networks on OpenVINO: the fastest engine on CPUs. Extra ``cpu``."""

from __future__ import annotations

import sys
import warnings
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from blockseg.core.errors import BackendError, MissingExtraError
from blockseg.model.backend import check_core, window_shape
from blockseg.model.folding import folded
from blockseg.model.reach import FIELDS
from blockseg.model.weights import load_weights
from blockseg.model.weights_info import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from blockseg.core.geometry import Zyx
    from blockseg.core.specs import BackendSpec
    from blockseg.model.backend import AxisMasks
    from blockseg.model.base import Network

__all__ = ["OpenVinoBackend"]


class OpenVinoBackend:
    """Two graphs of one static shape: for windows inside the volume, and at its edge.

    Each is compiled when the first window needs it: a small volume is all edge.

    Parameters
    ----------
    spec
        What to build.
    network
        Runs this network instead of reading ``spec.weights``.

    Raises
    ------
    MissingExtraError
        If OpenVINO is not installed.
    ConfigError
        If the core is no multiple of the network's alignment.
    WeightsError
        If the weights cannot be read.
    """

    def __init__(self, spec: BackendSpec, network: Network | None = None) -> None:
        self._openvino = _import_openvino()
        if network is None:
            network, _ = load_weights(spec.weights)
        self.field = FIELDS[network.architecture]
        check_core(spec.core, self.field.alignment)
        self.core = spec.core
        self.dtype = np.dtype(np.float32)
        self._network = folded(network.float())
        self._settings = {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": spec.threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            # Otherwise all workers of a machine pin themselves to the same cores.
            "ENABLE_CPU_PINNING": False,
        }
        self._interior: Any = None
        self._edge: Any = None

    def infer(
        self, tile: npt.NDArray[Any], inside: AxisMasks | None
    ) -> npt.NDArray[Any]:
        """Return the foreground probability of a window's core.

        Raises
        ------
        BackendError
            If OpenVINO cannot build the graph, or fails for want of memory for instance.
        """
        inputs = [tile[None, None]]
        if inside is None:
            if self._interior is None:
                self._interior = self._compiled(_Interior(self._network), 1)
            request, other = self._interior, self._edge
        else:
            if self._edge is None:
                self._edge = self._compiled(_Edge(self._network), 4)
            request, other = self._edge, self._interior
            inputs += [vector[None] for vector in inside]
        if other is not None:
            # Each graph would else keep its feature maps while the other runs.
            other.get_compiled_model().release_memory()
        try:
            request.infer(inputs, share_inputs=True)
        except RuntimeError as error:
            message = f"OpenVINO failed: {one_line(error)}; try a smaller --window"
            raise BackendError(message) from error
        probability: npt.NDArray[Any] = request.get_output_tensor(0).data[0, 0]
        return probability

    def close(self) -> None:
        """Drop both graphs and their memory."""
        self._interior = self._edge = None

    def _compiled(self, module: nn.Module, inputs: int) -> Any:
        try:
            model = self._converted(module, inputs)
            compiled = _core().compile_model(model, "CPU", self._settings)
            return compiled.create_infer_request()
        except RuntimeError as error:
            message = (
                f"OpenVINO cannot build the network: {one_line(error)}; "
                "try backend torch"
            )
            raise BackendError(message) from error

    def _converted(self, module: nn.Module, inputs: int) -> Any:
        # Traced on the smallest window there is, then set to the shape of this run.
        step, reach = self.field.alignment, self.field.reach
        smallest = _shapes((step, step, step), reach)[:inputs]
        example = tuple(torch.zeros(shape) for shape in smallest)
        shapes = _shapes(self.core, reach)[:inputs]
        with warnings.catch_warnings(), torch.inference_mode():
            # The tracer warns of sizes that it takes as constants; they are.
            warnings.simplefilter("ignore")
            traced = torch.jit.trace(  # type: ignore[no-untyped-call]
                module, example, check_trace=False
            )
            return self._openvino.convert_model(
                traced, example_input=example, input=shapes
            )


@cache
def _core() -> Any:
    """Return OpenVINO's entry point, one for the whole life of the process.

    Each one gives the thread that makes it another stack for signal handlers, and
    the last of several to go leaves one that is gone: the next Ctrl-C would crash.
    """
    return _import_openvino().Core()


def _shapes(core: Zyx, reach: int) -> list[tuple[int, ...]]:
    window = window_shape(core, reach)
    return [(1, 1, *window), *((1, n) for n in window)]


class _Interior(nn.Module):
    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, tile: Tensor) -> Tensor:
        return self.network.core_logits(tile).sigmoid()


class _Edge(nn.Module):
    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, tile: Tensor, z: Tensor, y: Tensor, x: Tensor) -> Tensor:
        return self.network.core_logits(tile, (z, y, x)).sigmoid()


def _import_openvino() -> Any:
    try:
        with _no_telemetry():
            import openvino  # type: ignore[import-untyped,unused-ignore]
    except ImportError as error:
        raise MissingExtraError("OpenVINO", "cpu") from error  # noqa: EM101
    return openvino


@contextmanager
def _no_telemetry() -> Iterator[None]:
    """Keep OpenVINO from reporting its use to its vendor, which it does on import.

    Without the telemetry package it falls back on a stub; a process that imported
    it before made its own choice.
    """
    package = "openvino_telemetry"
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[package]

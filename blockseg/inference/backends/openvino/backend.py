"""Networks on OpenVINO: the fastest engine on CPUs. Extra ``cpu``."""

from __future__ import annotations

import sys
from collections import OrderedDict
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.errors import BackendError, MissingExtraError
from blockseg.core.text import first_line
from blockseg.inference.backends.openvino.float32_layers import in_float32
from blockseg.inference.backends.openvino.sdasn import sdasn_graph
from blockseg.inference.backends.openvino.vector_width import (
    fitting_vectors,
    prefers_avx2,
)
from blockseg.inference.backends.protocol import check_core, window_shape
from blockseg.inference.boundary_padding import BoundaryPadding, boundary_padding
from blockseg.networks.bfloat16 import rounded_arrays
from blockseg.networks.receptive_field import FIELDS
from blockseg.networks.sdasn_arrays import folded_arrays, load_arrays
from blockseg.networks.weights_info import load_info

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from blockseg.core.specs import BackendSpec
    from blockseg.inference.backends.protocol import AxisMasks
    from blockseg.networks.base import Network

_FLOAT32 = ("x00.0", "head")
"""Layers of SDASN that stay in float32 under bfloat16: the first, of one channel, of
which tiles are nearly empty, so that it is slower in bfloat16, and the heads, which are
cheap. Rounding these too would change more of the masks."""

_GRAPHS = 3
"""Number that is kept: a row of windows has those at its start, end and between. Also
one that does not run holds some memory, of the size of its window."""


_HINTS = {"float32": "f32", "bfloat16": "bf16"}
"""By precision. In bfloat16 weights and maps are rounded; what goes in and comes out is
float32."""


class OpenVinoBackend:
    """Graphs of static shapes, each compiled when the first window needs it.

    One is for windows inside the volume. At its edge SDASN has one for each kind of
    window, by the sides that are the volume's: what lies beyond is not computed. Other
    networks, and windows in whose margin the volume ends, have one graph with masks.

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
    BackendError
        If bfloat16 is asked for of a network that is computed in AVX2.
    """

    def __init__(self, spec: BackendSpec, network: Network | None = None) -> None:
        self._openvino = import_openvino()
        told = network or load_info(spec.weights)
        name = told.architecture
        self._channels = told.width
        if spec.precision == "bfloat16" and prefers_avx2(self._channels):
            message = (
                "OpenVINO uses AVX2 on this CPU for networks of 8 channels or fewer, and "
                "AVX2 has no bfloat16; compute in float32, or leave --backend out"
            )
            raise BackendError(message)
        self.field = FIELDS[name]
        check_core(spec.core, self.field.alignment)
        self.core = spec.core
        self.dtype = np.dtype(np.float32)
        self._pads_boundary = name == "sdasn"
        self._graph = self._source(spec, network)
        self._settings = {
            "INFERENCE_PRECISION_HINT": _HINTS[spec.precision],
            "INFERENCE_NUM_THREADS": spec.threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            # Otherwise all workers of a machine pin themselves to the same cores.
            "ENABLE_CPU_PINNING": False,
        }
        self._compiled: OrderedDict[BoundaryPadding | None, Any] = OrderedDict()
        self._now: BoundaryPadding | None = None
        self._request: Any = None
        self._part = np.empty(0, np.float32)
        self._whole = np.empty(0, np.float32)

    def infer(
        self, tile: npt.NDArray[Any], inside: AxisMasks | None
    ) -> npt.NDArray[Any]:
        """Return the foreground probability of a window's core.

        Raises
        ------
        BackendError
            If OpenVINO cannot build the graph, or fails for want of memory for instance.
        """
        padding = None
        if self._pads_boundary or inside is None:
            padding = boundary_padding(inside, self.core, self.field.reach)
        inputs = [tile[None, None]]
        if padding is None:
            inputs += [vector[None] for vector in inside or ()]
        elif inside is not None:
            inputs = [self._cut(tile, padding)[None, None]]
        self._choose(padding)
        try:
            self._request.infer(inputs, share_inputs=True)
        except RuntimeError as error:
            message = f"OpenVINO failed: {first_line(error)}; try a smaller --window"
            raise BackendError(message) from error
        return self._filled(self._request.get_output_tensor(0).data[0, 0])

    def close(self) -> None:
        """Drop all graphs and their memory."""
        self._request = None
        self._compiled.clear()

    def _choose(self, padding: BoundaryPadding | None) -> None:
        """Make a graph the one that runs; only that one has memory for feature maps."""
        if self._request is not None and padding == self._now:
            return
        if self._request is not None:
            self._request = None
            self._compiled[self._now].release_memory()
        if padding not in self._compiled:
            if len(self._compiled) >= _GRAPHS:
                self._compiled.popitem(last=False)
            self._compiled[padding] = self._build(padding)
        self._compiled.move_to_end(padding)
        self._request = self._compiled[padding].create_infer_request()
        self._now = padding

    def _cut(
        self, tile: npt.NDArray[Any], padding: BoundaryPadding
    ) -> npt.NDArray[Any]:
        """Return the part of a window inside the volume, contiguous."""
        roi = padding.roi
        if self._part.size < roi.size:
            self._part = np.empty(roi.size, np.float32)
        part = self._part[: roi.size].reshape(roi.shape)
        part[...] = tile[roi.slices()]
        return part

    def _filled(self, part: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return an array of the core's shape; a volume that ends in it makes less."""
        if part.shape == self.core:
            return part
        self._whole = np.zeros(self.core, np.float32)
        self._whole[tuple(slice(n) for n in part.shape)] = part
        return self._whole

    def _build(self, padding: BoundaryPadding | None) -> Any:
        try:
            with fitting_vectors(self._channels):
                return openvino_core().compile_model(
                    self._graph(padding), "CPU", self._settings
                )
        except RuntimeError as error:
            message = (
                f"OpenVINO cannot build the network: {first_line(error)}; "
                "try backend torch"
            )
            raise BackendError(message) from error

    def _source(
        self, spec: BackendSpec, network: Network | None
    ) -> Callable[[BoundaryPadding | None], Any]:
        """Return a function that makes a graph for each kind of window."""
        core, reach = spec.core, self.field.reach
        if self._pads_boundary:
            found = load_arrays(spec.weights) if network is None else _arrays(network)
            arrays = folded_arrays(found)
            if spec.precision == "bfloat16":
                arrays = rounded_arrays(arrays)
            whole = window_shape(core, reach)

            def written(padding: BoundaryPadding | None) -> Any:
                shape = padding.roi.shape if padding else whole
                graph = sdasn_graph(self._openvino, arrays, shape, reach, padding)
                if spec.precision == "bfloat16":
                    graph = in_float32(self._openvino, openvino_core(), graph, _FLOAT32)
                return graph

            return written
        # With torch, which a process that runs SDASN can do without.
        from blockseg.inference.backends.openvino.traced import traced_graph
        from blockseg.networks.weights import load_weights

        own = load_weights(spec.weights)[0] if network is None else network

        def traced(padding: BoundaryPadding | None) -> Any:
            return traced_graph(
                self._openvino,
                own,
                core,
                edge=padding is None,
                bfloat16=spec.precision == "bfloat16",
            )

        return traced


def _arrays(network: Network) -> dict[str, npt.NDArray[Any]]:
    return {k: v.detach().cpu().numpy() for k, v in network.state_dict().items()}


@cache
def openvino_core() -> Any:
    """Return OpenVINO's entry point, one for the whole life of the process.

    Raises
    ------
    MissingExtraError
        If it is not installed.

    Notes
    -----
    Each one gives the thread that makes it another stack for signal handlers, and
    the last of several to go leaves one that is gone: the next Ctrl-C would crash.
    """
    return import_openvino().Core()


def import_openvino() -> Any:
    """Return the module.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
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

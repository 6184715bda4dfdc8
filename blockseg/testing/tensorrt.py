"""TensorRT without TensorRT: its manners on a CPU, for tests."""

from __future__ import annotations

import ctypes
import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.core.errors import BackendError, ConfigError, DeviceMemoryError
from blockseg.inference.backends.tensorrt.library import Built, Card, Shapes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

_TYPES = {
    "voxels": np.uint8,
    "affine": np.float32,
    "bounds": np.int32,
    "probability": np.uint8,
}


@dataclass(slots=True, eq=False)
class FakeLibrary:
    """Keeps the graph as the engine; runs it, or something cheap, on main memory."""

    name: str = "tensorrt"
    """The library that it stands for."""

    version: str = "10.0.fake"
    """Its version; engines of another one are refused."""

    here: Card | None = field(default_factory=lambda: Card("sm90", "Fake Card"))
    """The card of this machine; None for none."""

    memory: int = 2**40
    """Voxels of the largest window that the card holds."""

    compute: Callable[[bytes, Mapping[str, npt.NDArray[Any]]], Any] | None = None
    """Runs a graph on arrays by their names; else probability is what is bright."""

    builds: list[str] = field(default_factory=list)
    """Architecture of each engine built."""

    calls: int = 0
    """Windows computed."""

    def card(self) -> Card:
        """Return ``here``."""
        if self.here is None:
            message = f"{self.name} runs on NVIDIA GPUs, and torch finds none here"
            raise BackendError(message)
        return self.here

    def build(
        self, graph: bytes, shapes: Shapes, target: str, timings: bytes = b""
    ) -> Built:
        """Wrap the graph up with its shapes."""
        if self.name == "tensorrt" and target != self.card().architecture:
            message = f"{self.name} builds for {self.card().architecture} alone"
            raise ConfigError(message)
        self.builds.append(target)
        facts = {"version": self.version, "shapes": asdict(shapes)}
        return Built(json.dumps(facts).encode() + b"\n" + graph, timings + b"t")

    def load(self, engine: bytes) -> _FakeEngine:
        """Unwrap a graph."""
        self.card()
        line, _, graph = engine.partition(b"\n")
        try:
            facts = json.loads(line)
        except ValueError as error:
            message = f"{self.name} gave no engine: no magic tag"
            raise BackendError(message) from error
        if facts["version"] != self.version:
            message = f"{self.name} gave no engine: built by {facts['version']}"
            raise BackendError(message)
        window, core, edge = (facts["shapes"][n] for n in ("window", "core", "edge"))
        shapes = Shapes(tuple(window), tuple(core), edge)
        if np.prod(shapes.window) > self.memory:
            message = f"{self.name} gave no context: too little memory"
            raise DeviceMemoryError(message)
        return _FakeEngine(self, graph, shapes)


class _FakeEngine:
    scratch_bytes = 64

    def __init__(self, library: FakeLibrary, graph: bytes, shapes: Shapes) -> None:
        self._library = library
        self._graph = graph
        self._shapes = shapes
        self._lent = 0

    def lend(self, address: int) -> None:
        self._lent = address

    def enqueue(self, addresses: Mapping[str, int], stream: int) -> None:
        del stream
        wanted = {**self._shapes.inputs(), "affine": (4,)}
        out = {"probability": (1, *self._shapes.core)}
        if addresses.keys() != {*wanted, *out} or not self._lent:
            message = f"{self._library.name} failed on a window: not all was given"
            raise BackendError(message)
        given = {name: _at(addresses[name], name, s) for name, s in wanted.items()}
        result = _at(addresses["probability"], "probability", out["probability"])
        compute = self._library.compute
        if compute is None:
            result[:] = _bright(given, self._shapes)
        else:
            result[:] = compute(self._graph, given)
        self._library.calls += 1


def _bright(given: Mapping[str, npt.NDArray[Any]], shapes: Shapes) -> Any:
    grey = given["voxels"] @ np.array([1, 256], np.float32)
    offset, scale, low, high = given["affine"]
    normalised = np.clip((grey - offset) / scale, low, high)
    if shapes.edge:
        known = given["bounds"][0, :6]
        mask = np.zeros_like(normalised)
        place = (slice(a, b) for a, b in zip(known[:3], known[3:], strict=True))
        mask[(0, *place)] = 1
        normalised = normalised * mask
    margins = ((w - c) // 2 for w, c in zip(shapes.window, shapes.core, strict=True))
    part = (slice(m, m + c) for m, c in zip(margins, shapes.core, strict=True))
    return np.rint(np.clip(normalised[(slice(None), *part)], 0, 1) * np.float32(255))


def _at(address: int, name: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    size = int(np.prod(shape)) * np.dtype(_TYPES[name]).itemsize
    memory = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))
    return memory.view(_TYPES[name]).reshape(shape)

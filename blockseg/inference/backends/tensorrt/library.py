"""Parts of TensorRT that blockseg needs: few enough to be stood in for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from blockseg.core.geometry import Zyx


@dataclass(frozen=True, slots=True)
class Card:
    """A GPU, as far as engines depend on it."""

    architecture: str
    """Compute capability: ``sm90`` for 9.0."""

    model: str
    """Its name, as the driver gives it."""


@dataclass(frozen=True, slots=True)
class Shapes:
    """Shapes that one call of an engine takes and gives."""

    window: Zyx
    """Voxels (z, y, x) that go in."""

    core: Zyx
    """Voxels (z, y, x) that come out."""

    edge: bool
    """Whether it takes the bounds of what is known of the window, and of the volume."""

    def inputs(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each input that has a batch."""
        shapes: dict[str, tuple[int, ...]] = {"voxels": (1, *self.window, 2)}
        return {**shapes, "bounds": (1, 12)} if self.edge else shapes


@dataclass(frozen=True, slots=True)
class Built:
    """Result of a build."""

    engine: bytes
    """Serialised engine."""

    timings: bytes
    """Measured speeds of kernels, which make the next build quicker; may be empty."""


class LoadedEngine(Protocol):
    """An engine on a device, for one caller at a time."""

    @property
    def scratch_bytes(self) -> int:
        """Device memory that it needs while it runs, in bytes."""
        ...

    def lend(self, address: int) -> None:
        """Give it that memory; engines that run one after the other may share it."""
        ...

    def enqueue(self, addresses: Mapping[str, int], stream: int) -> None:
        """Put one call into a CUDA stream.

        Parameters
        ----------
        addresses
            Device address of each input and output, by its name.
        stream
            Handle of the stream.

        Raises
        ------
        DeviceMemoryError
            If the device has too little memory.
        BackendError
            If the engine takes other inputs, or fails.
        """
        ...


class EngineLibrary(Protocol):
    """Builds engines and loads them."""

    @property
    def name(self) -> str:
        """``tensorrt`` or ``tensorrt_rtx``."""
        ...

    @property
    def version(self) -> str:
        """Engines of one version are of no use to another."""
        ...

    def card(self) -> Card:
        """Return the GPU of this process.

        Raises
        ------
        BackendError
            If there is none.
        """
        ...

    def build(
        self, graph: bytes, shapes: Shapes, target: str, timings: bytes = b""
    ) -> Built:
        """Turn an ONNX model into an engine.

        Parameters
        ----------
        graph
            Serialised model of :func:`~blockseg.inference.backends.onnx.graph.export_graph`.
        shapes
            The only ones that it will be called with.
        target
            Architecture that it will run on.
        timings
            What an earlier build for this card measured.

        Raises
        ------
        ConfigError
            If it cannot build for this architecture here.
        DeviceMemoryError
            If the device has too little memory.
        BackendError
            If it cannot build this model.
        """
        ...

    def load(self, engine: bytes) -> LoadedEngine:
        """Put a serialised engine on the device.

        Raises
        ------
        DeviceMemoryError
            If the device has too little memory.
        BackendError
            If the library refuses it, or there is no device.
        """
        ...

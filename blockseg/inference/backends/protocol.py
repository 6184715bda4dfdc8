"""What runs the network: one interface, one file per engine."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from blockseg.core.errors import ConfigError
from blockseg.core.specs import Affine
from blockseg.networks.receptive_field import ALIGNMENT, REACH, Field

if TYPE_CHECKING:
    import numpy.typing as npt

    from blockseg.core.geometry import Zyx
    from blockseg.core.specs import AffineField, BackendSpec
    from blockseg.inference.backends.device.protocol import ByteBackend

__all__ = [
    "AxisMasks",
    "Backend",
    "available_backends",
    "check_core",
    "default_backend",
    "make_backend",
    "make_byte_backend",
    "takes_bytes",
    "window_shape",
]

AxisMasks: TypeAlias = "tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]"
"""0/1 vectors along z, y, x of a window; their product says what is inside."""


_NAMES = ("tensorrt", "cuda", "openvino", "torch", "fake")

_ON_DEVICES = {
    "tensorrt": ("blockseg.inference.backends.tensorrt.backend", "TensorRtBackend"),
    "cuda": ("blockseg.inference.backends.cuda.backend", "FusedCudaBackend"),
    "torch": ("blockseg.inference.backends.cuda.backend", "TorchCudaBackend"),
}
"""Engines that take grey levels, each in a file that is imported when it is built."""


class Backend(Protocol):
    """Runs a network on windows of one shape.

    Not safe to call from two threads at once: whoever owns the device serialises.
    """

    @property
    def field(self) -> Field:
        """What a window needs around its core."""
        ...

    @property
    def core(self) -> Zyx:
        """Voxels along (z, y, x) that one call writes."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of windows and probabilities: float32 or float64."""
        ...

    def infer(
        self, tile: npt.NDArray[Any], inside: AxisMasks | None
    ) -> npt.NDArray[Any]:
        """Return the foreground probability of a window's core.

        Parameters
        ----------
        tile
            Normalised window ``(z, y, x)``, C-contiguous: the core, which starts at a
            multiple of ``field.alignment`` voxels in the volume, and ``field.reach``
            more on every side; 0 beyond the volume.
        inside
            For windows that reach beyond the volume: along each axis 1 inside, 0
            beyond, in the window's dtype. None for all others.

        Returns
        -------
        ndarray
            ``(z, y, x)`` of ``core`` voxels; valid until the next call.
        """
        ...

    def close(self) -> None:
        """Release the device; the backend cannot be used any more."""
        ...


def window_shape(core: Zyx, reach: int = REACH) -> Zyx:
    """Return the shape of the window that a core is computed from."""
    z, y, x = (n + 2 * reach for n in core)
    return (z, y, x)


def check_core(core: Zyx, alignment: int) -> None:
    """Raise ConfigError unless a network of this alignment can write such a core."""
    if any(n < alignment or n % alignment for n in core):
        message = (
            f"window {core} is no multiple of {alignment} voxels on each axis, "
            "which the network needs"
        )
        raise ConfigError(message)


def available_backends() -> tuple[str, ...]:
    """Return the engines that can be built here, the preferred one first."""
    return (*(["openvino"] if find_spec("openvino") else []), "torch", "fake")


def default_backend(device: str = "cpu") -> str:
    """Return the engine to use on ``device``: OpenVINO on CPUs where installed."""
    return available_backends()[0] if device == "cpu" else "torch"


def make_backend(spec: BackendSpec) -> Backend:
    """Build an engine.

    Raises
    ------
    ConfigError
        If the engine is unknown, or cannot do what the specification asks for.
    MissingExtraError
        If its library is not installed.
    WeightsError
        If the weights cannot be read.
    BackendError
        If the device is missing or the engine cannot be built.
    """
    _check(spec)
    if takes_bytes(spec):
        message = f"backend {spec.name} on a device takes grey levels, not windows"
        raise ConfigError(message)
    if spec.name == "fake":
        from blockseg.testing.backends import FakeBackend

        return FakeBackend(spec.core, np.dtype(spec.precision))
    if spec.name == "torch":
        from blockseg.inference.backends.torch import TorchBackend

        return TorchBackend(spec)
    from blockseg.inference.backends.openvino.backend import OpenVinoBackend

    return OpenVinoBackend(spec)


def takes_bytes(spec: BackendSpec) -> bool:
    """Return whether an engine takes grey levels and gives bytes.

    Such are built by :func:`make_byte_backend`, all others by :func:`make_backend`.
    """
    if spec.device == "cpu":
        return False
    return spec.name in ("tensorrt", "cuda", "fake") or spec.precision == "float16"


def make_byte_backend(spec: BackendSpec, affine: Affine | AffineField) -> ByteBackend:
    """Build an engine that normalises, infers and rounds on its device.

    Raises
    ------
    ConfigError
        If the engine is unknown, or cannot do what the specification asks for.
    MissingExtraError
        If its library is not installed.
    WeightsError
        If the weights cannot be read.
    BackendError
        If the device is missing or the engine cannot be built.
    """
    _check(spec)
    if not isinstance(affine, Affine):
        message = (
            f"backend {spec.name} in {spec.precision} has one offset and scale for the "
            "whole volume; a background field needs --backend torch --precision float32"
        )
        raise ConfigError(message)
    if spec.name == "fake":
        from blockseg.testing.devices import FakeByteBackend, FakeDevice

        return FakeByteBackend.of(spec, affine, FakeDevice.from_environment())
    module, name = _ON_DEVICES[spec.name]
    made: ByteBackend = getattr(import_module(module), name)(spec, affine)
    return made


def _check(spec: BackendSpec) -> None:
    if spec.name not in _NAMES:
        message = f"no backend {spec.name!r}; choose from {', '.join(_NAMES)}"
        raise ConfigError(message)
    check_core(spec.core, ALIGNMENT)  # no network needs less
    if spec.precision == "float64" and spec.name not in ("torch", "fake"):
        message = f"precision float64 needs backend torch; {spec.name} has no such"
        raise ConfigError(message)
    if spec.device == "cpu" and (
        spec.precision == "float16" or spec.name in ("tensorrt", "cuda")
    ):
        message = f"backend {spec.name} in {spec.precision} needs a GPU; there is none"
        raise ConfigError(message)
    if spec.device != "cpu" and spec.name == "openvino":
        message = f"backend {spec.name} runs on the CPU only, not on {spec.device!r}"
        raise ConfigError(message)
    if spec.threads < 1:
        message = f"an engine needs at least one thread, not {spec.threads}"
        raise ConfigError(message)

"""What runs the network: one interface, one file per engine."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from blockseg.core.errors import ConfigError
from blockseg.model.reach import ALIGNMENT, REACH, Field

if TYPE_CHECKING:
    import numpy.typing as npt

    from blockseg.core.geometry import Zyx
    from blockseg.core.specs import BackendSpec

__all__ = [
    "AxisMasks",
    "Backend",
    "available_backends",
    "check_core",
    "default_backend",
    "make_backend",
    "window_shape",
]

AxisMasks: TypeAlias = "tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]"
"""0/1 vectors along z, y, x of a window; their product says what is inside."""


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
    if spec.name == "fake":
        from blockseg.model.backend_fake import FakeBackend

        return FakeBackend(spec.core, np.dtype(spec.precision))
    if spec.name == "torch":
        from blockseg.model.backend_torch import TorchBackend

        return TorchBackend(spec)
    from blockseg.model.backend_openvino import OpenVinoBackend

    return OpenVinoBackend(spec)


def _check(spec: BackendSpec) -> None:
    names = ("openvino", "torch", "fake")
    if spec.name not in names:
        message = f"no backend {spec.name!r}; choose from {', '.join(names)}"
        raise ConfigError(message)
    check_core(spec.core, ALIGNMENT)  # no network needs less
    if spec.precision == "float64" and spec.name == "openvino":
        message = "precision float64 needs backend torch; openvino computes in float32"
        raise ConfigError(message)
    if spec.device != "cpu" and spec.name != "torch":
        message = f"backend {spec.name} runs on the CPU only, not on {spec.device!r}"
        raise ConfigError(message)
    if spec.threads < 1:
        message = f"an engine needs at least one thread, not {spec.threads}"
        raise ConfigError(message)

"""Table of backends: what computes a network, where, how precisely, in what memory.

A row is all that the rest of blockseg knows of a backend; nothing outside this package
names one. The fake of :mod:`blockseg.testing` brings its row along, which is looked at
only where a name is not in this table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from blockseg.core.errors import ConfigError
from blockseg.inference.backends.protocol import check_core
from blockseg.networks.receptive_field import ALIGNMENT
from blockseg.networks.weights_info import load_info

if TYPE_CHECKING:
    from collections.abc import Mapping

    from blockseg.core.specs import Affine, BackendSpec, Precision
    from blockseg.inference.backends.device.protocol import ByteBackend
    from blockseg.inference.backends.protocol import Backend

_HERE = "blockseg.inference.backends"
_EVERY: tuple[Precision, ...] = ("float16", "float32", "float64")
_ALSO_BFLOAT16: tuple[Precision, ...] = (*_EVERY, "bfloat16")


@dataclass(frozen=True, slots=True)
class BackendRow:
    """One backend. What builds or computes is named as ``module:name``, loaded when used."""

    name: str
    """As the user spells it."""

    windows: str = ""
    """Builds a :class:`~blockseg.inference.backends.protocol.Backend` of a specification;
    empty for those that run on devices only."""

    on_device: str = ""
    """Builds a :class:`~blockseg.inference.backends.device.protocol.ByteBackend` of a
    specification and a normalisation; empty for those that run on the CPU only."""

    bytes_in: tuple[Precision, ...] = _EVERY
    """Precisions in which it takes grey levels on a device; windows in others."""

    precisions: tuple[Precision, ...] = ("float16", "float32")
    """Precisions of its arithmetic; float16 on devices only, bfloat16 on CPUs only."""

    architectures: tuple[str, ...] = ()
    """Networks that it runs; empty for all."""

    bfloat16_gain: Mapping[str, float] = field(default_factory=dict)
    """Speed of SDASN in bfloat16 over that in float32, by the instructions of a CPU
    (:attr:`~blockseg.inference.processor.Processor.bfloat16`), as ``docs/precision.md``
    has it; 1 where there is none. Of what is missing nothing is known."""

    library: str = ""
    """Module that must be installed."""

    title: str = ""
    """Name of the library as its makers spell it."""

    extra: str = ""
    """Extra of blockseg that installs the library."""

    memory: str = f"{_HERE}.memory:torch_window"
    """Main memory of a window; see :mod:`blockseg.inference.window_memory`."""

    device_memory: str = f"{_HERE}.memory:device_maps"
    """Device memory of a window; see :mod:`blockseg.inference.window_memory`."""

    reference: bool = True
    """Whether it is compared with :data:`REFERENCE`; a fake is compared with itself."""

    @property
    def devices(self) -> tuple[str, ...]:
        """Kinds of device that it runs on."""
        kinds = (("cpu", self.windows), ("cuda", self.on_device))
        return tuple(kind for kind, builder in kinds if builder)

    @property
    def installed(self) -> bool:
        """Whether its library is there."""
        return not self.library or find_spec(self.library) is not None

    def serves(self, architecture: str) -> bool:
        """Return whether it runs a network; an empty name stands for any."""
        known = self.architectures
        return not known or not architecture or architecture in known


_ROWS = (
    BackendRow("tensorrt", on_device=f"{_HERE}.tensorrt.backend:TensorRtBackend"),
    BackendRow(
        "cuda",
        on_device=f"{_HERE}.cuda.backend:FusedCudaBackend",
        device_memory=f"{_HERE}.memory:fused_maps",
    ),
    BackendRow(
        "llvm",
        windows=f"{_HERE}.llvm.backend:LlvmBackend",
        precisions=("float32", "bfloat16"),
        architectures=("sdasn",),
        bfloat16_gain={"amx": 3.3, "avx512": 2.0},
        library="llvmlite",
        title="llvmlite",
        extra="cpu",
        memory=f"{_HERE}.memory:llvm_window",
    ),
    BackendRow(
        "openvino",
        windows=f"{_HERE}.openvino.backend:OpenVinoBackend",
        precisions=("float32", "bfloat16"),
        bfloat16_gain={"amx": 2.3},
        library="openvino",
        title="OpenVINO",
        extra="cpu",
        memory=f"{_HERE}.memory:openvino_window",
    ),
    BackendRow(
        "torch",
        windows=f"{_HERE}.torch:TorchBackend",
        on_device=f"{_HERE}.cuda.backend:TorchCudaBackend",
        bytes_in=("float16",),
        precisions=_ALSO_BFLOAT16,
        bfloat16_gain={"amx": 1.4, "avx512": 1.0},
    ),
)

_FAKE = "blockseg.testing.backends:ROW"

REFERENCE: tuple[str, Precision] = ("torch", "float32")
"""Backend and precision that all others must agree with; runs everywhere."""

ON_DEVICES: tuple[tuple[str, Precision], ...] = (
    ("tensorrt", "float16"),
    ("cuda", "float16"),
    ("torch", "float16"),
    REFERENCE,
)
"""Backends of a device, the one that should be fastest first. After them comes the CPU."""


def backend_row(name: str) -> BackendRow:
    """Return the row of a backend.

    Raises
    ------
    ConfigError
        If there is none of this name.
    """
    for row in _ROWS:
        if row.name == name:
            return row
    fake: BackendRow = loaded(_FAKE)
    if fake.name != name:
        names = ", ".join(row.name for row in (*_ROWS, fake))
        message = f"no backend {name!r}; choose from {names}"
        raise ConfigError(message)
    return fake


def stands_in(name: str) -> bool:
    """Return whether a backend stands in for a network instead of computing it."""
    known = {row.name for row in _ROWS} | {"auto"}
    return name not in known and not backend_row(name).reference


def loaded(place: str) -> Any:
    """Return the object that ``module:name`` names."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def available_backends(
    architecture: str = "", precision: Precision = "float32"
) -> tuple[str, ...]:
    """Return the backends of the CPU that can be built here, the preferred one first.

    Parameters
    ----------
    architecture
        Network that they must run; any if empty.
    precision
        Precision that they must compute in.
    """
    return tuple(
        row.name
        for row in (*_ROWS, loaded(_FAKE))
        if "cpu" in row.devices
        and row.installed
        and row.serves(architecture)
        and precision in row.precisions
    )


def default_backend(device: str = "cpu", architecture: str = "") -> str:
    """Return the backend to use on ``device``: the fastest that is installed on CPUs.

    Parameters
    ----------
    device
        ``cpu`` or ``cuda``.
    architecture
        Network that it must run; any if empty.
    """
    return REFERENCE[0] if device != "cpu" else available_backends(architecture)[0]


def missing_backends(
    architecture: str = "", precision: Precision = "float32"
) -> tuple[BackendRow, ...]:
    """Return the backends of the CPU whose library is not installed.

    Parameters
    ----------
    architecture, precision
        As for :func:`available_backends`.
    """
    return tuple(
        row
        for row in _ROWS
        if "cpu" in row.devices
        and not row.installed
        and row.serves(architecture)
        and precision in row.precisions
    )


def make_backend(spec: BackendSpec) -> Backend:
    """Build a backend that infers normalised windows.

    Raises
    ------
    ConfigError
        If the backend is unknown, or cannot do what the specification asks for.
    MissingExtraError
        If its library is not installed.
    WeightsError
        If the weights cannot be read.
    BackendError
        If the device is missing or the backend cannot be built.
    """
    row = _checked(spec)
    if takes_bytes(spec):
        message = f"backend {spec.name} on a device takes grey levels, not windows"
        raise ConfigError(message)
    made: Backend = loaded(row.windows)(spec)
    return made


def takes_bytes(spec: BackendSpec) -> bool:
    """Return whether a backend takes grey levels and gives bytes.

    Such are built by :func:`make_byte_backend`, all others by :func:`make_backend`.
    """
    row = backend_row(spec.name)
    return spec.device != "cpu" and (
        spec.precision == "float16"
        or (bool(row.on_device) and spec.precision in row.bytes_in)
    )


def make_byte_backend(spec: BackendSpec, affine: Affine) -> ByteBackend:
    """Build a backend that normalises, infers and rounds on its device.

    Raises as :func:`make_backend` does.
    """
    row = _checked(spec)
    made: ByteBackend = loaded(row.on_device)(spec, affine)
    return made


def check_network(row: BackendRow, architecture: str) -> None:
    """Raise ConfigError unless a backend runs a network."""
    if not row.serves(architecture):
        message = (
            f"backend {row.name} runs {', '.join(row.architectures)} only, not "
            f"{architecture}; leave --backend out"
        )
        raise ConfigError(message)


def check_bfloat16(name: str, device: str) -> None:
    """Raise ConfigError unless a backend computes in bfloat16 on a device.

    Parameters
    ----------
    name
        Of the backend, or ``auto``.
    device
        ``cpu`` or ``cuda``.
    """
    if device != "cpu":
        message = (
            "--precision bfloat16 is for CPUs; on a GPU leave it out to compute in "
            "float16, or choose --device cpu"
        )
        raise ConfigError(message)
    if name != "auto" and "bfloat16" not in backend_row(name).precisions:
        able = [other for other in _ROWS if "bfloat16" in other.precisions]
        names = " or ".join(other.name for other in able)
        extras = " or ".join(
            f"pip install 'blockseg[{one.extra}]'" for one in able if one.extra
        )
        message = (
            f"--precision bfloat16 needs backend {names}, not {name}; leave --backend "
            f"out, and if none is installed: {extras}"
        )
        raise ConfigError(message)


def _checked(spec: BackendSpec) -> BackendRow:
    row = backend_row(spec.name)
    check_core(spec.core, ALIGNMENT)  # no network needs less
    if spec.precision == "float64" and "float64" not in row.precisions:
        message = f"precision float64 needs backend torch; {spec.name} has no such"
        raise ConfigError(message)
    if spec.precision == "bfloat16":
        check_bfloat16(spec.name, spec.device)
    if row.architectures and spec.weights:
        check_network(row, load_info(spec.weights).architecture)
    if spec.device == "cpu" and (
        spec.precision == "float16" or "cpu" not in row.devices
    ):
        message = f"backend {spec.name} in {spec.precision} needs a GPU; there is none"
        raise ConfigError(message)
    if spec.device != "cpu" and "cuda" not in row.devices:
        message = f"backend {spec.name} runs on the CPU only, not on {spec.device!r}"
        raise ConfigError(message)
    if spec.threads < 1:
        message = f"an engine needs at least one thread, not {spec.threads}"
        raise ConfigError(message)
    return row

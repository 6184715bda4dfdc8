"""What travels to workers in place of arrays and engines: small picklable values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from blockseg.core.geometry import Zyx

__all__ = ["Affine", "BackendSpec", "Format", "VolumeSpec"]

Format: TypeAlias = Literal["zarr2", "zarr3", "n5", "tiff", "memory"]


@dataclass(frozen=True, slots=True)
class VolumeSpec:
    """A 3-D volume that any worker can open, found by :func:`blockseg.volume.find`."""

    uri: str
    """Absolute path of the outermost container, file or slice folder; or the glob."""

    format: Format
    """How the data are stored."""

    path: str = ""
    """Array inside the container, '/'-separated; empty if the container is the array."""

    level: int = 0
    """Resolution level that ``path`` is, 0 the finest."""

    channel: int = 0
    """Index on the channel axis, where there is one."""

    timepoint: int = 0
    """Index on the time axis, where there is one."""


@dataclass(frozen=True, slots=True)
class Affine:
    """Normalisation of raw intensities: ``(I - offset) / scale``, clipped."""

    offset: float
    """Grey level that the network sees as 0."""

    scale: float
    """Grey levels that the network sees as 1; above 0."""

    low: float = -1e6
    """Least value that the network sees; far from what any network needs to see."""

    high: float = 1e6
    """Greatest value that the network sees; keeps finite input from overflowing."""


@dataclass(frozen=True, slots=True)
class BackendSpec:
    """An engine that a worker can build."""

    name: str
    """``torch``, ``openvino`` or ``fake``."""

    weights: str
    """Absolute path of a safetensors file; empty for ``fake``."""

    core: Zyx
    """Voxels along (z, y, x) that one call of the engine writes; one shape a run."""

    precision: Literal["float32", "float64"] = "float32"
    """Of the arithmetic; float64 only on torch."""

    threads: int = 1
    """Threads of one inference."""

    device: str = "cpu"
    """``cpu`` or ``cuda``; which card is up to the worker's environment."""

"""Specifications that travel in place of arrays and engines: small picklable values."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from blockseg.core.errors import GeometryError

if TYPE_CHECKING:
    from blockseg.core.geometry import Zyx
    from blockseg.core.space import Vector

Format: TypeAlias = Literal[
    "zarr2",
    "zarr3",
    "n5",
    "tiff",
    "imaris",
    "bdv",
    "precomputed",
    "v3draw",
    "pictures",
    "memory",
]
"""Formats that voxels are stored in; ``memory`` stores none."""

Precision: TypeAlias = Literal["bfloat16", "float16", "float32", "float64"]
"""Precision of an engine's arithmetic."""


def array_type(precision: str) -> str:
    """Return the type of the arrays that a backend takes and gives on the CPU.

    An engine that computes in bfloat16 rounds by itself: NumPy knows no such numbers.

    Parameters
    ----------
    precision
        Of the arithmetic.
    """
    return "float32" if precision == "bfloat16" else precision


@dataclass(frozen=True, slots=True)
class VolumeSpec:
    """A 3-D volume that any worker can open, found by :func:`blockseg.io.find`."""

    uri: str
    """Absolute path of the outermost container, file or slice folder; or the glob."""

    format: Format
    """Format in which the data are stored."""

    path: str = ""
    """Array inside the container, '/'-separated; empty if the container is the array."""

    level: int = 0
    """Resolution level that ``path`` is, 0 the finest."""

    channel: int = 0
    """Index on the channel axis, where there is one."""

    timepoint: int = 0
    """Index on the time axis, where there is one."""

    axes: str = ""
    """One letter for each axis, as the user named them; empty to go by the source."""

    stored_as: str = ""
    """Type that the stored bits are, where the source states another of the same size;
    empty to go by the source."""

    allow_gaps: bool = False
    """Whether planes missing from a folder of slices are read as empty."""

    downsample: Zyx = (1, 1, 1)
    """Stored voxels along (z, y, x) over which each voxel is the mean."""


@dataclass(frozen=True, slots=True)
class Normalization:
    """Normalisation that the user asks for."""

    kind: Literal["auto", "published", "robust", "field", "given"]
    """The published constants, b and s estimated for the whole volume (``robust``) or as a
    field over it where it is large enough to have one (``field``, and ``auto``, which
    does not say so where it has none), or b and s as given."""

    level: float = 0.0
    """b in grey levels, where given."""

    sd: float = 1.0
    """s in grey levels, where given; above 0."""

    spelling: str = field(default="", compare=False)
    """Text that the user wrote, which records keep; empty if none wrote it."""

    @property
    def measured(self) -> bool:
        """Whether b and s are estimated from the volume."""
        return self.kind == "robust" or self.varies

    @property
    def varies(self) -> bool:
        """Whether b and s may vary over the volume."""
        return self.kind in ("auto", "field")

    def __str__(self) -> str:
        """Return it as a user writes it."""
        given = f"{self.level},{self.sd}" if self.kind == "given" else self.kind
        return self.spelling or given


AUTO = Normalization("auto")
"""Normalisation of a run, or of a training, where the user asks for no other."""

ROBUST = Normalization("robust")
"""One level and one noise SD for the whole volume."""


@dataclass(frozen=True, slots=True)
class ScoutSpec:
    """Network that tells under ``--sparse`` which tiles may hold something."""

    sha256: str
    """SHA-256 of its weights file."""

    engine: str
    """Library that computes it: ``openvino`` or ``torch``."""

    gain: float
    """Value that the run's normalisation makes of one SD of the background."""


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
class AffineField:
    """An :class:`Affine` that varies over the volume, smoothly and free of seams.

    Trilinear between the nodes of a grid in the volume's own coordinates, constant
    beyond the outermost.

    Raises
    ------
    GeometryError
        If there is not one offset and one positive scale a node.
    """

    nodes: Zyx
    """Nodes along (z, y, x)."""

    start: Vector
    """Position of the first node (z, y, x), in voxels; centres are whole numbers."""

    step: Vector
    """Distance of nodes along (z, y, x), in voxels; above 0."""

    offset: tuple[float, ...]
    """Grey level that the network sees as 0, at each node in C order."""

    scale: tuple[float, ...]
    """Grey levels that the network sees as 1, at each node in C order; above 0."""

    low: float = -1e6
    """Least value that the network sees."""

    high: float = 1e6
    """Greatest value that the network sees."""

    def __post_init__(self) -> None:
        count = math.prod(self.nodes)
        if not len(self.offset) == len(self.scale) == count >= 1:
            message = (
                f"{len(self.offset)} offsets and {len(self.scale)} scales cannot be those "
                f"of {self.nodes} nodes"
            )
            raise GeometryError(message)
        if not (min(self.scale) > 0 and min(self.step) > 0):
            message = "scales and distances of the nodes of a field must be above 0"
            raise GeometryError(message)


@dataclass(frozen=True, slots=True)
class BackendSpec:
    """An engine that a worker can build."""

    name: str
    """``tensorrt``, ``cuda`` (our own kernels), ``torch``, ``openvino`` or ``fake``."""

    weights: str
    """Absolute path of a safetensors file; empty for ``fake``."""

    core: Zyx
    """Voxels along (z, y, x) that one call of the engine writes; one shape a run."""

    precision: Precision = "float32"
    """Precision of the arithmetic: float64 only on torch, float16 only on a device,
    bfloat16 only on a CPU."""

    threads: int = 1
    """Threads of one inference."""

    device: str = "cpu"
    """``cpu`` or ``cuda``; which card is up to the worker's environment."""

"""Settings of a run, typed and checked once."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from blockseg.config.merging import merged
from blockseg.config.values import (
    parse_axes,
    parse_bytes,
    parse_choice,
    parse_float,
    parse_int,
    parse_roi,
    parse_shape,
    parse_switch,
    parse_text,
    parse_vector,
)
from blockseg.core.choices import SourceChoices

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from blockseg.core.geometry import Roi, Zyx
    from blockseg.core.space import Vector

__all__ = ["EXECUTION", "RunSettings", "settings_from"]


BackendName: TypeAlias = Literal[
    "auto", "tensorrt", "cuda", "openvino", "torch", "fake"
]
"""Backends that a user may name; their rows are in the table of backends."""


@dataclass(frozen=True, slots=True)
class RunSettings:
    """Everything that ``blockseg run`` takes besides SOURCE and OUT.

    ``None`` means: found out before the first block, and written to ``run.json``.
    """

    level: int = 0
    """Resolution level of the source, 0 the finest."""

    dataset: str | None = None
    """Array inside the source, where there are several."""

    channel: int | None = None
    """Index on the channel axis, where it is longer than 1."""

    timepoint: int | None = None
    """Index on the time axis, where it is longer than 1."""

    voxel_size: Vector | None = None
    """Edge lengths of a voxel along (z, y, x), in µm; else from the metadata."""

    axes: str | None = None
    """One letter for each axis of the source (t, c, z, y, x); else from the metadata."""

    stored_as: str | None = None
    """Type that the stored bits are, where the source states another of the same size:
    ``uint16`` for int16."""

    allow_gaps: bool = False
    """Read planes that are missing from a folder of slices as empty."""

    allow_empty: bool = False
    """Take a source that has no stored voxels."""

    roi: Roi | None = None
    """Region to segment, in voxels of the level; the whole volume if not given."""

    mask: str | None = None
    """Volume of any resolution whose nonzero voxels are segmented."""

    weights: str | None = None
    """Safetensors file; the shipped weights if not given."""

    normalization: str = "robust"
    """``robust``, ``field``, ``published``, or ``b,s`` in grey levels."""

    threshold: float = 0.5
    """Probability from which a voxel is foreground."""

    backend: BackendName = "auto"
    """Engine that runs the network."""

    precision: Literal["auto", "float16", "float32", "float64"] = "auto"
    """Precision: float16 on a GPU and float32 on the CPU if not given."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the engine runs."""

    block: Zyx | None = None
    """Voxels of a block, the unit of scheduling, of the ledger and of writing."""

    window: Zyx | None = None
    """Voxels that one call of the engine writes."""

    halo: int | None = None
    """Voxels read around each block; the network's reach if not given, less only if
    inexact."""

    inexact: bool = False
    """Allow a halo that makes seams."""

    sparse: bool = False
    """Do not infer what is outside of the tissue or holds no neurite as far as a cheap
    test can tell: at most 0.1 % of the foreground is lost."""

    exhaustive: bool = False
    """Infer every block that the mask and the ROI leave, whatever a preset says."""

    zarr_format: Literal[2, 3] = 3
    """3 writes OME-Zarr 0.5, sharded; 2 writes OME-Zarr 0.4."""

    codec: str = "blosc-zstd"
    """Compression of the output."""

    metrics: bool = True
    """Measure every block for ``blockseg propose-annotations``, in the same pass."""

    dhpr: Literal["extended", "published"] = "extended"
    """By which formulas the images of ``OUT/blocks`` are made."""

    attempts: int = 3
    """Number of attempts at a block before it is quarantined."""

    scheduler: str | None = None
    """``tcp://…`` of a running Dask scheduler, ``serial`` for none; else our own."""

    workers: int | None = None
    """Worker processes; from cores and memory if not given."""

    threads: int | None = None
    """Threads of one inference; from the cores and workers if not given."""

    memory: int | None = None
    """Bytes that driver and workers may use; 85 % of the machine if not given."""

    ledger: str | None = None
    """File of the ledger; ``OUT/.blockseg/ledger.sqlite`` if not given."""

    verify: bool = False
    """Read what OUT holds already, compare it with its checksums, and make anew what is
    damaged; sizes are compared always."""

    @property
    def choices(self) -> SourceChoices:
        """Choices of the user for the source."""
        names = (field.name for field in fields(SourceChoices))
        return SourceChoices(**{name: getattr(self, name) for name in names})


EXECUTION = frozenset(
    {
        "allow_empty",
        "allow_gaps",  # stands in the source's VolumeSpec
        "attempts",
        "scheduler",
        "workers",
        "memory",
        "ledger",
        "verify",
        "exhaustive",
        "metrics",
        "dhpr",
    }
)
"""Settings that leave every byte of the segmentation alone: a resumed run may change
them."""

_PARSERS: dict[str, Callable[[str, Any], Any]] = {
    "level": parse_int(0),
    "dataset": parse_text,
    "channel": parse_int(0),
    "timepoint": parse_int(0),
    "voxel_size": parse_vector,
    "axes": parse_axes,
    "stored_as": parse_choice("uint8", "int8", "uint16", "int16"),
    "allow_gaps": parse_switch,
    "allow_empty": parse_switch,
    "roi": parse_roi,
    "mask": parse_text,
    "weights": parse_text,
    "normalization": parse_text,
    "threshold": parse_float(1 / 255, 1.0),
    "backend": parse_choice(*get_args(BackendName)),
    "precision": parse_choice("auto", "float16", "float32", "float64"),
    "device": parse_choice("auto", "cpu", "cuda"),
    "block": parse_shape,
    "window": parse_shape,
    "halo": parse_int(0),
    "inexact": parse_switch,
    "sparse": parse_switch,
    "exhaustive": parse_switch,
    "zarr_format": parse_choice(2, 3),
    "codec": parse_text,
    "metrics": parse_switch,
    "dhpr": parse_choice("extended", "published"),
    "attempts": parse_int(1),
    "scheduler": parse_text,
    "workers": parse_int(1),
    "threads": parse_int(1),
    "memory": parse_bytes,
    "ledger": parse_text,
    "verify": parse_switch,
}


def settings_from(*layers: Mapping[str, Any]) -> RunSettings:
    """Return layers of raw values as settings; see :func:`~blockseg.config.merging.merged`."""
    return RunSettings(**merged(layers, _PARSERS, RunSettings))

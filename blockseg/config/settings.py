"""Settings of a run, typed and checked once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from blockseg.config.declare import option, part
from blockseg.config.values import (
    MOST_PROCESSES,
    parse_axes,
    parse_bytes,
    parse_choice,
    parse_factors,
    parse_float,
    parse_int,
    parse_normalization,
    parse_roi,
    parse_shape,
    parse_switch,
    parse_text,
    parse_vector,
)
from blockseg.core.choices import SourceChoices
from blockseg.core.specs import AUTO, Normalization

if TYPE_CHECKING:
    from blockseg.core.geometry import Roi, Zyx
    from blockseg.core.space import Vector

BackendName: TypeAlias = Literal[
    "auto", "tensorrt", "cuda", "llvm", "openvino", "torch", "fake"
]
"""Backends that a user may name; their rows are in the table of backends."""

PrecisionName: TypeAlias = Literal[
    "auto", "fast", "bfloat16", "float16", "float32", "float64"
]
"""Precisions that a user may name."""


_OF_SOURCES = ("info", "metrics", "convert", "propose-annotations", "export")
_OF_IMAGES = (*_OF_SOURCES, "train")
_OF_METRICS = ("metrics",)
_OF_REGIONS = ("metrics", "convert", "export")
_OF_OUTPUTS = ("metrics", "convert", "synth")
_DERIVED = ("label", "skeletonize", "regions", "density", "export")
_OF_JOBS = (*_OF_OUTPUTS, *_DERIVED)
_OF_REPAIRS = (*_OF_JOBS, "verify", "retry")


@dataclass(frozen=True, slots=True)
class RunSettings:
    """Everything that ``blockseg run`` takes besides SOURCE and OUT.

    ``None`` means: found out before the first block, and written to ``run.json``.
    """

    level: int = option(
        0,
        parse_int(0),
        "Resolution level to read, 0 the finest.",
        metavar="N",
        also=_OF_SOURCES,
    )
    """Resolution level of the source, 0 the finest."""

    downsample: Zyx = option(
        (1, 1, 1),
        parse_factors,
        "Read means over so many voxels. [1,1,1]",
        metavar="Z,Y,X",
        also=_OF_SOURCES,
    )
    """Voxels of the level along (z, y, x) over which each voxel is the mean; ``roi`` and
    all else is in these coarser voxels, ``voxel_size`` that of the source."""

    dataset: str | None = option(
        None,
        parse_text,
        "Array inside a container.",
        metavar="PATH",
        also=_OF_SOURCES,
    )
    """Array inside the source, where there are several."""

    channel: int | None = option(
        None,
        parse_int(0),
        "Channel, where there are several.",
        metavar="N",
        also=_OF_IMAGES,
    )
    """Index on the channel axis, where it is longer than 1."""

    timepoint: int | None = option(
        None,
        parse_int(0),
        "Time point, where there are several.",
        metavar="N",
        also=_OF_IMAGES,
    )
    """Index on the time axis, where it is longer than 1."""

    voxel_size: Vector | None = option(
        None,
        parse_vector,
        "In µm; else from the metadata.",
        metavar="Z,Y,X",
        unit="µm",
        also=("info", "metrics", "convert", "propose-annotations", "synth"),
    )
    """Edge lengths of a voxel along (z, y, x), in µm; else from the metadata."""

    axes: str | None = option(
        None,
        parse_axes,
        "A letter an axis; else from the metadata.",
        metavar="TCZYX",
        also=_OF_IMAGES,
    )
    """One letter for each axis of the source (t, c, z, y, x); else from the metadata."""

    stored_as: str | None = option(
        None,
        parse_choice("uint8", "int8", "uint16", "int16"),
        "What the bits are: uint16 behind an int16 type.",
        metavar="TYPE",
        flags=("--as", "--stored-as", "stored_as"),
        also=_OF_IMAGES,
    )
    """Type that the stored bits are, where the source states another of the same size:
    ``uint16`` for int16."""

    allow_gaps: bool = option(
        False,
        parse_switch,
        "Read missing slices of a folder as empty planes.",
        also=_OF_SOURCES,
    )
    """Read planes that are missing from a folder of slices as empty."""

    allow_empty: bool = option(
        False,
        parse_switch,
        "Take a source of which no voxel is stored.",
        also=_OF_IMAGES,
    )
    """Take a source that has no stored voxels."""

    roi: Roi | None = option(
        None,
        parse_roi,
        "Region to segment, in voxels.",
        metavar="Z:Z,Y:Y,X:X",
        unit="voxels",
        also=_OF_REGIONS,
    )
    """Region to segment, in voxels of the level; the whole volume if not given."""

    mask: str | None = option(
        None,
        parse_text,
        "Segment where this is not 0; any resolution.",
        metavar="VOLUME",
        also=_OF_METRICS,
    )
    """Volume of any resolution whose nonzero voxels are segmented."""

    weights: str | None = option(
        None,
        parse_text,
        "Safetensors, or a name of blockseg weights list.",
        metavar="FILE|NAME",
    )
    """Safetensors file, or a name of weights that ship; the default if not given."""

    normalization: Normalization = option(
        AUTO,
        parse_normalization,
        "auto (default), robust, field, published, or B,S in grey levels.",
        metavar="HOW",
        unit="grey levels",
        also=_OF_METRICS,
    )
    """``auto``, ``robust``, ``field``, ``published``, or ``b,s`` in grey levels."""

    threshold: float = option(
        0.5,
        parse_float(1 / 255, 1.0),
        "Probability from which a voxel counts. [0.5]",
        metavar="P",
    )
    """Probability from which a voxel is foreground."""

    backend: BackendName = option(
        "auto",
        parse_choice(*get_args(BackendName)),
        "auto, tensorrt, cuda, llvm, openvino, torch or fake.",
        metavar="NAME",
    )
    """Engine that runs the network."""

    precision: PrecisionName = option(
        "auto",
        parse_choice(*get_args(PrecisionName)),
        "auto, fast, bfloat16, float16, float32 or float64.",
        metavar="NAME",
    )
    """Precision of the arithmetic: float16 on a GPU and float32 on the CPU if not given.
    ``fast`` may also choose bfloat16, on CPUs that have AMX; see ``docs/precision.md``."""

    device: Literal["auto", "cpu", "cuda"] = option(
        "auto",
        parse_choice("auto", "cpu", "cuda"),
        "auto, cpu or cuda.",
        metavar="NAME",
    )
    """Where the engine runs."""

    block: Zyx | None = option(
        None,
        parse_shape,
        "Unit of work, in voxels. [auto]",
        metavar="Z,Y,X",
        unit="voxels",
        also=_OF_OUTPUTS,
    )
    """Voxels of a block, the unit of scheduling, of the ledger and of writing."""

    window: Zyx | None = option(
        None,
        parse_shape,
        "Voxels an inference writes. [auto]",
        metavar="Z,Y,X",
        unit="voxels",
    )
    """Voxels that one call of the engine writes."""

    halo: int | None = option(
        None,
        parse_int(0),
        "Voxels read around a block. [auto]",
        metavar="N",
        unit="voxels",
    )
    """Voxels read around each block; the network's reach if not given, less only if
    inexact."""

    inexact: bool = option(False, parse_switch, "Allow a halo that makes seams.")
    """Allow a halo that makes seams."""

    sparse: bool = option(
        False,
        parse_switch,
        "Skip what is empty; at most 0.1 % of the foreground is lost.",
    )
    """Do not infer what is outside of the tissue or holds no neurite as far as a cheap
    test can tell: at most 0.1 % of the foreground is lost."""

    exhaustive: bool = option(
        False, parse_switch, "Skip nothing, whatever a preset says."
    )
    """Infer every block that the mask and the ROI leave, whatever a preset says."""

    zarr_format: Literal[2, 3] = option(
        3,
        parse_choice(2, 3),
        "3: OME-Zarr 0.5 (default); 2: 0.4.",
        metavar="N",
        also=_OF_OUTPUTS,
    )
    """3 writes OME-Zarr 0.5, sharded; 2 writes OME-Zarr 0.4."""

    codec: str = option(
        "blosc-zstd",
        parse_text,
        "Compression of OUT. [blosc-zstd]",
        metavar="NAME",
        also=_OF_OUTPUTS,
    )
    """Compression of the output."""

    metrics: bool = option(
        True,
        parse_switch,
        "Measure blocks for propose-annotations. [on]",
        flags=("--metrics/--no-metrics",),
    )
    """Measure every block for ``blockseg propose-annotations``, in the same pass."""

    dhpr: Literal["extended", "published"] = option(
        "extended",
        parse_choice("extended", "published"),
        "Formulas of OUT/blocks: extended (default) or published.",
        metavar="HOW",
        also=_OF_METRICS,
    )
    """By which formulas the images of ``OUT/blocks`` are made."""

    attempts: int = option(
        3,
        parse_int(1),
        "Tries a block gets. [3]",
        metavar="N",
        also=_OF_REPAIRS,
    )
    """How often a block is tried before it is quarantined."""

    scheduler: str | None = option(
        None,
        parse_text,
        "tcp://… of a Dask cluster, or serial; else own.",
        metavar="ADDRESS",
        also=_OF_REPAIRS,
    )
    """``tcp://…`` of a running Dask scheduler, ``serial`` for none; else our own."""

    listen: str = option(
        "127.0.0.1",
        parse_text,
        "Address of our own cluster. [127.0.0.1]",
        "HOST",
        also=_OF_JOBS,
    )
    """Address of our own cluster; beyond this machine it needs certificates."""

    insecure: bool = option(
        False, parse_switch, "Let all who reach our own cluster use it.", also=_OF_JOBS
    )
    """Leave out certificates: whoever reaches our own cluster runs code as you."""

    workers: int | None = option(
        None,
        parse_int(1, MOST_PROCESSES),
        "Worker processes. [auto]",
        metavar="N",
        also=_OF_REPAIRS,
    )
    """Worker processes; from cores and memory if not given."""

    threads: int | None = option(
        None, parse_int(1, 1024), "Threads of one inference. [auto]", metavar="N"
    )
    """Threads of one inference; from the cores and workers if not given."""

    memory: int | None = option(
        None,
        parse_bytes,
        "For all workers, as in 64GB. [85 %]",
        metavar="SIZE",
        unit="bytes",
        also=_OF_REPAIRS,
    )
    """Bytes that driver and workers may use; 85 % of the machine if not given."""

    ledger: str | None = option(
        None,
        parse_text,
        "Ledger outside OUT.",
        metavar="FILE",
        also=_OF_OUTPUTS,
    )
    """File of the ledger; ``OUT/.blockseg/ledger.sqlite`` if not given."""

    verify: bool = option(
        False,
        parse_switch,
        "Read what OUT holds, and make anew what is damaged.",
        also=_OF_JOBS,
    )
    """Read what OUT holds already, compare it with its checksums, and make anew what is
    damaged; sizes are compared always."""

    @property
    def choices(self) -> SourceChoices:
        """Choices of the user for the source."""
        return part(SourceChoices, self)


EXECUTION = frozenset(
    {
        "allow_empty",
        "allow_gaps",  # stands in the source's VolumeSpec
        "attempts",
        "scheduler",
        "listen",
        "insecure",
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

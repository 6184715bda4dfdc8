"""Settings of a run, typed and checked once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from blockseg.config.declare import option
from blockseg.config.presets import load_cluster, parse_cluster
from blockseg.config.source_settings import (
    OF_JOBS,
    OF_METRICS,
    OF_OUTPUTS,
    OF_REPAIRS,
    REPORTED,
    SourceSettings,
)
from blockseg.config.values import (
    MOST_PROCESSES,
    parse_bytes,
    parse_choice,
    parse_duration,
    parse_float,
    parse_int,
    parse_limit,
    parse_normalization,
    parse_shape,
    parse_share,
    parse_switch,
    parse_text,
)
from blockseg.core.errors import ConfigError
from blockseg.core.specs import AUTO, Normalization

if TYPE_CHECKING:
    from blockseg.core.geometry import Zyx

BackendName: TypeAlias = Literal[
    "auto", "tensorrt", "cuda", "llvm", "openvino", "torch", "fake"
]
"""Backends that a user may name; their rows are in the table of backends."""

PrecisionName: TypeAlias = Literal[
    "auto", "fast", "bfloat16", "float16", "float32", "float64"
]
"""Precisions that a user may name."""


@dataclass(frozen=True, slots=True)
class RunSettings(SourceSettings):
    """Everything that ``blockseg run`` takes besides SOURCE and OUT.

    ``None`` means: found out before the first block, and written to ``run.json``.
    """

    weights: str | None = option(
        None,
        parse_text,
        "File, or a name from blockseg weights list.",
        metavar="FILE|NAME",
        also=("view", "info"),
        basic=True,
    )
    """Safetensors file, or a name of weights that ship; the default if not given."""

    normalization: Normalization = option(
        AUTO,
        parse_normalization,
        "auto (default), robust, field, published, or B,S in grey levels.",
        metavar="HOW",
        unit="grey levels",
        also=(*OF_METRICS, "view"),
    )
    """``auto``, ``robust``, ``field``, ``published``, or ``b,s`` in grey levels."""

    threshold: float = option(
        0.5,
        parse_float(1 / 255, 1.0),
        "Lowest probability of the mask. [0.5]",
        metavar="P",
        basic=True,
    )
    """Probability from which a voxel is foreground."""

    backend: BackendName = option(
        "auto",
        parse_choice(*get_args(BackendName)),
        "auto, tensorrt, cuda, llvm, openvino, torch or fake.",
        metavar="NAME",
        also=("view",),
    )
    """Engine that runs the network."""

    precision: PrecisionName = option(
        "auto",
        parse_choice(*get_args(PrecisionName)),
        "auto, fast, bfloat16, float16, float32 or float64.",
        metavar="NAME",
    )
    """Precision of the arithmetic: float16 on a GPU and float32 on the CPU if not given.
    ``fast`` may also choose bfloat16, on CPUs that gain by it; see ``docs/precision.md``."""

    device: Literal["auto", "cpu", "cuda"] = option(
        "auto",
        parse_choice("auto", "cpu", "cuda"),
        "auto, cpu or cuda.",
        metavar="NAME",
    )
    """Device that the engine runs on."""

    block: Zyx | None = option(
        None,
        parse_shape,
        "Unit of work, in voxels. [auto]",
        metavar="Z,Y,X",
        unit="voxels",
        also=OF_OUTPUTS,
    )
    """Voxels of a block, the unit of scheduling, of the ledger and of writing."""

    window: Zyx | None = option(
        None,
        parse_shape,
        "Voxels written by one inference. [auto]",
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
        "Skip empty tissue; loses at most 0.1 % of the foreground.",
        basic=True,
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
        also=OF_OUTPUTS,
    )
    """3 writes OME-Zarr 0.5, sharded; 2 writes OME-Zarr 0.4."""

    codec: str = option(
        "blosc-zstd",
        parse_text,
        "Compression of OUT. [blosc-zstd]",
        metavar="NAME",
        also=OF_OUTPUTS,
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
        also=OF_METRICS,
    )
    """Formulas by which the images of ``OUT/blocks`` are made."""

    attempts: int = option(
        3,
        parse_int(1),
        "Attempts at each block. [3]",
        metavar="N",
        also=OF_REPAIRS,
    )
    """Number of attempts at a block before it is quarantined."""

    block_timeout: float | None = option(
        None,
        parse_limit,
        "Time until a block counts as hung. [auto]",
        "T",
        (),
        "s",
        OF_JOBS,
    )
    """Seconds after which a block counts as hung and its worker is replaced, 0 (``off``)
    for never; from the times of the run's own blocks if not given."""

    worker_timeout: float | None = option(
        None, parse_duration, "Longest wait for workers. [auto]", "T", (), "s", OF_JOBS
    )
    """Seconds without any worker after which a run gives up: an hour on a cluster of
    others, two minutes on our own if not given."""

    scheduler: str | None = option(
        None,
        parse_text,
        "tcp://… of a Dask cluster, or serial; else own.",
        metavar="ADDRESS",
        also=OF_REPAIRS,
        basic=True,
    )
    """``tcp://…`` of a running Dask scheduler, ``serial`` for none; else our own."""

    cluster: str | None = option(
        None,
        parse_cluster,
        "Where workers start: a preset, or a YAML file.",
        metavar="NAME|FILE",
        also=OF_REPAIRS,
    )
    """Preset of ``blockseg cluster list``, or a YAML file: workers as jobs of a batch
    system, as pods, or on machines by ssh; on this machine if not given."""

    part: str | None = option(
        None,
        parse_share,
        "Do part I of N; blockseg finalize combines them.",
        metavar="I/N",
    )
    """Do only the I-th of N parts of the blocks, ``I/N``: one driver each, on one OUT."""

    listen: str = option(
        "127.0.0.1",
        parse_text,
        "Address of the run's own cluster. [127.0.0.1]",
        metavar="HOST",
        also=OF_JOBS,
    )
    """Address of our own cluster; beyond this machine it needs certificates."""

    insecure: bool = option(
        False,
        parse_switch,
        "Let anybody who reaches the cluster use it.",
        also=OF_JOBS,
    )
    """Leave out certificates: anybody who reaches our own cluster can run code as you."""

    workers: int | None = option(
        None,
        parse_int(1, MOST_PROCESSES),
        "Worker processes. [auto]",
        metavar="N",
        also=OF_REPAIRS,
        basic=True,
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
        also=OF_REPAIRS,
        basic=True,
    )
    """Bytes that driver and workers may use; 85 % of the machine if not given."""

    ledger: str | None = option(
        None,
        parse_text,
        "Ledger outside OUT.",
        metavar="FILE",
        also=OF_OUTPUTS,
    )
    """File of the ledger; ``OUT/.blockseg/ledger.sqlite`` if not given."""

    verify: bool = option(
        False,
        parse_switch,
        "Read all of OUT, and redo what is damaged.",
        also=OF_JOBS,
    )
    """Read what OUT holds already, compare it with its checksums, and make anew what is
    damaged; sizes are compared always."""

    report: bool = option(
        True,
        parse_switch,
        "Write OUT/report.html at the end. [on]",
        flags=("--report/--no-report",),
        also=REPORTED,
    )
    """Write a page of what was done, ``OUT/report.html``, at the end."""

    def __post_init__(self) -> None:
        if self.cluster is not None and self.scheduler is not None:
            message = (
                "--scheduler and --cluster: the one uses workers that are there, the "
                "other starts some; give one of them"
            )
            raise ConfigError(message)

    @property
    def launcher(self) -> str:
        """Launcher of the workers; ``scheduler`` where they are somebody else's."""
        if self.scheduler not in (None, "serial"):
            return "scheduler"
        return "local" if self.cluster is None else load_cluster(self.cluster).launcher

    @property
    def elsewhere(self) -> bool:
        """Whether workers are on other machines, or may be."""
        return self.launcher not in ("local", "local-gpu")


EXECUTION = frozenset(
    {
        "endpoint",  # stands in the addresses
        "region",
        "anonymous",
        "allow_empty",
        "allow_gaps",  # stands in the source's VolumeSpec
        "attempts",
        "block_timeout",
        "cluster",
        "worker_timeout",
        "scheduler",
        "listen",
        "insecure",
        "workers",
        "memory",
        "ledger",
        "part",
        "verify",
        "exhaustive",
        "metrics",
        "dhpr",
        "report",
    }
)
"""Settings that leave every byte of the segmentation alone: a resumed run may change
them."""

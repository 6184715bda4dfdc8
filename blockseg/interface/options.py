"""Options as keywords, by command; made by ``python -m blockseg.config.keywords``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence


class RunOptions(TypedDict, total=False):
    """Options of :class:`RunSettings`."""

    level: int
    """Resolution level to read, 0 the finest."""
    downsample: Sequence[Any] | int | str
    """Read means over so many voxels. [1,1,1]"""
    dataset: str | os.PathLike[str] | None
    """Array inside a container."""
    channel: int | None
    """Channel, where there are several."""
    timepoint: int | None
    """Time point, where there are several."""
    voxel_size: Sequence[Any] | int | str | None
    """In µm; else from the metadata."""
    axes: str | os.PathLike[str] | None
    """A letter an axis; else from the metadata."""
    stored_as: str | os.PathLike[str] | None
    """What the bits are: uint16 behind an int16 type."""
    allow_gaps: bool
    """Read missing slices of a folder as empty planes."""
    allow_empty: bool
    """Take a source of which no voxel is stored."""
    roi: Any
    """Region to segment, in voxels."""
    mask: str | os.PathLike[str] | None
    """Segment where this is not 0; any resolution."""
    weights: str | os.PathLike[str] | None
    """Safetensors, or a name of blockseg weights list."""
    normalization: Any
    """auto (default), robust, field, published, or B,S in grey levels."""
    threshold: float
    """Probability from which a voxel counts. [0.5]"""
    backend: str | os.PathLike[str]
    """auto, tensorrt, cuda, llvm, openvino, torch or fake."""
    precision: str | os.PathLike[str]
    """auto, fast, bfloat16, float16, float32 or float64."""
    device: str | os.PathLike[str]
    """auto, cpu or cuda."""
    block: Sequence[Any] | int | str | None
    """Unit of work, in voxels. [auto]"""
    window: Sequence[Any] | int | str | None
    """Voxels an inference writes. [auto]"""
    halo: int | None
    """Voxels read around a block. [auto]"""
    inexact: bool
    """Allow a halo that makes seams."""
    sparse: bool
    """Skip what is empty; at most 0.1 % of the foreground is lost."""
    exhaustive: bool
    """Skip nothing, whatever a preset says."""
    zarr_format: str | os.PathLike[str]
    """3: OME-Zarr 0.5 (default); 2: 0.4."""
    codec: str | os.PathLike[str]
    """Compression of OUT. [blosc-zstd]"""
    metrics: bool
    """Measure blocks for propose-annotations. [on]"""
    dhpr: str | os.PathLike[str]
    """Formulas of OUT/blocks: extended (default) or published."""
    attempts: int
    """Tries a block gets. [3]"""
    block_timeout: float | None
    """A block hangs after this. [auto]"""
    worker_timeout: float | None
    """Wait so long for workers. [auto]"""
    scheduler: str | os.PathLike[str] | None
    """tcp://… of a Dask cluster, or serial; else own."""
    listen: str | os.PathLike[str]
    """Where our own cluster listens. [127.0.0.1]"""
    insecure: bool
    """Let all who reach our own cluster use it."""
    workers: int | None
    """Worker processes. [auto]"""
    threads: int | None
    """Threads of one inference. [auto]"""
    memory: int | None
    """For all workers, as in 64GB. [85 %]"""
    ledger: str | os.PathLike[str] | None
    """Ledger outside OUT."""
    verify: bool
    """Read what OUT holds, and make anew what is damaged."""
    report: bool
    """Write OUT/report.html at the end. [on]"""


class TrainOptions(TypedDict, total=False):
    """Options of :class:`TrainSettings`."""

    network: str | os.PathLike[str] | None
    """sdasn (default), voxresnet or unet3d."""
    width: int | None
    """Channels at full resolution."""
    init: str | os.PathLike[str] | None
    """Fine-tune these, or a name of weights list."""
    loss: str | os.PathLike[str]
    """bce-dice (default), published or dice-ce."""
    positive: float
    """Weight of neurites in bce-dice. [1]"""
    cldice: float
    """Weight of soft clDice. [0]"""
    skeleton_recall: float
    """Weight of skeleton recall. [0]"""
    deep_supervision: float
    """Weight of the heads' own losses. [0]"""
    optimiser: str | os.PathLike[str]
    """adamw (default) or sgd."""
    schedule: str | os.PathLike[str]
    """one-cycle (default), halving or constant."""
    rate: float | None
    """Highest rate. [6e-3; with --init or sgd 1e-3]"""
    momentum: float
    """Of sgd. [0.9]"""
    weight_decay: float
    """[1e-4]"""
    halvings: int
    """Of the halving schedule. [8]"""
    warm_share: float
    """Share in which one-cycle rises. [0.1]"""
    frozen_share: float | None
    """Share with frozen norms. [0.3; with --init 1]"""
    averaging: float
    """Decay of the mean weights. [0.995]"""
    gradient_clip: float
    """0 does not clip. [1]"""
    steps: int | None
    """[3000; with --init 1000]"""
    time: float | None
    """End by the clock instead, as in 10m."""
    batch: int
    """Patches a step and process. [4]"""
    patch: int
    """Edge of a patch, in voxels. [48]"""
    seed: int
    """Of weights and patches. [1]"""
    shares: Sequence[Any] | int | str | None
    """Share of each DATA. [equal]"""
    label_map: Any
    """Labels to 0, 1 or 255, as in 0:255,2:1 or others:1."""
    label_name: str | os.PathLike[str] | None
    """Which labels of an OME-Zarr."""
    label_channel: int | None
    """Of labels with several channels."""
    accept_drafts: bool
    """Learn from drafts that nobody touched, and from skipped picks."""
    allow_labels: bool
    """Take labels that are not like neurites."""
    channel: int | None
    """Channel, where there are several."""
    timepoint: int | None
    """Time point, where there are several."""
    axes: str | os.PathLike[str] | None
    """A letter an axis; else from the metadata."""
    stored_as: str | os.PathLike[str] | None
    """What the bits are: uint16 behind an int16 type."""
    allow_empty: bool
    """Take a source of which no voxel is stored."""
    validation_share: float
    """Held out. [0.2]"""
    augmentation: str | os.PathLike[str]
    """default, published or none."""
    background_share: float
    """Patches without a neurite. [0.2]"""
    min_foreground: int
    """Neurite voxels of the others. [1]"""
    clutter: float
    """Synthetic brains full of spots. [0]"""
    normalization: Any
    """auto (default), robust, field, published, or B,S."""
    gain: float | None
    """What one background SD becomes. [1]"""
    clip: Sequence[Any] | int | str | None
    """Ends of the input. [-5,20]"""
    validate_every: int | None
    """Steps between validations. [20 in all]"""
    patience: int | None
    """Validations without gain that end it. [never]"""
    patience_from: int
    """Steps from which patience counts. [200]"""
    precision: str | os.PathLike[str]
    """auto, fast, float32, float16 or bfloat16."""
    licence: str | os.PathLike[str]
    """For the weights' header."""
    name: str | os.PathLike[str] | None
    """For the weights' header. [RUN]"""
    device: str | os.PathLike[str]
    """auto, cpu or cuda."""
    threads: int | None
    """Of torch on a CPU. [auto]"""
    workers: int | None
    """Make patches. [auto]"""
    checkpoint_every: int
    """Steps that a kill costs at most. [100]"""
    tensorboard: bool
    """Write files for TensorBoard. [yes]"""


class ProposeOptions(TypedDict, total=False):
    """Options of :class:`ProposeSettings`."""

    preset: str | os.PathLike[str]
    """day: 30 of 128³ (default); published: 300 of 320³; or less."""
    count: int | None
    """Picks. [30]"""
    rule: str | os.PathLike[str]
    """dhpr (default), published, entropy, random or foreground-random."""
    seed: int
    """Of what is drawn. [0]"""
    exclude: Sequence[Any] | int | str
    """Keep away from these; repeatable."""
    regions: str | os.PathLike[str] | None
    """Atlas: shares out by √(foreground)."""
    mask: str | os.PathLike[str] | None
    """Pick where this is not 0."""
    pick_shape: Sequence[Any] | int | str | None
    """Multiples of 64. [128, or less]"""
    margin: int
    """Context around a pick. [0]"""
    ignore_uncertain: bool
    """Drafts are 255 where 0.2 ≤ p < 0.8."""
    update: bool
    """Add to the picks that PICKS holds."""
    allow_partial: bool
    """Take a run that is not complete."""
    label_map: Any
    """Labels to 0, 1 or 255."""
    label_channel: int | None
    """Of labels with several channels."""
    allow_labels: bool
    """Take labels that are not like neurites."""


class LabelOptions(TypedDict, total=False):
    """Options of :class:`LabelSettings`."""

    min_size: int
    """Objects of fewer voxels are not clean. [32]"""
    min_length: float
    """Nor are those shorter than this. [0]"""
    min_probability: float
    """Nor those whose voxels' mean probability is lower. [0]"""
    hysteresis: Sequence[Any] | int | str | None
    """Objects of probability LOW that reach HIGH somewhere."""
    connectivity: str | os.PathLike[str]
    """Neighbours of a voxel: 26 (default), 18 or 6."""
    image: bool
    """Measure contrast and SNR in the source image. [on]"""
    somata: bool
    """Then list the cell bodies that the image shows."""
    soma_radius: Sequence[Any] | int | str
    """Least and greatest radius of cell bodies. [4,10]"""
    soma_snr: float
    """Contrast of cell bodies, in SDs of the noise, at least. [3]"""
    allow_partial: bool
    """Take blocks that are not written for background."""


class SkeletonizeOptions(TypedDict, total=False):
    """Options of :class:`SkeletonizeSettings`."""

    min_length: float
    """Write objects whose lines are this long or longer. [10]"""
    bridge: float
    """Close gaps between ends that point at each other, this long at most where the image is as bright as can be, half of it where it is dark. [0: none]"""
    spacing: float
    """Distance of nodes along a line; 0 for one a voxel. [1]"""
    swc_soma: bool
    """Begin an SWC without a soma with a node of type 1, which MorphIO and NeuroM ask for. [yes]"""
    block: Sequence[Any] | int | str
    """Voxels of a block; the result does not depend on it. [256,256,256]"""
    allow_partial: bool
    """Take blocks that are not written for background."""


class ThresholdOptions(TypedDict, total=False):
    """Options of :class:`ThresholdSettings`."""

    min_size: int | None
    """Then label, and leave smaller objects out of the clean mask."""
    metrics: bool
    """Count metrics anew, which reads the image; else drop them. [on]"""


class PreviewOptions(TypedDict, total=False):
    """Options of :class:`PreviewSettings`."""

    percentile: float
    """Grey levels from this percentile on are white. [99.8]"""
    gamma: float
    """Power of what lies between; below 1 lifts what is faint. [0.7]"""
    slabs: int | None
    """Thin slabs along z beside the projections; 0 for none. [auto]"""


class EvaluateOptions(TypedDict, total=False):
    """Options of :class:`EvaluateSettings`."""

    tolerance: Any
    """Voxels, or as in 1.5um. [2]"""
    threshold: float | None
    """Of the probability; else PRED is a mask."""
    label_map: Any
    """TO: 0, 1 or 255 (ignored)."""
    ignore: Any
    """Label that does not count, or none."""
    roi: Any
    """Region to score, in voxels of PRED."""
    voxel_size: Sequence[Any] | int | str | None
    """In µm; else from the metadata."""
    swc_unit: str | os.PathLike[str]
    """um or voxels. [um]"""
    snr: str | os.PathLike[str] | None
    """Table label,snr for the labels of TRUTH."""
    snr_bins: Sequence[Any] | int | str
    """[1,2,4]"""
    block: Sequence[Any] | int | str | None
    """Unit of work, in voxels. [auto]"""
    workers: int | None
    """Blocks at a time. [cores]"""
    seed: int
    """Of the bootstrap."""


class VerifyOptions(TypedDict, total=False):
    """Options of :class:`VerifySettings`."""

    deep: bool
    """Decode all: levels and masks compared voxel by voxel."""
    source: bool
    """Read SOURCE again and compare what blocks read."""
    repair: bool
    """Make anew what is wrong, as a run given again does."""


class AuditOptions(TypedDict, total=False):
    """Options of :class:`AuditSettings`."""

    sample: int
    """Windows to infer again. [20]"""
    seed: int
    """Which ones. [0]"""


class DebugOptions(TypedDict, total=False):
    """Options of :class:`DebugSettings`."""

    block: Sequence[Any] | int | str | None
    """Place of the block in the grid. [the first that failed]"""
    bundle: str | os.PathLike[str] | None
    """Zip to write. [OUT.block-Z-Y-X.zip]"""
    rerun: bool
    """Run the block alone, in the foreground. [on]"""

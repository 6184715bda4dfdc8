"""Options as keywords, by command; made by ``python -m blockseg.interface.keywords``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence


class RunOptions(TypedDict, total=False):
    """Options of :class:`RunSettings`."""

    level: int
    downsample: Sequence[Any] | int | str
    dataset: str | os.PathLike[str] | None
    channel: int | None
    timepoint: int | None
    voxel_size: Sequence[Any] | int | str | None
    axes: str | os.PathLike[str] | None
    stored_as: str | os.PathLike[str] | None
    allow_gaps: bool
    allow_empty: bool
    roi: Any
    mask: str | os.PathLike[str] | None
    endpoint: str | os.PathLike[str] | None
    region: str | os.PathLike[str] | None
    anonymous: bool
    weights: str | os.PathLike[str] | None
    normalization: Any
    threshold: float
    backend: str | os.PathLike[str]
    precision: str | os.PathLike[str]
    device: str | os.PathLike[str]
    block: Sequence[Any] | int | str | None
    window: Sequence[Any] | int | str | None
    halo: int | None
    inexact: bool
    sparse: bool
    exhaustive: bool
    zarr_format: str | os.PathLike[str]
    codec: str | os.PathLike[str]
    metrics: bool
    dhpr: str | os.PathLike[str]
    attempts: int
    block_timeout: float | None
    worker_timeout: float | None
    scheduler: str | os.PathLike[str] | None
    cluster: str | os.PathLike[str] | None
    part: str | os.PathLike[str] | None
    listen: str | os.PathLike[str]
    insecure: bool
    workers: int | None
    threads: int | None
    memory: int | None
    ledger: str | os.PathLike[str] | None
    verify: bool
    report: bool


class TrainOptions(TypedDict, total=False):
    """Options of :class:`TrainSettings`."""

    network: str | os.PathLike[str] | None
    width: int | None
    init: str | os.PathLike[str] | None
    loss: str | os.PathLike[str]
    positive: float
    cldice: float
    skeleton_recall: float
    deep_supervision: float
    optimiser: str | os.PathLike[str]
    schedule: str | os.PathLike[str]
    rate: float | None
    momentum: float
    weight_decay: float
    halvings: int
    warm_share: float
    frozen_share: float | None
    averaging: float
    gradient_clip: float
    steps: int | None
    time: float | None
    batch: int
    patch: int
    seed: int
    shares: Sequence[Any] | int | str | None
    label_map: Any
    label_name: str | os.PathLike[str] | None
    label_channel: int | None
    accept_drafts: bool
    allow_labels: bool
    channel: int | None
    timepoint: int | None
    axes: str | os.PathLike[str] | None
    stored_as: str | os.PathLike[str] | None
    allow_empty: bool
    validation_share: float
    augmentation: str | os.PathLike[str]
    background_share: float
    min_foreground: int
    clutter: float
    normalization: Any
    gain: float | None
    clip: Sequence[Any] | int | str | None
    validate_every: int | None
    patience: int | None
    patience_from: int
    precision: str | os.PathLike[str]
    licence: str | os.PathLike[str]
    name: str | os.PathLike[str] | None
    device: str | os.PathLike[str]
    threads: int | None
    workers: int | None
    checkpoint_every: int
    tensorboard: bool


class ProposeOptions(TypedDict, total=False):
    """Options of :class:`ProposeSettings`."""

    preset: str | os.PathLike[str]
    count: int | None
    rule: str | os.PathLike[str]
    seed: int
    exclude: Sequence[Any] | int | str
    regions: str | os.PathLike[str] | None
    mask: str | os.PathLike[str] | None
    pick_shape: Sequence[Any] | int | str | None
    margin: int
    ignore_uncertain: bool
    update: bool
    allow_partial: bool
    label_map: Any
    label_channel: int | None
    allow_labels: bool


class LabelOptions(TypedDict, total=False):
    """Options of :class:`LabelSettings`."""

    min_size: int
    min_length: float
    min_probability: float
    hysteresis: Sequence[Any] | int | str | None
    connectivity: str | os.PathLike[str]
    image: bool
    somata: bool
    soma_radius: Sequence[Any] | int | str
    soma_snr: float
    allow_partial: bool


class SkeletonizeOptions(TypedDict, total=False):
    """Options of :class:`SkeletonizeSettings`."""

    min_length: float
    bridge: float
    spacing: float
    swc_soma: bool
    block: Sequence[Any] | int | str
    allow_partial: bool


class ThresholdOptions(TypedDict, total=False):
    """Options of :class:`ThresholdSettings`."""

    min_size: int | None
    metrics: bool


class PreviewOptions(TypedDict, total=False):
    """Options of :class:`PreviewSettings`."""

    percentile: float
    gamma: float
    slabs: int | None


class EvaluateOptions(TypedDict, total=False):
    """Options of :class:`EvaluateSettings`."""

    tolerance: Any
    threshold: float | None
    label_map: Any
    ignore: Any
    roi: Any
    voxel_size: Sequence[Any] | int | str | None
    swc_unit: str | os.PathLike[str]
    snr: str | os.PathLike[str] | None
    snr_bins: Sequence[Any] | int | str
    block: Sequence[Any] | int | str | None
    workers: int | None
    seed: int


class VerifyOptions(TypedDict, total=False):
    """Options of :class:`VerifySettings`."""

    deep: bool
    source: bool
    repair: bool


class AuditOptions(TypedDict, total=False):
    """Options of :class:`AuditSettings`."""

    sample: int
    seed: int


class DebugOptions(TypedDict, total=False):
    """Options of :class:`DebugSettings`."""

    block: Sequence[Any] | int | str | None
    bundle: str | os.PathLike[str] | None
    rerun: bool

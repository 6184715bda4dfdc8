"""Settings of a training, typed and checked once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from blockseg.config.declare import option, part, same
from blockseg.config.settings import RunSettings
from blockseg.config.values import (
    MOST_PROCESSES,
    parse_choice,
    parse_duration,
    parse_float,
    parse_int,
    parse_label_map,
    parse_normalization,
    parse_range,
    parse_shares,
    parse_switch,
    parse_text,
)
from blockseg.core.choices import SourceChoices
from blockseg.core.specs import AUTO, Normalization

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """Everything that ``blockseg train`` takes besides DATA and RUN.

    ``None`` means: found out before the first step, and written to ``train.json``.
    """

    network: str | None = option(
        None, parse_text, "sdasn (default), voxresnet or unet3d.", metavar="NAME"
    )
    """``sdasn``, ``voxresnet`` or ``unet3d``; that of ``init``, else ``sdasn``."""

    width: int | None = option(
        None,
        parse_int(1, 256),
        "Channels at full resolution.",
        metavar="N",
    )
    """Channels at full resolution; that of ``init``, else the published width."""

    init: str | None = option(
        None,
        parse_text,
        "Weights to fine-tune: file, or name of weights list.",
        metavar="WEIGHTS",
        basic=True,
    )
    """Weights to start from: fine-tuning."""

    loss: Literal["bce-dice", "published", "dice-ce"] = option(
        "bce-dice",
        parse_choice("bce-dice", "published", "dice-ce"),
        "bce-dice (default), published or dice-ce.",
        metavar="NAME",
    )
    """Loss that is minimised."""

    positive: float = option(
        1.0, parse_float(0.01, 1000), "Weight of neurites in bce-dice. [1]", metavar="W"
    )
    """Weight of neurite voxels in ``bce-dice``; above 1 finds dimmer ones."""

    cldice: float = option(
        0.0, parse_float(0, 1000), "Weight of soft clDice. [0]", metavar="W"
    )
    """Weight of the soft centreline Dice beside the loss."""

    skeleton_recall: float = option(
        0.0, parse_float(0, 1000), "Weight of skeleton recall. [0]", metavar="W"
    )
    """Weight of the skeleton recall beside the loss."""

    deep_supervision: float = option(
        0.0, parse_float(0, 1000), "Weight of the loss of each head. [0]", metavar="W"
    )
    """Weight of the loss of each head by itself."""

    optimiser: Literal["adamw", "sgd"] = option(
        "adamw", parse_choice("adamw", "sgd"), "adamw (default) or sgd.", metavar="NAME"
    )
    """Optimiser of the weights."""

    schedule: Literal["one-cycle", "halving", "constant"] = option(
        "one-cycle",
        parse_choice("one-cycle", "halving", "constant"),
        "one-cycle (default), halving or constant.",
        metavar="NAME",
    )
    """Course of the learning rate from the first step to the last."""

    rate: float | None = option(
        None,
        parse_float(1e-9, 10),
        "Highest learning rate. [6e-3; with --init or sgd 1e-3]",
        metavar="R",
        basic=True,
    )
    """Highest learning rate; 6e-3, fine-tuning 1e-3."""

    momentum: float = option(
        0.9, parse_float(0, 1), "Momentum of sgd. [0.9]", metavar="M"
    )
    """Momentum of SGD."""

    weight_decay: float = option(
        1e-4, parse_float(0, 1), "Weight decay. [1e-4]", metavar="W"
    )
    """Weight decay of the optimiser."""

    halvings: int = option(8, parse_int(0), "Halvings of the rate. [8]", metavar="N")
    """Number of times that the schedule ``halving`` halves the rate."""

    warm_share: float = option(
        0.1,
        parse_float(0.001, 0.999),
        "Share of the training in which one-cycle rises. [0.1]",
        metavar="S",
    )
    """Share of a one-cycle training in which the rate rises."""

    frozen_share: float | None = option(
        None,
        parse_float(0, 1),
        "Share of the training with frozen norms. [0.3; with --init 1]",
        metavar="S",
    )
    """Share of the training, its end, with norm statistics as in inference; 0.3, fine-tuning 1."""

    averaging: float = option(
        0.995,
        parse_float(0, 0.999999),
        "Decay of the running mean of the weights. [0.995]",
        metavar="D",
    )
    """Decay, a step, of the running mean of the weights, which is what is kept."""

    gradient_clip: float = option(
        1.0, parse_float(0, 1e9), "Largest gradient norm; 0: any. [1]", metavar="G"
    )
    """Greatest norm of a gradient; 0 does not clip."""

    steps: int | None = option(
        None,
        parse_int(1),
        "Training steps. [3000; with --init 1000]",
        metavar="N",
        basic=True,
    )
    """Optimiser steps; 3000, fine-tuning 1000."""

    time: float | None = option(
        None,
        parse_duration,
        "End after this time instead, as in 10m.",
        metavar="T",
        unit="seconds",
        basic=True,
    )
    """Seconds after which training ends, instead of ``steps``."""

    batch: int = option(
        4,
        parse_int(1, 65536),
        "Patches per step and process. [4]",
        metavar="N",
        basic=True,
    )
    """Patches a step and process."""

    patch: int = option(
        48,
        parse_int(8, 2048),
        "Edge of a patch, in voxels. [48]",
        metavar="N",
        unit="voxels",
    )
    """Edge of a patch, in voxels."""

    seed: int = option(1, parse_int(0), "Seed of weights and patches. [1]", metavar="N")
    """Seed of weights, patches and their order."""

    shares: tuple[float, ...] | None = option(
        None, parse_shares, "Share of each DATA. [equal]", metavar="S,S"
    )
    """Share of the patches that each DATA gives; equal if not given."""

    label_map: Mapping[int | str, int] | None = option(
        None,
        parse_label_map,
        "Labels to 0, 1 or 255, as in 0:255,2:1 or others:1.",
        metavar="A:B,…",
    )
    """Meaning of labels: 0 background, 1 neurite, 255 ignored."""

    label_name: str | None = option(
        None, parse_text, "Name of the labels in an OME-Zarr.", metavar="NAME"
    )
    """Name of the labels of an OME-Zarr image that are the truth."""

    label_channel: int | None = option(
        None,
        parse_int(0),
        "Channel of the labels, if there are several.",
        metavar="N",
    )
    """Index on the channel axis of labels, where it is longer than 1."""

    accept_drafts: bool = option(
        False,
        parse_switch,
        "Use drafts that nobody edited, and skipped picks.",
    )
    """Use drafts of picks that nobody touched, and picks that were skipped."""

    allow_labels: bool = option(
        False, parse_switch, "Accept labels that do not look like neurites."
    )
    """Use labels that are not like neurites without a warning."""

    channel: int | None = same(RunSettings, "channel")
    """Index on the channel axis of images, where it is longer than 1."""

    timepoint: int | None = same(RunSettings, "timepoint")
    """Index on the time axis of images, where it is longer than 1."""

    axes: str | None = same(RunSettings, "axes")
    """One letter for each axis of the images (t, c, z, y, x); else from the metadata."""

    stored_as: str | None = same(RunSettings, "stored_as")
    """Type that the images' stored bits are, where they state another of the same size."""

    allow_empty: bool = same(RunSettings, "allow_empty")
    """Use images that have no stored voxels."""

    validation_share: float = option(
        0.2, parse_float(0, 0.9), "Share held out for validation. [0.2]", metavar="S"
    )
    """Share of the data that is kept for validation."""

    augmentation: Literal["default", "published", "none"] = option(
        "default",
        parse_choice("default", "published", "none"),
        "default, published or none.",
        metavar="NAME",
    )
    """Variation of patches."""

    background_share: float = option(
        0.2, parse_float(0, 1), "Share of patches without a neurite. [0.2]", metavar="S"
    )
    """Share of the patches of volumes that are drawn without a neurite."""

    min_foreground: int = option(
        1, parse_int(1), "Neurite voxels in the others. [1]", metavar="N", unit="voxels"
    )
    """Neurite voxels that the other patches hold, where they can be found."""

    clutter: float = option(
        0.0, parse_float(0, 1), "Share of brains full of spots. [0]", metavar="S"
    )
    """Share of the synthetic brains that are full of spots and cells."""

    normalization: Normalization = option(
        AUTO,
        parse_normalization,
        "auto (default), robust, field, published, or B,S.",
        metavar="HOW",
        unit="grey levels",
    )
    """``auto``, ``robust``, ``field``, ``published`` or ``b,s``, as of a run."""

    gain: float | None = option(
        None, parse_float(1e-6, 1e6), "Input for one background SD. [1]", metavar="G"
    )
    """Input of the network for one SD of the background; that of ``init``, else 1."""

    clip: tuple[float, float] | None = option(
        None, parse_range, "Limits of the input. [-5,20]", metavar="LOW,HIGH"
    )
    """Its least and greatest input; those of ``init``, else -5 and 20."""

    validate_every: int | None = option(
        None,
        parse_int(1),
        "Steps between validations. [20 in all]",
        metavar="N",
    )
    """Steps between validations; 20 in the whole training if not given."""

    patience: int | None = option(
        None,
        parse_int(1),
        "Stop after this many validations without gain. [never]",
        metavar="N",
        basic=True,
    )
    """Validations without improvement after which training ends; never if not given."""

    patience_from: int = option(
        200,
        parse_int(0),
        "First step at which patience counts. [200]",
        metavar="N",
    )
    """Steps from which validations without improvement count for ``patience``: the first
    ones of a fine-tuning are hardly ever better than what it began with."""

    precision: Literal["auto", "fast", "float32", "float16", "bfloat16"] = option(
        "auto",
        parse_choice("auto", "fast", "float32", "float16", "bfloat16"),
        "auto, fast, float32, float16 or bfloat16.",
        metavar="NAME",
    )
    """Precision of the arithmetic: on a GPU ``auto`` mixes where it gains by that, on a
    CPU it is float32. ``fast`` is also bfloat16 on a CPU that has AMX."""

    licence: str = option(
        "not stated", parse_text, "Licence of the weights.", metavar="SPDX"
    )
    """SPDX identifier for the header of the weights."""

    name: str | None = option(
        None, parse_text, "Name, for the header of the weights. [RUN]", metavar="NAME"
    )
    """For the header of the weights; the folder's name if not given."""

    device: Literal["auto", "cpu", "cuda"] = same(RunSettings, "device")
    """Device that the network is trained on."""

    threads: int | None = option(
        None,
        parse_int(1, 1024),
        "Threads of torch on a CPU. [auto]",
        metavar="N",
    )
    """Threads of torch on a CPU; torch's own choice if not given."""

    workers: int | None = option(
        None,
        parse_int(0, MOST_PROCESSES),
        "Processes that make patches. [auto]",
        metavar="N",
    )
    """Processes that make patches; 0 makes them in the loop."""

    checkpoint_every: int = option(
        100,
        parse_int(1),
        "Steps between checkpoints. [100]",
        metavar="N",
    )
    """Steps that a kill costs at most; also every five minutes."""

    tensorboard: bool = option(
        True,
        parse_switch,
        "Write files for TensorBoard. [yes]",
        flags=("--tensorboard/--no-tensorboard",),
    )
    """Write scalars and pictures for TensorBoard, where it is installed."""

    @property
    def choices(self) -> SourceChoices:
        """Choices of the user for the images."""
        return part(SourceChoices, self)


TRAIN_EXECUTION = frozenset(
    {
        "accept_drafts",  # which volumes are read is compared, not why
        "allow_empty",
        "allow_labels",
        "device",
        "threads",
        "workers",
        "checkpoint_every",
        "tensorboard",
    }
)
"""Settings that a resumed training may change."""

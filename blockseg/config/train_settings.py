"""Settings of a training, typed and checked once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from blockseg.config.merging import merged
from blockseg.config.values import (
    parse_axes,
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
from blockseg.core.specs import ROBUST, Normalization

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["TRAIN_EXECUTION", "TrainSettings", "train_settings_from"]


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """Everything that ``blockseg train`` takes besides DATA and RUN.

    ``None`` means: found out before the first step, and written to ``train.json``.
    """

    network: str | None = None
    """``sdasn``, ``voxresnet`` or ``unet3d``; that of ``init``, else ``sdasn``."""

    width: int | None = None
    """Channels at full resolution; that of ``init``, else the published width."""

    init: str | None = None
    """Weights to go on from: fine-tuning."""

    loss: Literal["bce-dice", "published", "dice-ce"] = "bce-dice"
    """Loss that is minimised."""

    positive: float = 1.0
    """Weight of neurite voxels in ``bce-dice``; above 1 finds dimmer ones."""

    cldice: float = 0.0
    """Weight of the soft centreline Dice beside the loss."""

    skeleton_recall: float = 0.0
    """Weight of the skeleton recall beside the loss."""

    deep_supervision: float = 0.0
    """Weight of the loss of each head by itself."""

    optimiser: Literal["adamw", "sgd"] = "adamw"
    """Who moves the weights."""

    schedule: Literal["one-cycle", "halving", "constant"] = "one-cycle"
    """Course of the learning rate from the first step to the last."""

    rate: float | None = None
    """Highest learning rate; 6e-3, fine-tuning 1e-3."""

    momentum: float = 0.9
    """Momentum of SGD."""

    weight_decay: float = 1e-4
    """Weight decay of the optimiser."""

    halvings: int = 8
    """Number of times that the schedule ``halving`` halves the rate."""

    warm_share: float = 0.1
    """Share of a one-cycle training in which the rate rises."""

    frozen_share: float | None = None
    """Share of the training, its end, with norm statistics as in inference; 0.3, fine-tuning 1."""

    averaging: float = 0.995
    """Decay, a step, of the running mean of the weights, which is what is kept."""

    gradient_clip: float = 1.0
    """Greatest norm of a gradient; 0 does not clip."""

    steps: int | None = None
    """Optimiser steps; 3000, fine-tuning 1000."""

    time: float | None = None
    """Seconds after which training ends, instead of ``steps``."""

    batch: int = 4
    """Patches a step and process."""

    patch: int = 48
    """Edge of a patch, in voxels."""

    seed: int = 1
    """Seed of weights, patches and their order."""

    shares: tuple[float, ...] | None = None
    """Share of the patches that each DATA gives; equal if not given."""

    label_map: Mapping[int | str, int] | None = None
    """Meaning of labels: 0 background, 1 neurite, 255 ignored."""

    label_name: str | None = None
    """Which of an OME-Zarr image's labels is the truth."""

    label_channel: int | None = None
    """Index on the channel axis of labels, where it is longer than 1."""

    allow_labels: bool = False
    """Take labels that are not like neurites without a word."""

    channel: int | None = None
    """Index on the channel axis of images, where it is longer than 1."""

    timepoint: int | None = None
    """Index on the time axis of images, where it is longer than 1."""

    axes: str | None = None
    """One letter for each axis of the images (t, c, z, y, x); else from the metadata."""

    stored_as: str | None = None
    """Type that the images' stored bits are, where they state another of the same size."""

    allow_empty: bool = False
    """Take images that have no stored voxels."""

    validation_share: float = 0.2
    """Share of the data that is kept for validation."""

    augmentation: Literal["default", "published", "none"] = "default"
    """Variation of patches."""

    background_share: float = 0.2
    """Share of the patches of volumes that are drawn without a neurite."""

    min_foreground: int = 1
    """Neurite voxels that the other patches hold, where they can be found."""

    clutter: float = 0.0
    """Share of the synthetic brains that are full of spots and cells."""

    normalization: Normalization = ROBUST
    """``robust``, ``published`` or ``b,s`` in grey levels, as of a run."""

    gain: float | None = None
    """Input of the network for one SD of the background; that of ``init``, else 1."""

    clip: tuple[float, float] | None = None
    """Its least and greatest input; those of ``init``, else -5 and 20."""

    validate_every: int | None = None
    """Steps between validations; 20 in the whole training if not given."""

    patience: int | None = None
    """Validations without improvement after which training ends; never if not given."""

    precision: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    """Precision of the arithmetic; ``auto`` mixes where the device gains by it."""

    licence: str = "not stated"
    """SPDX identifier for the header of the weights."""

    name: str | None = None
    """For the header of the weights; the folder's name if not given."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the network is trained."""

    threads: int | None = None
    """Threads of torch on a CPU; torch's own choice if not given."""

    workers: int | None = None
    """Processes that make patches; 0 makes them in the loop."""

    checkpoint_every: int = 100
    """Steps that a kill costs at most; also every five minutes."""

    tensorboard: bool = True
    """Write scalars and pictures for TensorBoard, where it is installed."""

    @property
    def choices(self) -> SourceChoices:
        """Choices of the user for the images."""
        return SourceChoices(
            channel=self.channel,
            timepoint=self.timepoint,
            axes=self.axes,
            stored_as=self.stored_as,
            allow_empty=self.allow_empty,
        )


TRAIN_EXECUTION = frozenset(
    {
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

_PARSERS: dict[str, Callable[[str, Any], Any]] = {
    "network": parse_text,
    "width": parse_int(1),
    "init": parse_text,
    "loss": parse_choice("bce-dice", "published", "dice-ce"),
    "cldice": parse_float(0, 1000),
    "positive": parse_float(0.01, 1000),
    "skeleton_recall": parse_float(0, 1000),
    "deep_supervision": parse_float(0, 1000),
    "optimiser": parse_choice("adamw", "sgd"),
    "schedule": parse_choice("one-cycle", "halving", "constant"),
    "rate": parse_float(1e-9, 10),
    "momentum": parse_float(0, 1),
    "weight_decay": parse_float(0, 1),
    "halvings": parse_int(0),
    "warm_share": parse_float(0.001, 0.999),
    "frozen_share": parse_float(0, 1),
    "averaging": parse_float(0, 0.999999),
    "gradient_clip": parse_float(0, 1e9),
    "steps": parse_int(1),
    "time": parse_duration,
    "batch": parse_int(1),
    "patch": parse_int(8),
    "seed": parse_int(0),
    "shares": parse_shares,
    "label_map": parse_label_map,
    "label_name": parse_text,
    "label_channel": parse_int(0),
    "allow_labels": parse_switch,
    "channel": parse_int(0),
    "timepoint": parse_int(0),
    "axes": parse_axes,
    "stored_as": parse_choice("uint8", "int8", "uint16", "int16"),
    "allow_empty": parse_switch,
    "validation_share": parse_float(0, 0.9),
    "augmentation": parse_choice("default", "published", "none"),
    "background_share": parse_float(0, 1),
    "min_foreground": parse_int(1),
    "clutter": parse_float(0, 1),
    "normalization": parse_normalization,
    "gain": parse_float(1e-6, 1e6),
    "clip": parse_range,
    "validate_every": parse_int(1),
    "patience": parse_int(1),
    "precision": parse_choice("auto", "float32", "float16", "bfloat16"),
    "licence": parse_text,
    "name": parse_text,
    "device": parse_choice("auto", "cpu", "cuda"),
    "threads": parse_int(1),
    "workers": parse_int(0),
    "checkpoint_every": parse_int(1),
    "tensorboard": parse_switch,
}


def train_settings_from(*layers: Mapping[str, Any]) -> TrainSettings:
    """Return layers of raw values as settings; see :func:`~blockseg.config.merging.merged`."""
    return TrainSettings(**merged(layers, _PARSERS, TrainSettings))

"""Options of ``blockseg train``."""

from __future__ import annotations

from typing import Any

from .options import options_of

__all__ = ["TRAIN_OPTIONS"]

_NUMBER = "N"

TRAIN_OPTIONS: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (
        ("--network",),
        {"metavar": "NAME", "help": "sdasn (default), voxresnet or unet3d."},
    ),
    (("--width",), {"metavar": _NUMBER, "help": "Channels at full resolution."}),
    (("--init",), {"metavar": "WEIGHTS", "help": "Fine-tune these."}),
    (("--steps",), {"metavar": _NUMBER, "help": "[3000; with --init 1000]"}),
    (("--time",), {"metavar": "T", "help": "End by the clock instead, as in 10m."}),
    (("--batch",), {"metavar": _NUMBER, "help": "Patches a step and process. [4]"}),
    (("--patch",), {"metavar": _NUMBER, "help": "Edge of a patch, in voxels. [48]"}),
    (("--seed",), {"metavar": _NUMBER, "help": "Of weights and patches. [1]"}),
    (
        ("--loss",),
        {"metavar": "NAME", "help": "bce-dice (default), published or dice-ce."},
    ),
    (
        ("--positive",),
        {"metavar": "W", "help": "Weight of neurites in bce-dice. [1]"},
    ),
    (("--cldice",), {"metavar": "W", "help": "Weight of soft clDice. [0]"}),
    (
        ("--skeleton-recall",),
        {"metavar": "W", "help": "Weight of skeleton recall. [0]"},
    ),
    (
        ("--deep-supervision",),
        {"metavar": "W", "help": "Weight of the heads' own losses. [0]"},
    ),
    (("--optimiser",), {"metavar": "NAME", "help": "adamw (default) or sgd."}),
    (
        ("--schedule",),
        {"metavar": "NAME", "help": "one-cycle (default), halving or constant."},
    ),
    (
        ("--rate",),
        {"metavar": "R", "help": "Highest rate. [6e-3; with --init or sgd 1e-3]"},
    ),
    (("--momentum",), {"metavar": "M", "help": "Of sgd. [0.9]"}),
    (("--weight-decay",), {"metavar": "W", "help": "[1e-4]"}),
    (("--halvings",), {"metavar": _NUMBER, "help": "Of the halving schedule. [8]"}),
    (
        ("--warm-share",),
        {"metavar": "S", "help": "Share in which one-cycle rises. [0.1]"},
    ),
    (
        ("--frozen-share",),
        {"metavar": "S", "help": "Share with frozen norms. [0.3; with --init 1]"},
    ),
    (("--averaging",), {"metavar": "D", "help": "Decay of the mean weights. [0.995]"}),
    (("--gradient-clip",), {"metavar": "G", "help": "0 does not clip. [1]"}),
    (("--shares",), {"metavar": "S,S", "help": "Share of each DATA. [equal]"}),
    (
        ("--label-map",),
        {
            "metavar": "A:B,…",
            "help": "Labels to 0, 1 or 255, as in 0:255,2:1 or others:1.",
        },
    ),
    (("--label-name",), {"metavar": "NAME", "help": "Which labels of an OME-Zarr."}),
    (
        ("--label-channel",),
        {"metavar": _NUMBER, "help": "Of labels with several channels."},
    ),
    (
        ("--allow-labels",),
        {
            "is_flag": True,
            "default": None,
            "help": "Take labels that are not like neurites.",
        },
    ),
    *options_of("train"),
    (("--validation-share",), {"metavar": "S", "help": "Held out. [0.2]"}),
    (
        ("--augmentation",),
        {"metavar": "NAME", "help": "default, published or none."},
    ),
    (
        ("--background-share",),
        {"metavar": "S", "help": "Patches without a neurite. [0.2]"},
    ),
    (
        ("--min-foreground",),
        {"metavar": _NUMBER, "help": "Neurite voxels of the others. [1]"},
    ),
    (
        ("--clutter",),
        {"metavar": "S", "help": "Synthetic brains full of spots. [0]"},
    ),
    (
        ("--normalization",),
        {"metavar": "HOW", "help": "robust (default), published, or B,S."},
    ),
    (("--gain",), {"metavar": "G", "help": "What one background SD becomes. [1]"}),
    (("--clip",), {"metavar": "LOW,HIGH", "help": "Ends of the input. [-5,20]"}),
    (
        ("--validate-every",),
        {"metavar": _NUMBER, "help": "Steps between validations. [20 in all]"},
    ),
    (
        ("--patience",),
        {"metavar": _NUMBER, "help": "Validations without gain that end it. [never]"},
    ),
    (
        ("--precision",),
        {"metavar": "NAME", "help": "auto, float32, float16 or bfloat16."},
    ),
    (("--device",), {"metavar": "NAME", "help": "auto, cpu or cuda."}),
    (("--threads",), {"metavar": _NUMBER, "help": "Of torch on a CPU. [auto]"}),
    (("--workers",), {"metavar": _NUMBER, "help": "Make patches. [auto]"}),
    (
        ("--checkpoint-every",),
        {"metavar": _NUMBER, "help": "Steps that a kill costs at most. [100]"},
    ),
    (
        ("--tensorboard/--no-tensorboard",),
        {"default": None, "help": "Write files for TensorBoard. [yes]"},
    ),
    (("--licence",), {"metavar": "SPDX", "help": "For the weights' header."}),
    (("--name",), {"metavar": "NAME", "help": "For the weights' header. [RUN]"}),
)

"""Settings of ``blockseg propose-annotations`` and ``blockseg annotate``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from blockseg.config.declare import option
from blockseg.config.values import (
    parse_choice,
    parse_int,
    parse_label_map,
    parse_shape,
    parse_switch,
    parse_text,
    parse_texts,
)
from blockseg.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from blockseg.core.geometry import Zyx

RULE_NAMES = ("dhpr", "published", "entropy", "random", "foreground-random")
"""Rules that a user may name; what they do is in the table of rules."""

_PRESETS = {
    "day": (30, 128),
    "published": (300, 320),
}  # picks, and their edge in voxels
_PORTS = 65_536


@dataclass(frozen=True, slots=True)
class ProposeSettings:
    """Settings that decide which blocks are picked, and what is written of them.

    Raises
    ------
    ConfigError
        If a value is out of range.
    """

    preset: Literal["day", "published"] = option(
        "day",
        parse_choice("day", "published"),
        "day: 30 of 128³ (default); published: 300 of 320³; or less.",
        metavar="NAME",
    )
    """Number and size of picks where nothing is said of them: what a person can annotate in
    a day, or what was published."""

    count: int | None = option(None, parse_int(1), "Number of picks. [30]", metavar="N")
    """Number of picks, or all possible ones if fewer; by the preset if not given."""

    rule: str = option(
        "dhpr",
        parse_text,
        "dhpr (default), published, entropy, random or foreground-random.",
        metavar="NAME",
    )
    """One of :data:`RULE_NAMES`."""

    seed: int = option(0, parse_int(0), "Random seed. [0]", metavar="N")
    """Seed of what is drawn at random."""

    exclude: tuple[str, ...] = option(
        (),
        parse_texts,
        "Earlier picks to keep away from; repeatable.",
        metavar="PICKS",
        several=True,
    )
    """Folders of earlier picks to keep away from."""

    regions: str | None = option(
        None, parse_text, "Atlas: share picks out by √(foreground).", metavar="LABELS"
    )
    """Label volume of the brain's regions, which share the picks out."""

    mask: str | None = option(
        None, parse_text, "Pick where this is not 0.", metavar="VOLUME"
    )
    """Volume outside of which (0) nothing is picked."""

    pick_shape: Zyx | None = option(
        None,
        parse_shape,
        "Size of a pick, multiples of 64. [128, or less]",
        metavar="Z,Y,X",
        unit="voxels",
    )
    """Voxels of a pick along (z, y, x); from the preset, the volume and
    the count if not given."""

    margin: int = option(
        0, parse_int(0), "Context around a pick. [0]", metavar="N", unit="voxels"
    )
    """Voxels of context around a pick, which are in its image and do not count."""

    ignore_uncertain: bool = option(
        False, parse_switch, "Drafts are 255 where 0.2 ≤ p < 0.8."
    )
    """Whether drafts say nothing where the network is not sure."""

    update: bool = option(False, parse_switch, "Add to the picks that PICKS holds.")
    """Add to the picks of a folder, away from them."""

    allow_partial: bool = option(
        False, parse_switch, "Accept a run that is not complete."
    )
    """Pick from what is there of a run that is not complete."""

    label_map: Mapping[int | str, int] | None = option(
        None, parse_label_map, "Labels to 0, 1 or 255.", metavar="A:B,…"
    )
    """Meaning of a folder's labels: 0 background, 1 neurite, 255 ignored."""

    label_channel: int | None = option(
        None, parse_int(0), "Channel of the labels, if there are several.", metavar="N"
    )
    """Index on the channel axis of labels, where it is longer than 1."""

    allow_labels: bool = option(
        False, parse_switch, "Accept labels that do not look like neurites."
    )
    """Take labels that are not like neurites without a word."""

    @property
    def picks(self) -> int:
        """Number of picks that are asked for."""
        return _PRESETS[self.preset][0] if self.count is None else self.count

    @property
    def largest(self) -> int:
        """Voxels of the edge of a pick, at most, where no shape is asked for."""
        return _PRESETS[self.preset][1]

    def __post_init__(self) -> None:
        if self.rule not in RULE_NAMES:
            names = ", ".join(RULE_NAMES)
            message = f"--rule {self.rule!r}: choose one of {names}"
            raise ConfigError(message)
        for name, least in (("picks", 1), ("margin", 0), ("seed", 0)):
            if getattr(self, name) < least:
                option_ = "count" if name == "picks" else name
                message = f"--{option_} {getattr(self, name)}: at least {least}"
                raise ConfigError(message)
        if self.pick_shape is not None and min(self.pick_shape) < 1:
            message = f"--pick-shape {self.pick_shape}: at least one voxel on each axis"
            raise ConfigError(message)


@dataclass(frozen=True, slots=True)
class AnnotateSettings:
    """Offers of the page of ``blockseg annotate``, and its address.

    Raises
    ------
    ConfigError
        If a value is out of range, or says something of a training that is not offered.
    """

    traces: str | None = option(
        None,
        parse_text,
        "Show these SWC files over the picks; those that pass one are copied to "
        "PICKS/traces, and corrected there.",
        metavar="FOLDER",
    )
    """Folder of SWC files in µm, or an output that was traced."""

    train: str | None = option(
        None, parse_text, "Offer to train into this folder.", metavar="RUN"
    )
    """Folder of the training that the page can start."""

    init: str | None = option(
        None,
        parse_text,
        "Weights to fine-tune: file, or name of weights list.",
        metavar="WEIGHTS",
    )
    """Weights that the training starts from; the default weights if not given."""

    train_config: str = option(
        "train-finetune",
        parse_text,
        "Settings of the training. [train-finetune]",
        metavar="FILE|PRESET",
    )
    """Settings of the training."""

    port: int = option(0, parse_int(0), "Port of the page. [0: any]", metavar="N")
    """Port on 127.0.0.1; any that is free at 0."""

    browser: bool = option(
        True,
        parse_switch,
        "Open the page in a browser. [yes]",
        flags=("--browser/--no-browser",),
    )
    """Whether to open the page in the user's browser."""

    def __post_init__(self) -> None:
        if self.port >= _PORTS:
            message = f"--port {self.port}: below {_PORTS}"
            raise ConfigError(message)
        if self.train is None and self.init is not None:
            message = f"--init {self.init} is of a training; say where with --train RUN"
            raise ConfigError(message)

"""Settings of ``blockseg annotate``."""

from __future__ import annotations

from dataclasses import dataclass

from blockseg.config.declare import option
from blockseg.config.values import parse_int, parse_switch, parse_text
from blockseg.core.errors import ConfigError

_PORTS = 65_536


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
        None, parse_text, "Offer a training into this folder.", metavar="RUN"
    )
    """Folder of the training that the page can start."""

    init: str | None = option(
        None,
        parse_text,
        "Weights that it goes on from, or a name of weights list.",
        metavar="WEIGHTS",
    )
    """Weights that the training starts from; the default weights if not given."""

    train_config: str = option(
        "train-finetune",
        parse_text,
        "Its settings. [train-finetune]",
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

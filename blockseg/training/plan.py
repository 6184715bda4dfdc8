"""Plan of a training, made before anything is written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from blockseg.config.declare import part
from blockseg.core.errors import ConfigError
from blockseg.core.geometry import ceil_to
from blockseg.networks.registry import build
from blockseg.networks.shipped import weights_path
from blockseg.networks.weights import load_weights
from blockseg.networks.weights_info import WeightsInfo, sha256
from blockseg.runtime.memory import machine
from blockseg.training.config import TrainingConfig
from blockseg.training.data.data import CLIP, GAIN, DataConfig
from blockseg.training.data.gather import open_data
from blockseg.training.learning.arithmetic import arithmetic
from blockseg.training.learning.losses import LossConfig, make_loss
from blockseg.training.record import TrainRequest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from blockseg.config.train_settings import TrainSettings
    from blockseg.networks.base import Network
    from blockseg.training.data.data import TrainingData
    from blockseg.training.learning.arithmetic import Asked
    from blockseg.training.learning.distributed import ProcessGroup
    from blockseg.training.learning.losses import Loss

_MOST_WORKERS = 8
_RARE = -3.0  # first logit of everything: neurites are rare
_LAST_BIASES = ("head02.bias", "mixes.3.bias", "head.bias")


@dataclass(frozen=True, slots=True)
class TrainPlan:
    """Decisions made before anything is written."""

    settings: TrainSettings
    """Settings that the user asked for."""

    network: Network
    """Initial network."""

    info: WeightsInfo
    """Header of the weights."""

    config: TrainingConfig
    """Configuration."""

    loss: Loss
    """Loss that is minimised."""

    data: TrainingData
    """Data that is learned from."""

    decided: TrainSettings
    """Settings, with those decided that the user left open."""

    request: TrainRequest
    """Values that decide the result."""


def make_plan(
    sources: Sequence[str],
    out: Path,
    settings: TrainSettings,
    ranks: ProcessGroup,
    begun_in: Asked | None = None,
) -> TrainPlan:
    """Check everything and make the plan; nothing is written.

    ``begun_in`` is the precision of the training that this one goes on with: where
    ``fast`` would be another one on this machine, that of the first steps is kept.

    Raises
    ------
    BlocksegError
        With one line, if data or settings are bad.
    """
    _refuse_own_weights(settings.init, out)
    network, init = _first_network(settings)
    if settings.patch % network.alignment:
        message = (
            f"--patch {settings.patch}: {network.architecture} takes multiples of "
            f"{network.alignment}; use {ceil_to(settings.patch, network.alignment)}"
        )
        raise ConfigError(message)
    gain, clip = _input(settings, init)
    config = _config(settings, fine=init is not None, ranks=ranks)
    asked = config.precision
    if asked == "fast" and begun_in is not None:
        asked = begun_in
    precision = arithmetic(asked, ranks.device)
    config = replace(config, precision=precision)
    loss = make_loss(part(LossConfig, settings, name=settings.loss))
    how = part(
        DataConfig,
        settings,
        choices=settings.choices,
        gain=gain,
        clip=clip,
        guard=network.reach,
    )
    data = open_data(sources, how)
    info = WeightsInfo(
        name=settings.name or out.name,
        gain=gain,
        clip=clip,
        training_data=_summary(data, init),
        licence=settings.licence,
        width=network.width,
        architecture=network.architecture,
    )
    decided = replace(
        settings,
        network=info.architecture,
        width=info.width,
        rate=config.rate,
        frozen_share=config.frozen_share,
        steps=config.steps if config.seconds is None else None,
        gain=gain,
        clip=clip,
        precision=precision,
    )
    request = TrainRequest(
        settings,
        None if settings.init is None else sha256(weights_path(settings.init)),
        data.sources,
    )
    return TrainPlan(settings, network, info, config, loss, data, decided, request)


def _refuse_own_weights(init: str | None, out: Path) -> None:
    """Raise ConfigError if a training would replace what it starts from."""
    if init is None:
        return
    weights, folder = weights_path(init).resolve(), out.resolve()
    if weights.is_relative_to(folder):
        message = (
            f"--init {init} lies in RUN {out}, whose weights this training replaces; "
            "copy the file elsewhere, or choose another RUN"
        )
        raise ConfigError(message)


def _first_network(settings: TrainSettings) -> tuple[Network, WeightsInfo | None]:
    """Return the network to train, and the header of the weights that it has."""
    if settings.init is None:
        torch.manual_seed(settings.seed)
        network = build(settings.network or "sdasn", settings.width)
        _expect_background(network)
        return network, None
    network, info = load_weights(weights_path(settings.init))
    for name, asked, found in (
        ("network", settings.network, info.architecture),
        ("width", settings.width, info.width),
    ):
        if asked not in (None, found):
            message = f"--{name} {asked}: {settings.init} is of {name} {found}; leave --{name} out"
            raise ConfigError(message)
    return network, info


@torch.no_grad()
def _expect_background(network: Network) -> None:
    state = network.state_dict()
    for name in _LAST_BIASES:
        if name in state:
            bias = state[name]
            # Of two classes the second is the neurite's.
            spread = [_RARE] if bias.numel() == 1 else [-_RARE / 2, _RARE / 2]
            bias.copy_(torch.tensor(spread))


def _input(
    settings: TrainSettings, init: WeightsInfo | None
) -> tuple[float, tuple[float, float]]:
    """Return gain and clip; when fine-tuning, those of the initial weights."""
    gain = settings.gain or (GAIN if init is None else init.gain)
    clip = settings.clip or (CLIP if init is None else init.clip)
    return gain, clip


def _config(
    settings: TrainSettings, *, fine: bool, ranks: ProcessGroup
) -> TrainingConfig:
    usual = 1e-3 if fine or settings.optimiser == "sgd" else 6e-3
    frozen = 1.0 if fine else 0.3
    workers = min(_MOST_WORKERS, max(machine().cores // ranks.size - 1, 0))
    return part(
        TrainingConfig,
        settings,
        steps=settings.steps or (1000 if fine else 3000),
        seconds=settings.time,
        rate=settings.rate or usual,
        frozen_share=frozen if settings.frozen_share is None else settings.frozen_share,
        workers=workers if settings.workers is None else settings.workers,
    )


def _summary(data: TrainingData, init: WeightsInfo | None) -> str:
    made_of = "; ".join(f"{note.name} ({note.kind})" for note in data.sources)
    if init is None:
        return made_of
    return f"{made_of}; fine-tuned from {init.name} ({init.training_data})"

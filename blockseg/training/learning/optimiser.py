"""Optimisers and learning-rate schedules."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import nn

    from blockseg.training.config import TrainingConfig

_START, _END = 1 / 25, 1 / 25e4  # of the peak, as torch's OneCycleLR
_CALM, _BUSY = 0.95, 0.85  # first moment of AdamW at low and at the highest rate


def make_optimiser(
    parameters: Iterable[nn.Parameter], config: TrainingConfig
) -> torch.optim.Optimizer:
    """Return AdamW, or SGD with momentum as the published systems have it."""
    if config.optimiser == "sgd":
        return torch.optim.SGD(
            parameters,
            lr=config.rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
        )
    return torch.optim.AdamW(
        parameters, lr=config.rate, weight_decay=config.weight_decay
    )


def rate_at(config: TrainingConfig, share: float) -> float:
    """Return the learning rate when ``share`` of the training (0 to 1) is done.

    ``one-cycle`` rises along half a cosine from 1/25 of the peak, and falls along
    another to nearly nothing (Smith and Topin, "Super-convergence"); ``halving``
    halves the rate in equal steps.
    """
    if config.schedule == "constant":
        return config.rate
    if config.schedule == "halving":
        halved = math.floor(share * (config.halvings + 1) + 1e-9)
        return float(config.rate * 0.5 ** min(halved, config.halvings))
    if share < config.warm_share:
        return config.rate * _between(_START, 1.0, share / config.warm_share)
    fallen = (share - config.warm_share) / (1 - config.warm_share)
    return config.rate * _between(1.0, _END, fallen)


def set_rate(
    optimiser: torch.optim.Optimizer, config: TrainingConfig, share: float
) -> float:
    """Set and return the learning rate of the next step.

    In a one-cycle training AdamW's first moment runs against the rate.
    """
    rate = rate_at(config, share)
    for group in optimiser.param_groups:
        group["lr"] = rate
        if config.schedule == "one-cycle" and "betas" in group:
            beta = _CALM + (_BUSY - _CALM) * rate / config.rate
            group["betas"] = (beta, group["betas"][1])
    return rate


def _between(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2

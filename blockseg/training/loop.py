"""Train a network on a stream of patches: one readable loop."""

from __future__ import annotations

import copy
import logging
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import torch
from torch.utils.data import DataLoader

from blockseg.model.sdasn import SDASN
from blockseg.training.dataset import SynthPatches
from blockseg.training.forward import training_logits
from blockseg.training.loss import bce_dice

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["TrainingConfig", "train"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Everything that decides what comes out of a training."""

    steps: int = 3000
    """Optimiser steps."""

    batch: int = 4
    """Patches a step."""

    patch: int = 48
    """Edge length of a patch, in voxels."""

    peak_rate: float = 6e-3
    """Highest learning rate of the one-cycle schedule."""

    weight_decay: float = 1e-4
    """Of AdamW."""

    warm_share: float = 0.1
    """Share of the steps in which the rate rises."""

    frozen_share: float = 0.3
    """Share of the steps, the last ones, with norm statistics as in inference."""

    averaging: float = 0.995
    """Decay of the running mean of the weights, which is what is kept."""

    width: int = 8
    """Of SDASN."""

    clutter: float = 0.0
    """Share of the brains that are full of spots and round cells, 0 to 1."""

    seed: int = 1
    """Of weights, brains and order."""

    threads: int = 2
    """Of torch."""

    workers: int = 1
    """Processes that make brains; 0 makes them in the loop. More than 1 changes the order."""


def train(
    config: TrainingConfig,
    folder: Path,
    *,
    init: SDASN | None = None,
    on_checkpoint: Callable[[SDASN, int], None] | None = None,
    every: int = 50,
) -> SDASN:
    """Train SDASN on synthetic brains; continue if a checkpoint is there.

    Parameters
    ----------
    config
        What to do.
    folder
        For ``checkpoint.pt``.
    init
        Network to go on from, of the same width; random weights if not given.
    on_checkpoint
        Called with the averaged network and the step.
    every
        Steps between two checkpoints.

    Returns
    -------
    The averaged network, in evaluation mode.
    """
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    network = SDASN(config.width)
    network.state_dict()["head02.bias"].fill_(-3.0)  # neurites are rare
    if init is not None:
        network.load_state_dict(init.state_dict())
    network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    mean = copy.deepcopy(network).eval()
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=config.peak_rate, weight_decay=config.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, config.peak_rate, config.steps, pct_start=config.warm_share
    )
    checkpoint = folder / "checkpoint.pt"
    first = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(state["network"])
        mean.load_state_dict(state["mean"])
        optimiser.load_state_dict(state["optimiser"])
        schedule.load_state_dict(state["schedule"])
        first = int(state["step"])
    # A brain gives more than one patch on average, so fresh ones follow from here.
    patches = SynthPatches(
        config.seed,
        config.patch,
        first=first * config.batch,
        clutter=config.clutter,
    )
    loader = DataLoader(
        patches,
        config.batch,
        num_workers=config.workers,
        prefetch_factor=8 if config.workers else None,
    )
    since, losses = time.monotonic(), []
    network.train()
    for step, (image, target) in zip(range(first, config.steps), loader, strict=False):
        if step >= config.steps * (1 - config.frozen_share):
            _freeze_norms(network)
        image = image.to(memory_format=torch.channels_last_3d)
        loss = bce_dice(training_logits(network, image), target)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        _average(mean, network, min(config.averaging, (step + 1) / (step + 10)))
        losses.append(loss.item())
        if (step + 1) % every == 0 or step + 1 == config.steps:
            part = folder / "checkpoint.partial"
            torch.save(
                {
                    "config": asdict(config),
                    "step": step + 1,
                    "network": network.state_dict(),
                    "mean": mean.state_dict(),
                    "optimiser": optimiser.state_dict(),
                    "schedule": schedule.state_dict(),
                },
                part,
            )
            part.replace(checkpoint)
            _log.info(
                "step %d of %d: loss %.4f, %.2f s a step",
                step + 1,
                config.steps,
                sum(losses) / len(losses),
                (time.monotonic() - since) / len(losses),
            )
            since, losses = time.monotonic(), []
            if on_checkpoint is not None:
                on_checkpoint(mean, step + 1)
    return mean


def _freeze_norms(network: SDASN) -> None:
    """Use the running statistics, as inference does."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            module.eval()


@torch.no_grad()
def _average(mean: SDASN, network: SDASN, decay: float) -> None:
    for kept, new in zip(
        mean.state_dict().values(), network.state_dict().values(), strict=True
    ):
        if kept.is_floating_point():
            kept.lerp_(new, 1 - decay)
        else:
            kept.copy_(new)

"""One optimiser step: forward, loss, backward, running mean."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from blockseg.core.errors import TrainingError
from blockseg.networks.sdasn import SDASN
from blockseg.training.checkpoint import LearnerState
from blockseg.training.learning.arithmetic import arithmetic
from blockseg.training.learning.optimiser import make_optimiser, set_rate
from blockseg.training.learning.sdasn_bfloat16 import bfloat16_heads
from blockseg.training.learning.shallow_maps import guard

if TYPE_CHECKING:
    from torch import Tensor

    from blockseg.networks.base import Network
    from blockseg.training.config import TrainingConfig
    from blockseg.training.learning.distributed import ProcessGroup
    from blockseg.training.learning.losses import Loss

_HOPELESS = 50  # skipped steps in a row: halving the scale that often left nothing
_TYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16}


def training_heads(network: Network, x: Tensor) -> tuple[Tensor, ...]:
    """Return what ``network.heads(x)`` returns, arranged for a fast backward pass.

    For SDASN that is 1.7 times as fast on CPU: PyTorch has no fast 1×1×1 convolution to
    one channel there, and the backward pass of a crop copies its input even where the
    crop takes all of it; here the heads are matrix products and nothing is cropped.

    Parameters
    ----------
    network
        Any network of any width.
    x
        Normalised images ``(batch, 1, z, y, x)``, multiples of the network's alignment.
    """
    if not isinstance(network, SDASN):
        return network.heads(x)
    x00 = network.x00(x, True, None)
    x10 = network.x10(functional.max_pool3d(x00, 2), True, None)
    x20 = network.x20(functional.max_pool3d(x10, 2), True, None)
    x11 = network.x11(torch.cat([x10, network.up11(x20, True, None)], 1), True, None)
    x01 = torch.cat([x00, network.up01(x10, True, None)], 1)
    x02 = torch.cat([x01, network.up02(x11, True, None)], 1)
    x02 = network.x02(x02, True, None)
    return (
        _head(network.head00, x00),
        _head(network.head01, x01),
        _head(network.head02, x02),
    )


def _head(head: nn.Conv3d, x: Tensor) -> Tensor:
    logits = torch.einsum("bczyx,oc->bozyx", x, head.weight.flatten(1))
    return logits if head.bias is None else logits + head.bias[:, None, None, None]


class _Heads(nn.Module):
    """The part of a step that several processes share.

    ``arranged`` takes the pass that is made for bfloat16 on a CPU, where there is one.
    """

    def __init__(self, network: Network, *, arranged: bool) -> None:
        super().__init__()
        self.network, self._arranged = network, arranged

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        if self._arranged and isinstance(self.network, SDASN):
            return bfloat16_heads(self.network, image)
        return training_heads(self.network, image)


class Trainer:
    """A network that learns, its optimiser, and the running mean of its weights.

    Parameters
    ----------
    network
        Trained in place, moved to the device of ``ranks``.
    loss
        What is minimised.
    config
        How.
    ranks
        Processes that train together; gradients and norm statistics are averaged.
    """

    def __init__(
        self,
        network: Network,
        loss: Loss,
        config: TrainingConfig,
        ranks: ProcessGroup,
    ) -> None:
        self._loss, self._config, self._ranks = loss, config, ranks
        self.precision = arithmetic(config.precision, ranks.device)
        network.to(ranks.device)
        network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.network = network.train()
        self.mean = copy.deepcopy(network).eval()
        if self.precision == "bfloat16" and ranks.device.type == "cpu":
            guard(self.network)
        self._heads: nn.Module = _Heads(
            network,
            arranged=self.precision == "bfloat16" and ranks.device.type == "cpu",
        )
        if ranks.size > 1:
            # Norm statistics are averaged after each step, in place of broadcasts.
            self._heads = DistributedDataParallel(
                self._heads,
                device_ids=[ranks.device.index]
                if ranks.device.type == "cuda"
                else None,
                broadcast_buffers=False,
            )
        self.optimiser = make_optimiser(network.parameters(), config)
        self._scaler = torch.amp.GradScaler(
            ranks.device.type, enabled=self.precision == "float16"
        )
        self.rate = 0.0
        self.skipped = 0
        self._skipped_in_a_row = 0
        self._sum = torch.zeros((), dtype=torch.float64, device=ranks.device)
        self._norms = torch.zeros((), dtype=torch.float64, device=ranks.device)
        self._steps = 0

    def step(self, image: Tensor, target: Tensor, share: float, number: int) -> None:
        """Learn from one batch.

        Parameters
        ----------
        image
            Normalised, float32, shape (batch, 1, z, y, x).
        target
            uint8, of the same shape.
        share
            Of the training that is done, 0 to 1.
        number
            Steps done before this one.

        Raises
        ------
        TrainingError
            If half precision fails at every scale of the loss.
        """
        config, device = self._config, self._ranks.device
        if share >= 1 - config.frozen_share:
            _freeze_norms(self.network)
        self.rate = set_rate(self.optimiser, config, share)
        image = image.to(
            device, memory_format=torch.channels_last_3d, non_blocking=True
        )
        target = target.to(device, non_blocking=True)
        half = _TYPES.get(self.precision)
        with torch.autocast(device.type, half, enabled=half is not None):
            heads = self._heads(image)
        loss = self._loss(tuple(head.float() for head in heads), target)
        self.optimiser.zero_grad(set_to_none=True)
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self._scaler.unscale_(self.optimiser)
        norm = nn.utils.clip_grad_norm_(
            self.network.parameters(), config.gradient_clip or float("inf")
        )
        self._scaler.step(self.optimiser)
        self._ranks.average(_statistics(self.network))
        if self._skips(number):
            return
        self._sum += loss.detach()
        self._norms += norm
        self._steps += 1
        _average(
            self.mean, self.network, min(config.averaging, (number + 1) / (number + 10))
        )

    def take_loss(self) -> float | None:
        """Return the mean loss since the last call; None if no step was done.

        Raises
        ------
        TrainingError
            If it, or a gradient, is no finite number; nothing since is to be kept.
        """
        if not self._steps:
            return None
        both = torch.stack([self._sum, self._norms])
        self._ranks.average([both])
        _refuse_nonfinite(both)
        steps, self._steps = self._steps, 0
        self._sum.zero_()
        self._norms.zero_()
        return both[0].item() / steps

    def check(self) -> None:
        """Raise TrainingError where :meth:`take_loss` would; change nothing."""
        _refuse_nonfinite(torch.stack([self._sum, self._norms]))

    def state(self) -> LearnerState:
        """Return everything needed to resume exactly here."""
        return LearnerState(
            network=self.network.state_dict(),
            mean=self.mean.state_dict(),
            optimiser=self.optimiser.state_dict(),
            scaler=self._scaler.state_dict(),
            skipped=self.skipped,
            skipped_in_a_row=self._skipped_in_a_row,
            rate=self.rate,
            sums=(self._sum.item(), self._norms.item(), self._steps),
        )

    def load(self, state: LearnerState) -> None:
        """Resume from a :meth:`state`."""
        self.network.load_state_dict(state.network)
        self.mean.load_state_dict(state.mean)
        self.optimiser.load_state_dict(state.optimiser)
        self._scaler.load_state_dict(state.scaler)
        self.skipped = state.skipped
        self._skipped_in_a_row = state.skipped_in_a_row
        self.rate = state.rate
        total, norms, self._steps = state.sums
        self._sum.fill_(total)
        self._norms.fill_(norms)

    def _skips(self, number: int) -> bool:
        if not self._scaler.is_enabled():
            return False
        before = self._scaler.get_scale()
        self._scaler.update()
        if self._scaler.get_scale() >= before:
            self._skipped_in_a_row = 0
            return False
        self.skipped += 1
        self._skipped_in_a_row += 1
        if self._skipped_in_a_row >= _HOPELESS:
            message = (
                f"half precision overflowed in {_HOPELESS} steps in a row up to step "
                f"{number + 1}; train with --precision float32, or a lower --rate"
            )
            raise TrainingError(message)
        return True


def _refuse_nonfinite(loss_and_norm: Tensor) -> None:
    loss, norm = loss_and_norm.isfinite().tolist()
    if loss and norm:
        return
    message = (
        f"the {'gradient' if loss else 'loss'} is no finite number any more; train "
        "with a lower --rate, or look for broken images"
    )
    raise TrainingError(message)


def _freeze_norms(network: nn.Module) -> None:
    """Use the running statistics, as inference does."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            module.eval()


def _statistics(network: nn.Module) -> list[Tensor]:
    return [buffer for buffer in network.buffers() if buffer.is_floating_point()]


@torch.no_grad()
def _average(mean: nn.Module, network: nn.Module, decay: float) -> None:
    for kept, new in zip(
        mean.state_dict().values(), network.state_dict().values(), strict=True
    ):
        if kept.is_floating_point():
            kept.lerp_(new, 1 - decay)
        else:
            kept.copy_(new)

"""Any network on torch's own kernels: fp16, heads in float32, grey levels in, bytes out."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from blockseg.inference.backends.cuda.weights import HALF_MAX
from blockseg.inference.backends.torch import on_device
from blockseg.networks.folding import folded

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from blockseg.core.specs import Affine
    from blockseg.networks.base import Network
    from blockseg.networks.layers import AxisVectors


class TorchNetwork:
    """Normalises, infers and rounds on a device.

    Parameters
    ----------
    network
        Any; norms are folded, weights stored channels last.
    affine
        Normalisation of the run.
    device
        Where.
    dtype
        Of the maps; heads and what follows are float32.
    compiled
        Whether ``torch.compile`` makes kernels for it.
    """

    def __init__(
        self,
        network: Network,
        affine: Affine,
        device: torch.device,
        dtype: torch.dtype = torch.half,
        *,
        compiled: bool = False,
    ) -> None:
        self._affine = affine
        self._dtype = dtype
        # Folded before it is rounded: once, not twice.
        ready = on_device(folded(network), device, dtype)
        if dtype == torch.half:
            _keep_heads_exact(ready, deepcopy(network).to(device))
        self._network = ready
        logits = ready.core_logits
        self._logits: Callable[[Tensor, AxisVectors | None], Tensor] = (
            torch.compile(logits, dynamic=False) if compiled else logits
        )

    def run(self, raw: Tensor, bounds: Tensor, out: Tensor, edge: bool) -> None:
        """Put a whole window into the current stream; see ``DeviceNetwork``."""
        with torch.inference_mode(), _repeatable(raw.device):
            window = self._normalized(raw, bounds)
            inside = self._between(raw, bounds, 6) if edge else None
            logits = self._logits(window, inside).float()
            out.copy_(logits.sigmoid_().mul_(255).round_()[0, 0])

    def _normalized(self, raw: Tensor, bounds: Tensor) -> Tensor:
        affine = self._affine
        low, high = affine.low, affine.high
        if self._dtype == torch.half:
            low, high = max(low, -HALF_MAX), min(high, HALF_MAX)
        levels = raw.int().bitwise_and_(0xFFFF).float()
        levels = levels.sub_(affine.offset).div_(affine.scale).clamp_(low, high)
        z, y, x = self._between(raw, bounds, 0)
        levels *= z[0][:, None, None]
        levels *= y[0][:, None]
        levels *= x[0]
        return levels.to(self._dtype)[None, None]

    def _between(self, raw: Tensor, bounds: Tensor, place: int) -> AxisVectors:
        """Return for each axis 1 within the bounds that stand from ``place`` on."""
        z, y, x = (
            ((places >= bounds[place + axis]) & (places < bounds[place + 3 + axis])).to(
                self._dtype
            )[None]
            for axis, places in enumerate(
                torch.arange(n, device=raw.device) for n in raw.shape
            )
        )
        return z, y, x


class _ExactHead(nn.Module):
    """A 1×1×1 convolution in float32, whatever comes in."""

    def __init__(self, head: nn.Conv3d) -> None:
        super().__init__()
        self.head = head.float()

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.head(x.float())
        return found


def _keep_heads_exact(network: nn.Module, original: nn.Module) -> None:
    """Put the original's 1×1×1 convolutions in place of their rounded copies."""
    for name, child in network.named_children():
        other = getattr(original, name)
        if isinstance(child, nn.Conv3d) and child.kernel_size == (1, 1, 1):
            setattr(network, name, _ExactHead(other))
        else:
            _keep_heads_exact(child, other)


def _repeatable(device: torch.device) -> AbstractContextManager[Any]:
    # The same algorithm every time; it is chosen by rule, not by a race.
    flags: AbstractContextManager[Any] = torch.backends.cudnn.flags(
        enabled=device.type == "cuda", benchmark=False, deterministic=True
    )
    return flags

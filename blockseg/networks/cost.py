"""Cost of a window: counted on the network itself, without computing anything."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.utils.flop_counter import FlopCounterMode

from blockseg.networks.registry import build

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from blockseg.core.geometry import Zyx


def multiply_adds(architecture: str, width: int | None, core: Zyx) -> int:
    """Return the multiply-adds of all convolutions for one window.

    Transposed convolutions count by the voxels that go in; norms, activations and
    masks are left out.

    Parameters
    ----------
    architecture, width
        As :func:`~blockseg.networks.registry.build` takes them.
    core
        Voxels along (z, y, x) that the window writes; multiples of the network's
        alignment.
    """
    with torch.device("meta"):
        network = build(architecture, width)
    return _counted(network.eval().core_logits, [n + 2 * network.reach for n in core])


def margin_cost(architecture: str, width: int | None, core: Zyx) -> float:
    """Return a window's multiply-adds over those of its core in one whole pass.

    At least 1; what is above it is computed for the margins, again in each window.

    Parameters
    ----------
    architecture, width, core
        As for :func:`multiply_adds`.
    """
    with torch.device("meta"):
        network = build(architecture, width)
    unit = [network.alignment] * 3  # padded, the cost is proportional to the voxels
    whole = _counted(network.eval(), unit) / math.prod(unit) * math.prod(core)
    return multiply_adds(architecture, width, core) / whole


def _counted(run: Callable[[Tensor], Tensor], shape: list[int]) -> int:
    counter = FlopCounterMode(display=False)
    with torch.inference_mode(), counter:
        run(torch.empty((1, 1, *shape), device="meta"))
    return int(counter.get_total_flops()) // 2

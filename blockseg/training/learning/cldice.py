"""The centreline Dice as a loss, on MONAI's soft skeleton. Extra ``train``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from blockseg.core.errors import MissingExtraError
from blockseg.core.labels import IGNORE

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

_ITERATIONS = 3
"""Erosions of the soft skeleton: neurites up to 7 voxels thick become lines."""

_SMOOTH = 1.0  # voxels


def make_soft_cldice() -> Callable[[Tensor, Tensor], Tensor]:
    """Return the loss; imports MONAI, which takes seconds.

    1 less the harmonic mean of topological precision (share of the prediction's
    skeleton that lies in the truth) and sensitivity (share of the truth's skeleton that
    is predicted), by patch. After Shit et al. 2021, clDice. It takes logits
    ``(batch, 1, z, y, x)`` and a target of the same shape.

    Raises
    ------
    MissingExtraError
        If MONAI is not installed.
    """
    soft_skeleton = _import_soft_skeleton()

    def soft_cldice(logits: Tensor, target: Tensor) -> Tensor:
        counted = (target != IGNORE).to(logits.dtype)
        truth = (target == 1).to(logits.dtype)
        # Ignored voxels see no gradient: their logits must not shape the skeleton.
        p = torch.sigmoid(logits) * counted
        predicted_line = soft_skeleton(p, _ITERATIONS) * counted
        true_line = soft_skeleton(truth, _ITERATIONS)
        precision = _share(predicted_line, truth)
        sensitivity = _share(true_line, p)
        score = 2 * precision * sensitivity / (precision + sensitivity)
        return 1 - score.mean()

    return soft_cldice


def _share(line: Tensor, inside: Tensor) -> Tensor:
    covered = (line * inside).flatten(1).sum(1)
    return (covered + _SMOOTH) / (line.flatten(1).sum(1) + _SMOOTH)


def _import_soft_skeleton() -> Any:
    try:
        from monai.losses.cldice import soft_skel
    except ImportError as error:
        raise MissingExtraError("MONAI", "train") from error  # noqa: EM101
    return soft_skel

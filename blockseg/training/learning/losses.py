"""Losses of a training."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, reduce
from operator import add
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from blockseg.core.errors import ConfigError, MissingExtraError
from blockseg.core.labels import IGNORE
from blockseg.training.annotations.labels import RING

if TYPE_CHECKING:
    from collections.abc import Mapping

RING_WEIGHT = 0.3
"""Weight of the background voxels that touch a neurite."""

Loss: TypeAlias = Callable[["tuple[Tensor, ...]", Tensor], Tensor]
"""Loss of each head's logits and the target, each ``(batch, 1, z, y, x)``; a scalar."""

_SMOOTH = 100.0  # voxels: keeps the Dice term of an empty batch calm
_SPARSE = 200.0  # voxels: a patch with few known voxels does not count as much as one
_MOST = 16.0  # a known voxel of a patch counts at most as much as so many
_EPSILON = 1e-5
_EROSIONS = 3  # of the soft skeleton: neurites up to 7 voxels thick become lines


@dataclass(frozen=True, slots=True)
class LossConfig:
    """Loss that is minimised, as a sum."""

    name: Literal["bce-dice", "published", "dice-ce"] = "bce-dice"
    """:func:`bce_dice`, :func:`published` or :func:`dice_ce`; its weight is 1."""

    cldice: float = 0.0
    """Weight of :func:`make_soft_cldice`; needs extra ``train``."""

    skeleton_recall: float = 0.0
    """Weight of :func:`skeleton_recall`."""

    positive: float = 1.0
    """Weight of a neurite voxel in the BCE of ``bce-dice``; above 1, p = 0.5 is where a
    voxel is less likely neurite than not: dim neurites are worth a false voxel."""

    deep_supervision: float = 0.0
    """Weight of the mean loss of the heads, each one's sigmoid taken for the answer."""

    def __post_init__(self) -> None:
        if self.name not in _LOSSES:
            near = difflib.get_close_matches(self.name, _LOSSES, 1, 0.0)
            message = (
                f"no loss {self.name!r}; did you mean {near[0]!r}? "
                f"There are {', '.join(_LOSSES)}"
            )
            raise ConfigError(message)
        if not (math.isfinite(self.positive) and self.positive > 0):
            message = f"the weight of neurites is {self.positive}; it must be above 0"
            raise ConfigError(message)
        for name in ("cldice", "skeleton_recall", "deep_supervision"):
            weight = getattr(self, name)
            if not (math.isfinite(weight) and weight >= 0):
                message = f"the weight of {name} is {weight}; it must be 0 or more"
                raise ConfigError(message)


def make_loss(config: LossConfig) -> Loss:
    """Return the function that a configuration asks for.

    Computed in float32 whatever the arithmetic of the network. Voxels that are
    ``IGNORE`` change neither its value nor a gradient.

    Raises
    ------
    MissingExtraError
        If it needs a library that is not installed.
    """
    main = _LOSSES[config.name]
    if config.name == "bce-dice":
        main = partial(bce_dice, positive=config.positive)
    extras: list[tuple[float, Callable[[Tensor, Tensor], Tensor]]] = []
    if config.cldice:
        extras.append((config.cldice, make_soft_cldice()))
    if config.skeleton_recall:
        extras.append((config.skeleton_recall, skeleton_recall))

    def loss(heads: tuple[Tensor, ...], target: Tensor) -> Tensor:
        with torch.autocast(target.device.type, enabled=False):
            heads = tuple(head.float() for head in heads)
            logits = reduce(add, heads)
            total = main(logits, target)
            for weight, extra in extras:
                total = total + weight * extra(logits, target)
            if config.deep_supervision and len(heads) > 1:
                deep = reduce(add, (main(head, target) for head in heads))
                total = total + config.deep_supervision * deep / len(heads)
        return total

    return loss


def bce_dice(
    logits: Tensor, target: Tensor, bce_weight: float = 10.0, positive: float = 1.0
) -> Tensor:
    """Return weighted BCE plus soft Dice.

    The BCE treats both classes alike unless ``positive`` says otherwise, so that
    p = 0.5 is where a voxel is as likely neurite as not, and empty space goes to p
    near 0. The Dice term keeps thin neurites from being outvoted by their surroundings.
    Every patch counts alike: one in which a single slice is annotated as much as one
    that is known everywhere, as long as some hundred voxels are known.

    Parameters
    ----------
    logits
        ``(batch, 1, z, y, x)``.
    target
        0, 1, ``RING`` or ``IGNORE``, of the same shape.
    bce_weight
        Of the BCE against the Dice.
    positive
        Weight of neurite voxels in the BCE.
    """
    truth, weight = _truth_and_weight(logits, target)
    known = (target != IGNORE).flatten(1).sum(1).to(logits.dtype)
    each = _bce(logits, truth) * weight * (1 + (positive - 1) * truth)
    bce = (each.flatten(1).sum(1) / (known + _SPARSE)).mean()
    scale = (target[0].numel() / (known + _SPARSE)).clamp(max=_MOST)
    scale = scale.reshape(-1, *[1] * (logits.dim() - 1))
    p = torch.sigmoid(logits) * weight * scale
    truth = truth * scale
    both = (torch.sigmoid(logits) * truth).sum()
    dice = 1 - (2 * both + _SMOOTH) / (p.sum() + truth.sum() + _SMOOTH)
    return bce_weight * bce + dice


def dice_ce(logits: Tensor, target: Tensor) -> Tensor:
    """Return soft Dice plus cross entropy, both with weight 1, Dice by patch.

    MONAI's ``DiceCELoss`` where every voxel counts; that one knows no ignored voxels.
    Parameters as of :func:`bce_dice`.
    """
    truth, weight = _truth_and_weight(logits, target)
    cross_entropy = _mean(_bce(logits, truth), weight, target)
    return cross_entropy + _dice_by_patch(logits, truth, weight)


def published(logits: Tensor, target: Tensor) -> Tensor:
    """Return the loss that the published SDASN was trained with.

    250 · mean(w · BCE) + Dice, w = N₋/N on neurites and 1.1 · N₊/N elsewhere. N₊ and
    N₋ are counted over the batch, the Dice by patch. ``RING`` is background like any
    other; ``IGNORE`` counts neither in the sums nor in N. Parameters as of
    :func:`bce_dice`.
    """
    counted = (target != IGNORE).to(logits.dtype)
    truth = (target == 1).to(logits.dtype)
    voxels = counted.sum().clamp(min=1)
    positive = truth.sum() / voxels
    negative = counted.sum() / voxels - positive
    weight = truth * negative + (counted - truth) * 1.1 * positive
    bce = (weight * _bce(logits, truth)).sum() / voxels
    return 250 * bce + _dice_by_patch(logits, truth, counted)


def skeleton_recall(logits: Tensor, target: Tensor) -> Tensor:
    """Return 1 less the mean probability along the neurites' centrelines.

    Every stretch of a neurite weighs the same, however thick it is. The centreline is
    the skeleton of the truth, dilated by one voxel inside the truth; made on the CPU.
    0 where nothing is labelled. After Kirchhoff et al. 2024, Skeleton Recall Loss.
    Parameters as of :func:`bce_dice`.
    """
    line = _centreline(target).to(logits.dtype)
    return ((1 - torch.sigmoid(logits)) * line).sum() / line.sum().clamp(min=1)


def make_soft_cldice() -> Callable[[Tensor, Tensor], Tensor]:
    """Return the centreline Dice as a loss; imports MONAI, which takes seconds.

    1 less the harmonic mean of topological precision (share of the prediction's
    skeleton that lies in the truth) and sensitivity (share of the truth's skeleton that
    is predicted), by patch. After Shit et al. 2021, clDice. Parameters as of
    :func:`bce_dice`.

    Raises
    ------
    MissingExtraError
        If MONAI is not installed.
    """
    try:
        from monai.losses.cldice import soft_skel
    except ImportError as error:
        raise MissingExtraError("MONAI", "train") from error  # noqa: EM101
    skeleton: Any = soft_skel

    def soft_cldice(logits: Tensor, target: Tensor) -> Tensor:
        counted = (target != IGNORE).to(logits.dtype)
        truth = (target == 1).to(logits.dtype)
        # Ignored voxels see no gradient: their logits must not shape the skeleton.
        p = torch.sigmoid(logits) * counted
        precision = _share(skeleton(p, _EROSIONS) * counted, truth)
        sensitivity = _share(skeleton(truth, _EROSIONS), p)
        score = 2 * precision * sensitivity / (precision + sensitivity)
        return 1 - score.mean()

    return soft_cldice


def _share(line: Tensor, inside: Tensor) -> Tensor:
    """Return the share of each patch's line that lies inside; of no line 1."""
    covered = (line * inside).flatten(1).sum(1)
    return (covered + 1) / (line.flatten(1).sum(1) + 1)


def _centreline(target: Tensor) -> Tensor:
    # scikit-image takes a second to import, and most trainings do not need it.
    from scipy.ndimage import binary_dilation
    from skimage.morphology import skeletonize

    truth = (target == 1).cpu()
    lines = torch.zeros_like(truth)
    for mask, line in zip(truth[:, 0].numpy(), lines[:, 0].numpy(), strict=True):
        if mask.any():
            skeleton = skeletonize(mask)  # type: ignore[no-untyped-call,unused-ignore]
            line[...] = binary_dilation(skeleton) & mask
    return lines.to(target.device)


def _truth_and_weight(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    truth = (target == 1).to(logits.dtype)
    weight = torch.ones_like(logits)
    weight[target == RING] = RING_WEIGHT
    weight[target == IGNORE] = 0.0
    return truth, weight


def _bce(logits: Tensor, truth: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")


def _mean(each: Tensor, weight: Tensor, target: Tensor) -> Tensor:
    """Return the weighted sum over the number of voxels that count."""
    return (each * weight).sum() / (target != IGNORE).sum().clamp(min=1)


def _dice_by_patch(logits: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    p = (torch.sigmoid(logits) * weight).flatten(1)
    truth = truth.flatten(1)
    both = (p * truth).sum(1)
    score = (2 * both + _EPSILON) / (p.sum(1) + truth.sum(1) + _EPSILON)
    return 1 - score.mean()


_LOSSES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "bce-dice": bce_dice,
    "published": published,
    "dice-ce": dice_ce,
}

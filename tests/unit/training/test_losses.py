"""Losses against numbers computed by hand, and what must not count."""

import math
import sys

import numpy as np
import pytest
import torch
from torch import Tensor

from blockseg.core.errors import ConfigError, MissingExtraError
from blockseg.core.labels import IGNORE
from blockseg.training.annotations.labels import RING
from blockseg.training.learning.losses import (
    RING_WEIGHT,
    LossConfig,
    bce_dice,
    dice_ce,
    make_loss,
    published,
    skeleton_recall,
)

EVERY = (
    LossConfig(),
    LossConfig("published"),
    LossConfig("dice-ce"),
    LossConfig(cldice=0.5),
    LossConfig(skeleton_recall=0.5),
    LossConfig("published", deep_supervision=0.5),
)


def logits_of(*probabilities: float) -> Tensor:
    p = torch.tensor(probabilities, dtype=torch.float64)
    return (p / (1 - p)).log().reshape(1, 1, 1, 1, -1)


def target_of(*codes: int) -> Tensor:
    return torch.tensor(codes, dtype=torch.uint8).reshape(1, 1, 1, 1, -1)


def tube(shape: tuple[int, int, int] = (12, 12, 12)) -> Tensor:
    target = torch.zeros(1, 1, *shape, dtype=torch.uint8)
    target[..., 4:9, 4:9, :] = 1
    return target


def test_bce_dice_equals_numbers_computed_by_hand():
    logits, target = logits_of(0.8, 0.3, 0.4, 0.9), target_of(1, 0, RING, IGNORE)
    # Three of four voxels are known; few known voxels weigh less: 3 / (3 + 200).
    positive, negative = math.log(0.8), math.log(0.7) + RING_WEIGHT * math.log(0.6)
    scale = 4 / 203
    total = (0.8 + 0.3 + RING_WEIGHT * 0.4) * scale
    dice = 1 - (2 * 0.8 * scale + 100) / (total + scale + 100)
    for weight in (1, 3):
        got = bce_dice(logits, target, positive=weight)
        wanted = -10 * (weight * positive + negative) / 203 + dice
        assert got.item() == pytest.approx(wanted, rel=1e-12)


def test_a_patch_with_one_known_slice_counts_nearly_as_much_as_one_known_everywhere():
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 1, 32, 32, 32, generator=rng, requires_grad=True)
    target = (torch.rand(logits.shape, generator=rng) < 0.1).to(torch.uint8)
    target[1, :, :4] = IGNORE
    target[1, :, 5:] = IGNORE
    bce_dice(logits, target).backward()
    assert logits.grad is not None
    whole, one_slice = logits.grad.abs().flatten(1).sum(1)
    assert 0.5 < one_slice / whole < 1


def test_the_published_loss_equals_numbers_computed_by_hand():
    # Two patches: N = 7 voxels count, 2 of them positive.
    logits = torch.cat([logits_of(0.8, 0.3, 0.4, 0.9), logits_of(0.6, 0.2, 0.1, 0.5)])
    target = torch.cat([target_of(1, 0, RING, IGNORE), target_of(1, 0, 0, 0)])
    positive = -(math.log(0.8) + math.log(0.6)) * 5 / 7
    others = (0.7, 0.6, 0.8, 0.9, 0.5)
    negative = -sum(math.log(q) for q in others) * 1.1 * 2 / 7
    first = (2 * 0.8 + 1e-5) / (0.8 + 0.3 + 0.4 + 1 + 1e-5)
    second = (2 * 0.6 + 1e-5) / (0.6 + 0.2 + 0.1 + 0.5 + 1 + 1e-5)
    wanted = 250 * (positive + negative) / 7 + 1 - (first + second) / 2
    assert published(logits, target).item() == pytest.approx(wanted, rel=1e-12)


def test_dice_ce_equals_numbers_computed_by_hand():
    got = dice_ce(logits_of(0.8, 0.3, 0.4, 0.9), target_of(1, 0, RING, IGNORE))
    bce = -(math.log(0.8) + math.log(0.7) + RING_WEIGHT * math.log(0.6)) / 3
    total = 0.8 + 0.3 + RING_WEIGHT * 0.4
    dice = 1 - (1.6 + 1e-5) / (total + 1 + 1e-5)
    assert got.item() == pytest.approx(bce + dice, rel=1e-12)


def test_dice_ce_is_that_of_monai_where_every_voxel_counts():
    losses = pytest.importorskip("monai.losses")
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 1, 6, 5, 7, generator=rng)
    target = (torch.rand(2, 1, 6, 5, 7, generator=rng) < 0.3).to(torch.uint8)
    wanted = losses.DiceCELoss(sigmoid=True)(logits, target.float())
    assert dice_ce(logits, target).item() == pytest.approx(wanted.item(), rel=1e-5)


def test_skeleton_recall_is_the_mean_probability_missing_on_the_centreline():
    target = tube()
    line = torch.zeros_like(target)
    line[..., 6, 6, 3:9] = 1  # the ends of a skeleton are its own affair
    everywhere = torch.full(target.shape, 8.0)
    missed = torch.where(line > 0, -8.0, everywhere)
    assert skeleton_recall(everywhere, target) < 0.01
    assert skeleton_recall(-everywhere, target) > 0.99
    # The dilated line has 5 voxels in each of 12 planes; some 6 of 60 are gone.
    assert 0.08 < skeleton_recall(missed, target) < 0.2
    outside = torch.where(target > 0, 8.0, -everywhere)
    assert torch.allclose(
        skeleton_recall(outside, target), skeleton_recall(everywhere, target)
    )


def test_soft_cldice_prefers_a_connected_tube_to_a_broken_one():
    pytest.importorskip("monai")
    loss = make_loss(LossConfig(cldice=1.0))
    bare = make_loss(LossConfig())
    target = tube()
    good = torch.where(target > 0, 8.0, -8.0)
    broken = good.clone()
    broken[..., 5:7] = -8
    perfect, worse = (
        (loss((logits,), target) - bare((logits,), target)).item()
        for logits in (good, broken)
    )
    assert perfect < 0.01
    assert 0.05 < worse < 0.5


@pytest.mark.parametrize("config", EVERY, ids=str)
def test_gradients_are_finite_whatever_the_target(config):
    if config.cldice:
        pytest.importorskip("monai")
    loss = make_loss(config)
    half = torch.full((2, 1, 8, 8, 8), IGNORE, dtype=torch.uint8)
    half[0] = 0
    targets = {
        "empty": torch.zeros(2, 1, 8, 8, 8, dtype=torch.uint8),
        "ignored": torch.full((2, 1, 8, 8, 8), IGNORE, dtype=torch.uint8),
        "half ignored": half,
        "full": torch.ones(2, 1, 8, 8, 8, dtype=torch.uint8),
        "ring": torch.full((2, 1, 8, 8, 8), RING, dtype=torch.uint8),
    }
    for name, target in targets.items():
        for size in (1.0, 100.0):
            heads = [(size * torch.randn(target.shape)).requires_grad_() for _ in "ab"]
            value = loss(tuple(heads), target)
            value.backward()
            assert torch.isfinite(value), name
            for head in heads:
                assert head.grad is not None
                assert torch.isfinite(head.grad).all(), name
                assert name != "ignored" or not head.grad.any()


@pytest.mark.parametrize("config", EVERY, ids=str)
def test_ignored_voxels_change_neither_the_loss_nor_a_gradient(config):
    if config.cldice:
        pytest.importorskip("monai")
    loss = make_loss(config)
    target = tube()
    target[..., :5] = IGNORE
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(target.shape, generator=rng)
    other = torch.where(target == IGNORE, 3 * logits - 7, logits)
    values = []
    for x in (logits, other):
        x = x.clone().requires_grad_()
        value = loss((x,), target)
        value.backward()
        assert x.grad is not None
        assert not x.grad[target == IGNORE].any()
        assert x.grad[target != IGNORE].any()
        values.append(value.item())
    assert values[0] == pytest.approx(values[1], rel=1e-6)


def test_losses_are_computed_in_float32_under_autocast():
    target = tube()
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(target.shape, generator=rng).bfloat16()
    for config in (LossConfig(), LossConfig("published"), LossConfig("dice-ce")):
        loss = make_loss(config)
        heads = (logits.clone().requires_grad_(),)
        with torch.autocast("cpu", torch.bfloat16):
            got = loss(heads, target)
        got.backward()
        assert got.dtype == torch.float32
        assert got.item() == loss((logits.float(),), target).item()
        assert heads[0].grad is not None
        assert torch.isfinite(heads[0].grad).all()


def test_deep_supervision_adds_the_mean_loss_of_the_heads():
    target = tube()
    rng = torch.Generator().manual_seed(0)
    heads = tuple(torch.randn(target.shape, generator=rng) for _ in range(3))
    got = make_loss(LossConfig(deep_supervision=0.4))(heads, target)
    alone = np.mean([bce_dice(head, target).item() for head in heads])
    wanted = bce_dice(sum(heads, torch.zeros(())), target).item() + 0.4 * alone
    assert got.item() == pytest.approx(wanted, rel=1e-5)
    one = make_loss(LossConfig(deep_supervision=0.4))(heads[:1], target)
    assert one.item() == pytest.approx(bce_dice(heads[0], target).item(), rel=1e-6)


def test_an_unknown_loss_and_a_weight_below_zero_are_one_line():
    with pytest.raises(ConfigError, match=r"no loss 'dice'; did you mean 'dice-ce'\?"):
        LossConfig("dice")  # type: ignore[arg-type]
    for weight in (-1.0, math.nan, math.inf):
        with pytest.raises(ConfigError, match="must be 0 or more"):
            LossConfig(cldice=weight)


def test_cldice_without_monai_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "monai", None)
    monkeypatch.setitem(sys.modules, "monai.losses.cldice", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'blockseg\[train\]'"):
        make_loss(LossConfig(cldice=1.0))

import numpy as np
import pytest
import torch

from blockseg.morphology.scores import Agreement, tolerant_agreement
from blockseg.networks.registry import build
from blockseg.training.data.data import ValidationVolume
from blockseg.training.learning.losses import LossConfig, make_loss
from blockseg.training.learning.tolerance import THRESHOLDS, curve
from blockseg.training.learning.validation import (
    VolumeScore,
    predicted,
    together,
    validate,
)

LOSS = make_loss(LossConfig())


@pytest.mark.parametrize("seed", range(4))
def test_the_curve_is_the_tolerant_agreement_at_each_threshold(seed):
    rng = np.random.default_rng(seed)
    shape = (9, 10, 11)
    p = rng.uniform(size=shape).astype(np.float32) ** 6
    p[0, 0, :3] = THRESHOLDS[9]  # on a threshold exactly
    true = rng.uniform(size=shape) < (0.01 * seed)
    counts = rng.uniform(size=shape) < 0.8
    for threshold, agreement in zip(THRESHOLDS, curve(p, true, counts), strict=True):
        mask = p >= np.float32(threshold)
        assert agreement == tolerant_agreement(mask, true, 2, counts=counts)


@pytest.mark.parametrize("architecture", ["sdasn", "voxresnet"])
def test_tiles_give_what_one_pass_gives(architecture):
    torch.manual_seed(1)
    network = build(architecture, 2).eval()
    rng = np.random.default_rng(1)
    shape = (18, 37, 150)
    volume = ValidationVolume(
        "v", rng.normal(size=shape).astype(np.float32), np.zeros(shape, np.uint8)
    )
    whole, _ = predicted(network, volume, LOSS, core=160)
    tiled, _ = predicted(network, volume, LOSS, core=64)
    assert whole.shape == shape
    np.testing.assert_allclose(tiled, whole, atol=2e-5)


def test_the_validation_loss_is_the_training_loss_of_what_counts():
    torch.manual_seed(1)
    network = build("sdasn", 2).eval()
    rng = np.random.default_rng(2)
    image = rng.normal(size=(16, 16, 16)).astype(np.float32)
    target = (rng.uniform(size=image.shape) < 0.1).astype(np.uint8)
    target[:8] = 255
    (score,) = validate(network, [ValidationVolume("v", image, target)], LOSS)
    with torch.inference_mode():
        heads = network.heads(torch.from_numpy(image)[None, None])
        expected = LOSS(heads, torch.from_numpy(target)[None, None]).item()
    assert score.loss == pytest.approx(expected, rel=1e-5)
    assert score.voxels == 8 * 16 * 16


def test_volumes_count_by_their_weights_and_not_by_their_size():
    def score(found, voxels, weight):
        counts = Agreement(voxels // 10, found, voxels // 10, found)
        return VolumeScore("v", 1.0, voxels, (counts,) * len(THRESHOLDS), weight)

    both = together([score(100, 1000, 1.0), score(0, 100_000, 1.0)])
    assert both.default.recall == pytest.approx(0.5, abs=1e-6)
    first = together([score(100, 1000, 3.0), score(0, 100_000, 1.0)])
    assert first.default.recall == pytest.approx(0.75, abs=1e-6)
    assert first.voxels == 101_000


def test_the_best_threshold_is_the_one_nearest_to_a_half_among_equals():
    counts = tuple(Agreement(10, 5 if t < 0.25 else 9, 10, 9) for t in THRESHOLDS)
    assert VolumeScore("v", 0.0, 1, counts).best == pytest.approx((0.5, 0.9))

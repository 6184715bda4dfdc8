"""Augmentation keeps image and truth together."""

import numpy as np
import pytest
from numpy.typing import NDArray

from blockseg.core.specs import Affine, AffineField
from blockseg.training.data.augment import (
    AUGMENTATIONS,
    Scale,
    augmented,
    blurred,
    misjudged,
    noisy,
    published,
    toned,
    turned,
)


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def marked(edge: int = 6) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    target = (np.arange(edge**3) % 251).reshape((edge,) * 3).astype(np.uint8)
    return target.astype(np.float32), target


def test_a_patch_and_its_truth_stay_together_however_they_are_turned() -> None:
    image, target = marked()
    seen = set()
    for seed in range(40):
        moved, truth = turned(image, target, rng(seed))
        np.testing.assert_array_equal(moved, truth)
        assert sorted(truth.ravel()) == sorted(target.ravel())
        seen.add(truth.tobytes())
    assert len(seen) > 10  # of 16


def test_a_turn_never_exchanges_z_with_another_axis() -> None:
    image = np.broadcast_to(np.arange(8, dtype=np.float32)[:, None, None], (8, 8, 8))
    for seed in range(20):
        moved, _ = turned(image, np.zeros((8, 8, 8), np.uint8), rng(seed))
        assert (moved == moved[:, :1, :1]).all()


@pytest.mark.parametrize("sd", [1.0, 25.0])
def test_a_misjudged_background_is_an_increasing_linear_map(sd: float) -> None:
    x = np.linspace(-3, 9, 27, dtype=np.float32).reshape(3, 3, 3)
    seen = misjudged(x * np.float32(sd), rng(), Scale(sd)).ravel()
    steps = np.diff(seen)
    assert (steps > 0).all()
    np.testing.assert_allclose(steps, steps[0], rtol=1e-3)
    np.testing.assert_allclose(seen / sd, misjudged(x, rng()).ravel(), rtol=1e-4)


def test_bending_the_contrast_keeps_order_background_and_the_fixed_point() -> None:
    x = np.linspace(-5, 40, 91, dtype=np.float32)
    for seed in range(5):
        seen = toned(x, Scale(2.0), rng(seed))
        assert (np.diff(seen) > 0).all()
        np.testing.assert_array_equal(seen[x <= 0], x[x <= 0])
        assert seen[x == 20] == pytest.approx(20, rel=1e-5)
        assert seen.dtype == np.float32
    assert (toned(x, Scale(2.0), rng(1)) != x).any()


def test_noise_has_at_most_half_the_sd_of_the_background() -> None:
    still = np.zeros((20, 20, 20), np.float32)
    spread = [float(noisy(still, Scale(4.0), rng(seed)).std()) for seed in range(12)]
    assert max(spread) < 2.1
    assert max(spread) > 1.0
    assert min(spread) < 1.0


def test_blur_spreads_a_point_and_keeps_its_sum() -> None:
    point = np.zeros((9, 9, 9), np.float32)
    point[4, 4, 4] = 1
    seen = blurred(point, Scale(), rng())
    assert seen[4, 4, 4] < 1
    assert seen.sum() == pytest.approx(1, rel=1e-4)


def test_the_published_augmentation_moves_image_and_truth_alike() -> None:
    image, target = marked()
    seen = set()
    for seed in range(30):
        moved, truth = published(image, target, Scale(grey=0.0), rng(seed))
        factor = moved.max() / image.max()
        assert 0.5 <= factor <= 1.5
        np.testing.assert_allclose(moved, truth * factor, rtol=1e-5)
        assert sorted(truth.ravel()) == sorted(target.ravel())
        seen.add(truth.tobytes())
    assert len(seen) > 10


def test_the_published_amplitudes_are_grey_levels_of_the_volume() -> None:
    still = np.zeros((12, 12, 12), np.float32)
    _, target = marked(12)
    shifts, spreads = [], []
    for seed in range(60):
        seen, _ = published(still, target, Scale(grey=1 / 500), rng(seed))
        shifts.append(float(np.median(seen)) * 500)
        spreads.append(float(seen.std()) * 500)
    assert 60 < max(shifts) <= 103
    assert -103 <= min(shifts) < -60
    assert 15 < max(spreads) < 25 * np.sqrt(2) * 1.5 * 1.05
    assert shifts.count(0.0) > 3


def test_the_scale_of_a_volume_follows_from_its_normalisation() -> None:
    assert Scale.of(Affine(200.0, 5.0), 10.0, 2.0) == Scale(sd=2.0, grey=0.2)
    field = AffineField((1, 1, 2), (0, 0, 0), (1, 1, 1), (200.0, 90.0), (4.0, 2.0))
    assert Scale.of(field, 10.0, 3.0) == Scale(sd=3.0, grey=(1 / 4 + 1 / 2) / 2)


@pytest.mark.parametrize("kind", AUGMENTATIONS)
def test_every_augmentation_is_a_function_of_its_generator(kind: str) -> None:
    image, target = marked()
    for seed in range(8):
        pairs = [
            augmented(kind, image, target, Scale(), rng(seed))  # type: ignore[arg-type]
            for _ in range(2)
        ]
        for one, other in zip(*pairs, strict=True):
            np.testing.assert_array_equal(one, other)
        assert pairs[0][0].dtype == np.float32
        assert pairs[0][1].dtype == np.uint8
    assert (image == marked()[0]).all()
    if kind == "none":
        assert pairs[0][0] is image

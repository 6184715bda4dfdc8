"""Augmentation keeps image and truth together."""

import numpy as np

from blockseg.training.augment import misjudged, turned_crop


def test_a_crop_and_its_truth_stay_together_however_they_are_turned() -> None:
    target = np.arange(8 * 9 * 10, dtype=np.int64).reshape(8, 9, 10) % 251
    image = (target / 2).astype(np.float32)
    seen = set()
    for seed in range(20):
        cut, truth = turned_crop(
            image, target.astype(np.uint8), 6, np.random.default_rng(seed)
        )
        assert cut.shape == truth.shape == (6, 6, 6)
        np.testing.assert_array_equal(cut * 2, truth)
        seen.add(truth.tobytes())
    assert len(seen) > 15


def test_a_turn_never_exchanges_z_with_another_axis() -> None:
    image = np.broadcast_to(np.arange(8, dtype=np.float32)[:, None, None], (8, 8, 8))
    for seed in range(20):
        cut, _ = turned_crop(
            image, np.zeros((8, 8, 8), np.uint8), 8, np.random.default_rng(seed)
        )
        assert (cut == cut[:, :1, :1]).all()


def test_a_misjudged_background_is_an_increasing_linear_map() -> None:
    x = np.linspace(-3, 9, 27, dtype=np.float32).reshape(3, 3, 3)
    seen = misjudged(x, np.random.default_rng(1)).ravel()
    steps = np.diff(seen)
    assert (steps > 0).all()
    np.testing.assert_allclose(steps, steps[0], rtol=1e-3)

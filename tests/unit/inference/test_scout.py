"""The scout's score, and its two engines."""

from dataclasses import replace

import numpy as np
import pytest

from blockseg.core.errors import WeightsError
from blockseg.core.geometry import Roi
from blockseg.core.specs import Affine, ScoutSpec
from blockseg.inference.tile_scores.averaged_image import SEEN
from blockseg.inference.tile_scores.scout import Scout, shipped_scout
from blockseg.networks.scout import default_scout, load_scout, save_scout
from blockseg.networks.shipped import default_weights

AFFINE = Affine(200.0, 20.0, -5.0, 20.0)


def axons(shape=(96, 160, 176), seed=0):
    """Noise with two thin bright lines."""
    image = np.random.default_rng(seed).normal(200, 20, shape)
    image[40:43, 70:73, 20:150] += 120
    image[10:90, 20:23, 100:103] += 120
    return image.clip(0, 65535).astype(np.uint16)


def made(weights=None, engine="torch", shape=(96, 160, 176)):
    weights = weights or load_scout(default_scout())
    return Scout(ScoutSpec(weights.sha256, engine, 1.0), AFFINE, shape, 1, weights)


def test_tiles_have_the_same_score_in_every_region_and_on_both_engines():
    raw = axons()
    whole = Roi.whole(raw.shape)
    expected = made().score(raw, whole, whole)
    assert expected.max() > 4 * np.median(expected) > 0, "lines stand out"
    pytest.importorskip("openvino")
    scouts = made(), made(engine="openvino")
    assert np.abs(scouts[1].score(raw, whole, whole) - expected).max() <= 1 / 16
    for scout in scouts:
        expected = scout.score(raw, whole, whole)
        for start, stop in (
            ((0, 0, 0), (16, 160, 176)),
            ((16, 48, 32), (96, 112, 176)),
            ((32, 64, 16), (48, 80, 32)),
            ((48, 16, 128), (96, 160, 144)),
        ):
            roi = Roi(start, stop)
            read = roi.grown((SEEN,) * 3).intersection(whole)
            found = scout.score(raw[read.slices()], read, roi)
            part = tuple(
                slice(a // 16, b // 16) for a, b in zip(start, stop, strict=True)
            )
            assert np.array_equal(found, expected[part])


def test_the_shipped_scout_tells_lines_from_noise():
    raw = axons()
    whole = Roi.whole(raw.shape)
    score = made().score(raw, whole, whole)
    line = np.zeros(score.shape, bool)
    line[2, 4, 2:9] = line[1:5, 1, 6] = True
    beside = np.zeros(score.shape, bool)
    beside[0, 6:, :4] = beside[5, 6:, :4] = True
    assert score[line].min() > score[beside].max() + 2


def test_another_gain_changes_nothing_but_the_scale_of_the_input():
    raw = axons()
    whole = Roi.whole(raw.shape)
    spec = shipped_scout(4.0)
    quarter = Affine(200.0, 5.0, -20.0, 80.0)
    scored = Scout(replace(spec, engine="torch"), quarter, raw.shape).score(
        raw, whole, whole
    )
    # What is beyond 60 is cut off, here 15 SDs.
    dim = np.abs(raw.astype(float) - 200).max() < 15 * 20
    assert dim
    assert np.abs(scored - made().score(raw, whole, whole)).max() <= 0.25


def test_another_scout_than_that_of_the_run_is_refused():
    with pytest.raises(WeightsError, match="this blockseg has another"):
        Scout(ScoutSpec("0" * 64, "torch", 1.0), AFFINE, (16, 16, 16))


def test_a_file_of_another_network_is_no_scout(tmp_path):
    with pytest.raises(WeightsError, match="does not hold a scout"):
        load_scout(default_weights())
    save_scout(tmp_path / "zero.safetensors", [], 0.0, {})
    assert load_scout(tmp_path / "zero.safetensors").layers == ()


def test_the_shipped_file_states_licence_and_data():
    from safetensors import safe_open

    with safe_open(default_scout(), framework="numpy") as file:
        header = file.metadata()
    assert header["licence"] == "MIT"
    assert "synthetic brains" in header["training_data"]

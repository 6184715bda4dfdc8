import numpy as np
import pytest

from blockseg.core.specs import Normalization
from blockseg.normalization.affine import affine, normalize
from blockseg.normalization.background import (
    FLOAT_FLOOR,
    INTEGER_FLOOR,
    Background,
    estimate_background,
)


def noise(level=500.0, sd=20.0, shape=(64, 96), dtype="u2", seed=0):
    values = np.random.default_rng(seed).normal(level, sd, shape)
    return (values if np.dtype(dtype).kind == "f" else np.rint(values)).astype(dtype)


def parts(found: Background) -> int:
    left_out = found.constant + found.zero + found.saturated + found.nonfinite
    return found.voxels + left_out


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "f4"])
def test_plain_noise_gives_its_level_and_a_little_less_than_its_sd(dtype):
    found = estimate_background([noise(100, 20, dtype=dtype)], dtype)
    # The upper tail beyond 2 MAD = 1.35 SD is cut off.
    assert found.level == pytest.approx(100 - 2, abs=2)
    assert found.sd == pytest.approx(0.855 * 20, rel=0.1)
    assert found.voxels == 64 * 96


def test_b_and_s_are_those_of_the_voxels_up_to_median_plus_two_mad():
    sample = noise(300, 30).astype(float)
    median = np.median(sample)
    kept = sample[sample <= median + 2 * np.median(abs(sample - median))]
    found = estimate_background([sample.astype("u2")], "u2")
    assert (found.level, found.sd) == (np.median(kept), kept.std())


def test_bright_neurites_do_not_move_the_background():
    plain, sparse = noise(), noise()
    sparse[::20] = 5000
    before, after = (estimate_background([p], "u2") for p in (plain, sparse))
    assert after.level == pytest.approx(before.level, abs=2)
    assert after.sd == pytest.approx(before.sd, rel=0.1)


@pytest.mark.parametrize("fill", [0, 100, 65535])
@pytest.mark.parametrize("cut", [32, 37])
def test_a_filled_region_does_not_count_nor_do_squares_that_its_edge_cuts(fill, cut):
    filled = noise()
    filled[:, :cut] = fill
    found = estimate_background([filled], "u2")
    # 2 % of the fill's voxels would change the SD several times over.
    assert found.level == pytest.approx(498, abs=3)
    assert found.sd == pytest.approx(0.855 * 20, rel=0.1)
    assert parts(found) == filled.size


def test_zeros_do_not_count_wherever_they_lie():
    holed = noise()
    holed[::3, ::2] = 0
    found = estimate_background([holed], "u2")
    assert found.zero == np.count_nonzero(holed == 0)
    assert found.level == pytest.approx(498, abs=3)


@pytest.mark.parametrize(
    ("dtype", "top", "counted"),
    [
        ("u1", 255, True),
        ("u2", 65535, True),
        ("i2", 32767, True),
        ("u2", 4095, True),
        ("i2", 4095, True),
        ("u2", 4094, False),
        ("f4", 4095, False),
    ],
)
def test_saturated_voxels_do_not_count(dtype, top, counted):
    sample = noise(100, 10, dtype=dtype)
    sample[5, 5] = sample[40, 50] = top
    found = estimate_background([sample], dtype)
    assert found.saturated == (2 if counted else 0)
    assert parts(found) == sample.size


def test_4095_is_ordinary_where_the_sample_goes_beyond_it():
    sample = noise()
    sample[5, 5], sample[6, 6] = 4095, 4096
    assert estimate_background([sample], "u2").saturated == 0


def test_nan_and_infinity_do_not_count_and_raise_no_warning():
    sample = noise(dtype="f4")
    sample[::5], sample[1], sample[2] = np.nan, np.inf, -np.inf
    found = estimate_background([sample], "f4")
    assert found.nonfinite == np.count_nonzero(~np.isfinite(sample))
    assert found.level == pytest.approx(498, abs=3)


@pytest.mark.parametrize(
    ("dtype", "value", "floor"),
    [
        ("u2", 7, INTEGER_FLOOR),
        ("u2", 0, INTEGER_FLOOR),
        ("u1", 255, INTEGER_FLOOR),
        ("i2", -7, INTEGER_FLOOR),
        ("f4", 7.0, 7 * FLOAT_FLOOR),
        ("f4", 0.0, 1.0),
    ],
)
def test_a_constant_volume_leaves_nothing_and_normalises_to_zero(dtype, value, floor):
    sample = np.full((40, 40), value, dtype)
    found = estimate_background([sample], dtype)
    assert (found.voxels, found.level, found.sd) == (0, value, floor)
    out = np.empty(sample.shape, "f4")
    normalize(sample, affine(Normalization("robust"), found, 0.03), out)
    assert not out.any()


@pytest.mark.parametrize("patches", [[], [np.empty((0, 5), "u2")]])
def test_no_sample_at_all_is_no_error(patches):
    assert estimate_background(patches, "u2") == Background(0.0, INTEGER_FLOOR, 0)


def test_all_nan_is_no_error():
    found = estimate_background([np.full((20, 20), np.nan, "f4")], "f4")
    assert (found.level, found.sd, found.voxels, found.nonfinite) == (0, 1, 0, 400)


def test_noise_below_the_rounding_of_integers_gives_the_floor():
    sample = np.full((64, 64), 50, "u2")
    sample[::4, ::4] = 51  # no square is constant
    found = estimate_background([sample], "u2")
    assert found.voxels == sample.size
    assert found.sd == INTEGER_FLOOR == pytest.approx(0.2887, abs=1e-4)


def test_the_estimate_does_not_depend_on_how_the_sample_is_cut_into_patches():
    sample = noise(shape=(64, 128))
    cut = [sample[:, :64], sample[:, 64:]]
    assert estimate_background(cut, "u2") == estimate_background([sample], "u2")


@pytest.mark.parametrize("shape", [(1, 200), (200, 1), (7, 9), (8, 8), (17, 3), (1, 1)])
def test_slivers_are_sampled_too(shape):
    sample = noise(shape=shape)
    found = estimate_background([sample], "u2")
    assert found.voxels == (sample.size if sample.size > 1 else 0)
    assert parts(found) == sample.size


def test_a_part_of_a_sample_is_judged_by_the_saturation_of_the_whole():
    part = noise(4000, 40).clip(0, 4095)
    part[:8, :8] = 4095
    alone, told = (estimate_background([part], "u2", limit) for limit in (None, 65535))
    assert alone.saturated >= 64
    assert told.saturated == 0

import numpy as np
import pytest

from blockseg.dhpr.cubes import HISTOGRAMS, SUMS, CubeTable
from blockseg.dhpr.grey_scale import CODES, GreyScale
from blockseg.dhpr.metrics import DHPR_METRICS, FEATURES, dhpr_features, dhpr_metrics

SCALE = GreyScale(100.0, 4.0, "uint16", 65535)  # exact from 87 to 113


def table(histograms=None, *, predicted=True, scale=SCALE, **sums):
    """Return one cube, from voxels by grey level and from sums."""
    counts = np.zeros((1, len(HISTOGRAMS), CODES), np.uint32)
    for name, voxels in (histograms or {}).items():
        for grey, number in voxels.items():
            code = scale.codes(np.array([grey], scale.dtype))[0]
            counts[0, HISTOGRAMS.index(name), code] += number
    row = np.array([[sums.get(name, 0) for name in SUMS]])
    zero = np.zeros((1, 3), np.int64)
    edge = (64, 64, 64)
    return CubeTable(
        scale, predicted, edge, (0, 0, 0), zero, zero, zero + 64, row, counts
    )


def metric(name, histograms=None, flavour="extended", **others):
    (value,) = dhpr_metrics(table(histograms, **others), flavour)[name]
    return value


def test_density_is_relative_to_the_voxels_that_count():
    assert metric("density", foreground=16, voxels=5120) == 0.5
    assert metric("density", foreground=5000, voxels=5120) == 1
    assert metric("density", voxels=5120) == 0


def test_the_published_density_counts_to_50000():
    assert metric("density", flavour="published", foreground=25_000, voxels=9) == 0.5
    assert metric("density", flavour="published", foreground=60_000, voxels=9) == 1


def test_a_full_block_of_200_voxels_is_full_by_both_formulas():
    for flavour in ("extended", "published"):
        full = metric("density", flavour=flavour, foreground=50_000, voxels=200**3)
        assert full == pytest.approx(1)


def test_background_is_mean_and_sd_of_what_is_not_clipped():
    two = {"background": {98: 2, 102: 2}}
    assert metric("level", two) == 100
    assert metric("sd", two) == 2
    bright = {"background": {98: 50, 102: 50, 300: 1}}  # m0 is 102, the clip 118
    assert metric("level", bright) == 100
    assert metric("sd", bright) == 2


def test_the_extended_background_keeps_away_from_the_foreground():
    near = {"background": {100: 4}, "near": {110: 4}, "doubtful": {110: 4}}
    assert metric("level", near) == 100
    assert metric("level", near, flavour="published") == pytest.approx(320 / 3)


def test_the_published_background_has_filling_in_it():
    half = {"background": {100: 3}}
    assert metric("level", half, filled=1) == 100
    # m0 is 75: 100 lies below 135, and 0 stays.
    assert metric("level", half, flavour="published", filled=1) == 75
    assert metric("sd", half, flavour="published", filled=1) == pytest.approx(
        np.std([100, 100, 100, 0])
    )


def test_the_published_clip_is_60_grey_levels():
    scale = GreyScale(100.0, 20.0, "uint16")
    grey = scale.levels()[scale.codes(np.array([100, 154, 168], np.uint16))]
    low, kept, dropped = grey
    counts = {"background": {100: 1000, 154: 1, 168: 1}}
    assert kept < low + 60 < dropped
    found = metric("level", counts, flavour="published", scale=scale)
    assert found == pytest.approx((1000 * low + kept) / 1001)


def test_low_snr_is_the_share_of_f_plus_below_4_sds():
    counts = {
        "background": {98: 20, 102: 20},
        "doubtful": {105: 3},
        "foreground": {107: 2, 108: 1, 112: 2},
    }
    # s is 2, and 108 less than 4 (s + 1e-5) over m; published m and s are 100.3 and 2.3.
    assert metric("low_snr", counts) == pytest.approx(6 / 8)
    assert metric("low_snr", counts, flavour="published") == pytest.approx(3 / 5)


def test_low_snr_measures_with_the_runs_noise_at_most():
    loud = {"background": {90: 5, 110: 5}, "foreground": {112: 1, 200: 1}}
    assert metric("sd", loud) == 10
    assert metric("low_snr", loud) == 0.5, "12 / 4 / 2 is below 2"
    wide = GreyScale(100.0, 10.0, "uint16")
    loud = {"background": {90: 5, 110: 5}, "foreground": {130: 1}}
    assert metric("low_snr", loud, scale=wide) == 1
    assert metric("low_snr", loud, scale=wide, flavour="published") == 0, "cap of 6.5"


def test_snr_quantiles_are_grey_levels_that_occur():
    counts = {"background": {98: 2, 102: 2}, "foreground": {104: 1, 108: 8, 112: 1}}
    for percent, contrast in ((10, 4), (50, 8), (90, 8)):
        found = metric(f"snr_{percent}", counts)
        assert found == pytest.approx(contrast / 2 / 2, rel=1e-4)


def test_entropy_and_fragmentation_are_means():
    assert metric("entropy", plus=4, entropy=2 * 65535) == 0.5
    assert metric("fragmentation", components=3, skeleton=150) == 2


def test_shares_are_of_the_voxels_that_count():
    sums = {"voxels": 200, "saturated": 2, "nonfinite": 20, "filled": 50}
    assert metric("saturated", **sums) == 0.01
    assert metric("nonfinite", **sums) == 0.1
    assert metric("empty", **sums) == 0.25


@pytest.mark.parametrize("flavour", ["extended", "published"])
def test_without_foreground_there_is_nothing_to_be_hard(flavour):
    found = dhpr_metrics(table({"background": {100: 9}}, voxels=9), flavour)
    for name in ("low_snr", "snr_10", "snr_50", "snr_90", "entropy", "fragmentation"):
        assert np.isnan(found[name]).all(), name
    for name in ("density", "foreground", "foreground_plus"):
        assert found[name] == 0, name


def test_without_background_snrs_are_measured_by_that_of_the_run():
    full = {"foreground": {104: 1, 113: 1}}
    assert np.isnan(metric("level", full))
    assert np.isnan(metric("sd", full))
    assert metric("snr_50", full) == pytest.approx(4 / 4 / 2, rel=1e-4)
    assert metric("low_snr", full) == 1


def test_a_constant_image_has_no_noise_and_no_contrast():
    constant = {"background": {100: 50}, "foreground": {100: 2}}
    assert metric("sd", constant) == 0
    assert metric("low_snr", constant) == 1
    assert metric("snr_50", constant) == 0


def test_entropy_is_unknown_without_a_network():
    assert np.isnan(metric("entropy", plus=9, predicted=False))


def test_a_cell_without_a_voxel_with_a_grey_level_is_nan_not_an_error():
    found = dhpr_metrics(table(voxels=10, nonfinite=10))
    assert found["nonfinite"] == 1
    assert np.isnan(found["level"])
    assert set(found) == set(DHPR_METRICS)


def test_a_table_without_rows_has_metrics_without_rows():
    nothing = table().select(np.zeros(0, int))
    assert all(v.shape == (0,) for v in dhpr_metrics(nothing).values())
    assert dhpr_features(nothing).shape == (0, len(FEATURES))


def test_features_are_quantiles_and_textures():
    counts = {"background": {96: 20, 100: 60}, "foreground": {104: 15, 108: 5}}
    sums = {"pairs_z": 10, "steps_z": 25, "squares": 2}
    sums |= {"square_sum": 512 * 66, "square_square": 512**2 * (32**2 + 34**2)}
    (row,) = dhpr_features(table(counts, **sums))
    found = dict(zip(FEATURES, row, strict=True))
    assert [found[f"grey_{q}"] for q in (10, 50, 90, 99)] == [-1, 0, 1, 2]
    assert found["rough_z"] == 2.5
    assert found["rough_x"] == 0
    assert found["coarse"] == 1


def test_features_of_nothing_are_zero():
    np.testing.assert_array_equal(dhpr_features(table(voxels=3)), np.zeros((1, 8)))

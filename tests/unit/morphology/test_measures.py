"""Measures against numbers computed by hand, and their intervals."""

from dataclasses import replace

import numpy as np
import pytest

from blockseg.morphology.block_scores import BlockScores
from blockseg.morphology.measures import measure, measures
from blockseg.morphology.planes import PlaneAgreement
from blockseg.morphology.scores import Agreement
from blockseg.morphology.surface import NO_SURFACE


def scores(predicted: int, right: int, true: int, found: int) -> BlockScores:
    agreement = Agreement(predicted, right, true, found)
    return BlockScores(
        counted=100,
        voxels=agreement,
        near=agreement,
        centreline=agreement,
        cl_dice=agreement,
        by_snr=(Agreement(), Agreement(true=true, found=found)),
        components=(3, 1),
        component_error=2,
        blocks=1,
    )


def test_rates_are_those_of_the_counts() -> None:
    got = measures(scores(10, 5, 8, 6).row())
    agreement = Agreement(10, 5, 8, 6)
    for names in (
        ("voxel_precision", "voxel_recall", "voxel_dice"),
        ("near_precision", "near_recall", "near_f1"),
        ("centreline_precision", "centreline_recall", "centreline_f1"),
        ("topology_precision", "topology_sensitivity", "cl_dice"),
    ):
        found = [float(got[name]) for name in names]
        assert found == pytest.approx([0.5, 0.75, 0.6])
        assert found == [agreement.precision, agreement.recall, agreement.f1]


def test_counts_of_blocks_add_up() -> None:
    total = scores(10, 5, 8, 6) + scores(10, 10, 2, 2)
    assert total.voxels == Agreement(20, 15, 10, 8)
    assert total.blocks == 2
    rows = scores(10, 5, 8, 6).row() + scores(10, 10, 2, 2).row()
    np.testing.assert_array_equal(total.row(), rows)


def test_misses_in_a_plane_are_shared_into_those_beside_and_the_rest() -> None:
    planes = PlaneAgreement(Agreement(10, 5, 8, 6), 1)
    got = measures(replace(scores(1, 1, 1, 1), planes=planes).row())
    assert got["recall_in_plane"] == 0.75
    assert got["precision_in_plane"] == 0.5
    assert got["f1_in_plane"] == pytest.approx(0.6)
    assert got["recall_3d"] == 7 / 8
    assert got["misses_painted_beside"] == 0.5
    nothing = measures(scores(1, 1, 1, 1).row())
    assert nothing["recall_3d"] == 1
    assert np.isnan(nothing["misses_painted_beside"])


def test_distances_of_surfaces_are_of_all_their_voxels_together() -> None:
    counts = list(NO_SURFACE)
    counts[0], counts[4], counts[9] = 90, 5, 5
    got = measures(replace(scores(1, 1, 1, 1), surface=tuple(counts)).row())
    assert got["surface_mean"] == pytest.approx((5 * 2 + 5 * 3) / 100)
    assert got["surface_95"] == 2
    nothing = measures(scores(1, 1, 1, 1).row())
    assert np.isnan(nothing["surface_mean"])
    assert np.isnan(nothing["surface_95"])


def test_the_painted_share_is_that_of_the_known_background() -> None:
    got = measures(scores(10, 4, 20, 4).row())
    assert got["painted_share"] == 6 / 80
    everything = replace(scores(10, 10, 100, 10), counted=100)
    assert np.isnan(measures(everything.row())["painted_share"])


def test_an_snr_bin_takes_its_precision_from_the_whole() -> None:
    got = measures(scores(10, 5, 8, 6).row())
    assert got["snr_recall_1"] == 0.75
    assert got["snr_f1_1"] == pytest.approx(0.6)


def test_an_empty_snr_bin_has_no_recall() -> None:
    got = measures(scores(10, 5, 8, 6).row())
    assert np.isnan(got["snr_recall_0"])
    assert np.isnan(got["snr_f1_0"])


def test_the_betti_error_of_a_block_is_a_mean_over_blocks() -> None:
    total = scores(1, 1, 1, 1) + scores(1, 1, 1, 1)
    assert measures(total.row())["betti0_error_a_block"] == 2


def test_the_interval_lies_around_the_value_and_the_seed_decides_it() -> None:
    rng = np.random.default_rng(0)
    right = rng.integers(0, 11, size=40)
    rows = np.stack([scores(10, int(n), 10, int(n)).row() for n in right])
    first, again, other = (
        {m.name: m for m in measure(rows, seed=seed)}["voxel_precision"]
        for seed in (1, 1, 2)
    )
    assert first == again
    assert (first.low, first.high) != (other.low, other.high)
    assert first.low < first.value < first.high
    # 1.96 standard errors of a mean of 40, to within what 1000 draws resolve.
    width = 1.96 * np.std(right / 10) / np.sqrt(40)
    assert first.value - first.low == pytest.approx(width, rel=0.2)
    assert first.high - first.value == pytest.approx(width, rel=0.2)


def test_equal_blocks_have_an_interval_of_no_width() -> None:
    rows = np.stack([scores(10, 5, 8, 6).row()] * 5)
    found = {m.name: m for m in measure(rows)}["voxel_recall"]
    assert (found.low, found.value, found.high) == (0.75, 0.75, 0.75)


def test_a_single_block_has_no_interval() -> None:
    (first, *_) = measure(scores(10, 5, 8, 6).row()[None])
    assert np.isnan(first.low)
    assert np.isnan(first.high)

"""Counts of one block, against small cases counted by hand."""

import numpy as np
import pytest

from blockseg.morphology.block_scores import score_block
from blockseg.morphology.centreline import skeleton
from blockseg.morphology.distance import near, reach_of, within
from blockseg.morphology.scores import Agreement
from blockseg.morphology.surface import NO_SURFACE, SURFACE_REACH, surface

WHOLE = (slice(None), slice(None), slice(None))


def rod(z: int = 3, length: int = 20) -> np.ndarray:
    """Return a rod of 3×3 voxels around the line (z, 3, 2..)."""
    mask = np.zeros((8, 8, length + 4), dtype=bool)
    mask[z - 1 : z + 2, 2:5, 2 : 2 + length] = True
    return mask


def test_the_centreline_of_a_rod_runs_through_its_middle() -> None:
    line = skeleton(rod())
    z, y, x = np.nonzero(line)
    assert set(z) == {3}
    assert set(y) == {3}
    assert len(x) == len(set(x)) >= 17


def test_an_empty_mask_has_no_centreline() -> None:
    assert not skeleton(np.zeros((4, 4, 4), dtype=bool)).any()


def test_a_perfect_prediction_has_every_score_1() -> None:
    mask = rod()
    got = score_block(mask, mask, np.ones_like(mask), WHOLE, 0)
    for agreement in (got.voxels, got.near, got.centreline, got.cl_dice):
        assert agreement.predicted > 0
        assert agreement.f1 == 1
    assert got.components == (1, 1)
    assert got.component_error == 0


def test_a_shift_by_the_tolerance_costs_voxels_but_no_centreline() -> None:
    true, predicted = rod(3), rod(5)
    got = score_block(predicted, true, np.ones_like(true), WHOLE, 2)
    assert got.voxels.f1 == pytest.approx(1 / 3)
    assert got.centreline.f1 == 1
    assert got.cl_dice.f1 == 0
    less = score_block(predicted, true, np.ones_like(true), WHOLE, 1.9)
    assert less.centreline.f1 == 0


def test_a_gap_costs_recall_and_a_component() -> None:
    true = rod()
    predicted = true.copy()
    predicted[:, :, 8:18] = False
    got = score_block(predicted, true, np.ones_like(true), WHOLE, 1)
    assert got.centreline.precision == 1
    assert got.centreline.recall < 0.7
    assert got.components == (2, 1)
    assert got.component_error == 1


def test_a_blob_does_not_find_the_neurite_inside_it() -> None:
    true = rod()
    got = score_block(np.ones_like(true), true, np.ones_like(true), WHOLE, 1)
    assert got.voxels.recall == 1
    assert got.centreline.recall < 0.9


def test_what_does_not_count_is_taken_out_of_both_before_thinning() -> None:
    true, counts = np.zeros((5, 9, 9), dtype=bool), np.zeros((5, 9, 9), dtype=bool)
    counts[2] = True
    true[2, 3:6, 1:8] = True
    predicted = np.zeros_like(true)
    predicted[:, 3:6, 1:8] = True
    got = score_block(predicted, true, counts, WHOLE, 0)
    assert got.centreline.f1 == 1
    assert got.counted == 81


def test_only_the_blocks_own_voxels_are_counted() -> None:
    mask = rod()
    own = (slice(None), slice(None), slice(0, 7))
    got = score_block(mask, mask, np.ones_like(mask), own, 2)
    assert got.voxels.true == 9 * 5
    assert got.counted == 8 * 8 * 7


def test_a_block_without_foreground_counts_only_voxels() -> None:
    empty = np.zeros((4, 4, 4), dtype=bool)
    got = score_block(empty, empty, ~empty, WHOLE, 2, snr_edges=(1.0, 2.0))
    assert got.counted == 64
    assert got.blocks == 0
    assert got.by_snr == (Agreement(), Agreement(), Agreement())


def test_centreline_voxels_are_found_by_snr() -> None:
    true = rod()
    predicted = true.copy()
    predicted[:, :, :12] = False
    snr = np.full(true.shape, np.nan, np.float32)
    snr[true] = 5
    snr[:, :, :8][true[:, :, :8]] = 1.5
    got = score_block(
        predicted, true, np.ones_like(true), WHOLE, 1, snr=snr, snr_edges=(1.0, 2.0)
    )
    below, dim, bright = got.by_snr
    assert below == Agreement()
    assert dim.true > 0
    assert dim.found == 0
    assert 0 < bright.found < bright.true
    assert dim.true + bright.true == got.centreline.true


def test_a_plane_annotated_alone_is_found_in_it_or_beside_it() -> None:
    true, counts = np.zeros((9, 9, 24), dtype=bool), np.zeros((9, 9, 24), dtype=bool)
    counts[2] = True
    true[2, 3:6, 2:22] = True
    predicted = np.zeros_like(true)
    predicted[2, 3:6, :12] = True  # half in the plane, half two planes up
    predicted[4, 3:6, 12:] = True
    got = score_block(predicted, true, counts, WHOLE, 2, planes=True)
    line, found = got.planes.within.true, got.planes.within.found
    assert 0 < found < line
    assert got.planes.beside == line - found
    assert got.planes.within.right == got.planes.within.predicted > 0
    assert got.surface == NO_SURFACE
    less = score_block(predicted, true, counts, WHOLE, 1.9, planes=True)
    assert less.planes.beside == 0


def test_a_cube_has_a_surface_one_voxel_thick_but_none_at_the_volumes_end() -> None:
    cube = np.zeros((8, 9, 10), dtype=bool)
    cube[1:6, 2:7, 3:8] = True
    assert surface(cube).sum() == 5**3 - 3**3
    assert not surface(np.ones((4, 4, 4), dtype=bool)).any()
    known = np.zeros_like(cube)
    known[:, :, 8:] = True  # background is known on one side
    assert surface(cube, ~cube & known).sum() == 25


def test_surfaces_of_slabs_are_as_far_apart_as_they_lie() -> None:
    true, predicted = (np.zeros((40, 5, 5), dtype=bool) for _ in range(2))
    true[10:], predicted[13:] = True, True
    counts = np.ones_like(true)
    got = score_block(predicted, true, counts, WHOLE, 2).surface
    assert got[9] == sum(got) == 2 * 25
    predicted[13:35] = False
    got = score_block(predicted, true, counts, WHOLE, 2).surface
    assert got[SURFACE_REACH**2] == sum(got) == 2 * 25


def test_traced_truth_is_its_own_centreline() -> None:
    line = np.zeros((8, 8, 24), dtype=bool)
    line[3, 3, 2:22] = True
    got = score_block(rod(), line, np.ones_like(line), WHOLE, 1, traced=True)
    assert got.centreline == Agreement(
        got.centreline.predicted, got.centreline.predicted, 20, 20
    )
    assert got.voxels == Agreement()


def test_the_reach_is_the_number_of_voxels_within_the_tolerance() -> None:
    assert reach_of(2) == (2, 2, 2)
    assert reach_of(1.5, (2.0, 0.5, 0.7)) == (0, 3, 2)


def test_a_distance_equal_to_the_tolerance_is_within_it_whatever_its_rounding() -> None:
    mask = np.zeros((1, 1, 8), dtype=bool)
    mask[0, 0, 0] = True
    assert within(mask, 0.3 * 7, (1.0, 1.0, 0.3)).all()


@pytest.mark.parametrize("tolerance", [0.0, 0.9, 1.5, 2.0])
def test_few_voxels_are_searched_and_many_transformed_with_one_result(
    tolerance: float,
) -> None:
    rng = np.random.default_rng(0)
    at, of = (rng.random((20, 20, 20)) < 0.012 for _ in range(2))
    at |= np.roll(of, 3, axis=0) & (rng.random(of.shape) < 0.2)
    at |= of & (rng.random(of.shape) < 0.2)
    size = (1.0, 0.5, 0.3)
    found = near(at, of, tolerance, size)
    np.testing.assert_array_equal(found, at & within(of, tolerance, size))
    assert found.any()
    assert not found.all()

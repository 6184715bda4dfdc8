"""Agreement of masks, against cases counted by hand."""

import numpy as np
import pytest

from blockseg.core.errors import GeometryError
from blockseg.morphology.scores import Agreement, tolerant_agreement, voxel_agreement


def _line(*places: int, length: int = 12) -> np.ndarray:
    mask = np.zeros((1, 1, length), dtype=np.uint8)
    mask[0, 0, list(places)] = 1
    return mask


def test_voxel_agreement_counts_what_both_masks_share() -> None:
    got = voxel_agreement(_line(1, 2, 3, 4), _line(3, 4, 5))
    assert got == Agreement(predicted=4, right=2, true=3, found=2)
    assert got.precision == 0.5
    assert got.recall == pytest.approx(2 / 3)
    assert got.f1 == pytest.approx(4 / 7)


def test_a_displacement_up_to_the_tolerance_is_forgiven() -> None:
    predicted, true = _line(2), _line(4)
    assert tolerant_agreement(predicted, true, 1.9).f1 == 0
    assert tolerant_agreement(predicted, true, 2).f1 == 1


def test_precision_and_recall_look_in_opposite_directions() -> None:
    got = tolerant_agreement(_line(1, 9), _line(1, 2, 3, 4), 1)
    assert got == Agreement(predicted=2, right=1, true=4, found=2)


def test_the_distance_is_euclidean_in_all_axes() -> None:
    predicted, true = np.zeros((3, 3, 3)), np.zeros((3, 3, 3))
    predicted[0, 0, 0] = true[1, 1, 1] = 1
    assert tolerant_agreement(predicted, true, 1.7).found == 0
    assert tolerant_agreement(predicted, true, 1.74).found == 1


def test_the_distance_respects_the_voxel_size() -> None:
    predicted, true = np.zeros((3, 3)), np.zeros((3, 3))
    predicted[0, 1] = true[1, 1] = 1
    assert tolerant_agreement(predicted, true, 2, voxel_size=(3.0, 1.0)).right == 0
    assert tolerant_agreement(predicted, true, 3, voxel_size=(3.0, 1.0)).right == 1


def test_voxels_that_do_not_count_are_left_out_but_still_help_their_neighbours() -> (
    None
):
    counts = np.ones((1, 1, 12))
    counts[0, 0, 5] = 0
    got = tolerant_agreement(_line(4, 5), _line(5), 1, counts=counts)
    assert got == Agreement(predicted=1, right=1, true=0, found=0)


def test_an_empty_prediction_of_an_empty_truth_is_perfect() -> None:
    empty = np.zeros((4, 4, 4))
    assert tolerant_agreement(empty, empty, 2).f1 == 1
    assert voxel_agreement(empty, empty).f1 == 1


def test_an_empty_prediction_of_something_scores_zero() -> None:
    got = tolerant_agreement(_line(), _line(3), 2)
    assert (got.precision, got.recall, got.f1) == (1.0, 0.0, 0.0)


def test_a_prediction_of_an_empty_truth_scores_zero() -> None:
    got = tolerant_agreement(_line(3), _line(), 2)
    assert (got.precision, got.recall, got.f1) == (0.0, 1.0, 0.0)


def test_counts_of_two_regions_add_up() -> None:
    total = Agreement(4, 2, 3, 2) + Agreement(1, 1, 1, 1)
    assert total == Agreement(5, 3, 4, 3)


def test_masks_of_different_shapes_are_refused_with_both_shapes() -> None:
    with pytest.raises(GeometryError, match=r"\(1, 1, 12\).*\(1, 1, 11\)"):
        voxel_agreement(_line(1), _line(1, length=11))

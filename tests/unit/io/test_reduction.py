"""Halving an image, by hand."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from blockseg.io.output import reduction
from blockseg.io.output.reduction import halve


def block_of(values: list[int], dtype: str = "uint8") -> NDArray[Any]:
    return np.array(values, dtype).reshape(2, 2, 2)


def test_the_maximum_keeps_one_bright_voxel() -> None:
    assert halve(block_of([0, 0, 0, 0, 0, 9, 0, 0]), "max").tolist() == [[[9]]]


@pytest.mark.parametrize(
    ("values", "mean"),
    [
        ([0, 0, 0, 0, 0, 0, 0, 4], 0),  # 0.5
        ([1, 1, 1, 1, 2, 2, 2, 2], 2),  # 1.5
        ([2, 2, 2, 2, 3, 3, 3, 3], 2),  # 2.5
        ([0, 0, 0, 0, 0, 0, 0, 5], 1),  # 0.625
    ],
)
def test_the_mean_of_integers_is_rounded_half_to_even(
    values: list[int], mean: int
) -> None:
    assert halve(block_of(values), "mean").tolist() == [[[mean]]]


def test_the_mean_of_negative_integers_is_rounded_half_to_even() -> None:
    data = block_of([-1, -1, -1, -1, -2, -2, -2, -2], "int16")
    assert halve(data, "mean").tolist() == [[[-2]]]


def test_the_mean_of_the_largest_integers_does_not_overflow() -> None:
    data = np.full((4, 2, 2), 65535, np.uint16)
    assert halve(data, "mean").tolist() == [[[65535]], [[65535]]]


def test_an_odd_far_end_counts_only_the_voxels_there_are() -> None:
    data = np.array([[[1, 3, 10]]], np.uint8)
    assert halve(data, "mean").tolist() == [[[2, 10]]]
    assert halve(data, "max").tolist() == [[[3, 10]]]


def test_infinities_and_nan_spread_without_a_warning() -> None:
    data = np.array([[[np.inf, -np.inf, np.nan, 1, 2, 4]]], np.float32)
    coarse = halve(data, "mean")
    assert np.isnan(coarse[0, 0, :2]).all()
    assert coarse[0, 0, 2] == 3


def test_the_data_are_left_as_they_are() -> None:
    data = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    halve(data, "max")
    halve(data, "mean")
    assert data.ravel().tolist() == list(range(27))


def test_the_maximum_of_many_planes_is_that_of_each_pair(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reduction, "_CACHED", 1)  # a plane at a time
    data = np.random.default_rng(2).integers(-9, 9, (7, 6, 5), dtype=np.int16)
    padded = np.pad(data, ((0, 1), (0, 0), (0, 1)), mode="edge")
    cells = padded.reshape(4, 2, 3, 2, 3, 2)
    assert (halve(data, "max") == cells.max(axis=(1, 3, 5))).all()

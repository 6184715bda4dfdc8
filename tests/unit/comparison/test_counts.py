"""Counts of cubes are those of the whole volume, wherever it begins in its source."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockseg.comparison.counts import count_cubes
from blockseg.comparison.page import _pieces
from blockseg.core.space import Space
from blockseg.evaluation.prediction import Prediction
from blockseg.io.protocol import MemoryVolume


def mask(voxels):
    return Prediction("a mask", MemoryVolume(voxels), None, Space(), None, ())


def nowhere(_):
    return False


def oracle(voxels, origin):
    """Pad to whole cubes of the source and add up."""
    before = [o % 64 for o in origin]
    after = [-(o + n) % 64 for o, n in zip(origin, voxels.shape, strict=True)]
    padded = np.pad(voxels, list(zip(before, after, strict=True))).astype(np.int64)
    z, y, x = (n // 64 for n in padded.shape)
    return padded.reshape(z, 64, y, 64, x, 64).sum(axis=(1, 3, 5))


@given(
    st.tuples(*[st.integers(1, 90)] * 2, st.integers(1, 300)),
    st.tuples(*[st.integers(0, 130)] * 3),
    st.integers(0, 99),
)
def test_cubes_hold_the_voxels_of_both_masks(shape, origin, seed):
    rng = np.random.default_rng(seed)
    a, b = (rng.random(shape) < share for share in (0.2, 0.4))
    told = []
    found = count_cubes(
        mask(a.astype(np.uint8)), mask(b.astype(np.uint8)), origin, nowhere,
        lambda *parts: told.append(parts),
    )  # fmt: skip
    np.testing.assert_array_equal(found.both, oracle(a & b, origin))
    np.testing.assert_array_equal(found.first, oracle(a & ~b, origin))
    np.testing.assert_array_equal(found.second, oracle(b & ~a, origin))
    total = a.sum() + b.sum()
    assert found.dice == pytest.approx(2 * (a & b).sum() / total if total else 1)
    assert told[-1][0] == told[-1][1]


def test_what_is_known_to_be_empty_is_not_read():
    full = mask(np.ones((64, 64, 600), np.uint8))
    none = mask(np.zeros((64, 64, 600), np.uint8))
    found = count_cubes(full, none, (0, 0, 0), lambda roi: roi.start[2] > 0)
    assert found.first.sum() == 64 * 64 * 256


def test_a_mask_in_far_more_pieces_is_told():
    whole, specks = np.zeros((2, 40, 80, 80), np.uint8)
    whole[20, 20, :] = 1
    specks[::4, ::8, ::8] = 1
    found = count_cubes(mask(whole), mask(specks), (0, 0, 0), nowhere)
    assert found.pieces == (1, 1000)
    said = list(_pieces(*found.pieces))
    assert said[0] == "Pieces: 1 in A, 1,000 in B."
    assert said[1].startswith("B is in 1000.0 times as many pieces")
    assert list(_pieces(136, 200)) == ["Pieces: 136 in A, 200 in B."]
    assert "A is in 5.0 times" in list(_pieces(681, 136))[1]

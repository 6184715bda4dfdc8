import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from blockseg.normalization.background import estimate_background
from blockseg.normalization.centre import AT_ONCE, Chosen, centre, quantiles, stacked

TYPES = ("u1", "i1", "u2", "i2", ">u2", ">i2", "i4", "f4", "f8")


def above(level):
    return lambda group: group > level


def expected(values):
    """Level and SD by NumPy, of all voxels in one array."""
    voxels = values.astype(np.float64)
    median = np.median(voxels)
    kept = voxels[voxels <= median + 2 * np.median(np.abs(voxels - median))]
    return float(np.median(kept)), float(kept.std())


def samples(dtype):
    shape = st.tuples(st.integers(1, 9), st.integers(1, 9))
    finite = {} if np.dtype(dtype).kind in "iu" else {"allow_nan": False}
    numbers = st.integers(0, 100) if not finite else st.floats(0, 100, width=32)
    return st.lists(arrays(dtype, shape, elements=numbers), min_size=1, max_size=6)


@pytest.mark.parametrize("dtype", TYPES)
@given(data=st.data(), level=st.integers(-1, 100))
def test_centre_and_quantiles_are_numpy_s_own_to_the_last_bit(dtype, data, level):
    sample = data.draw(samples(dtype))
    values = np.concatenate([patch[patch > level] for patch in sample])
    chosen = Chosen.by(sample, above(level))
    assert chosen.size == len(values)
    assert np.array_equal(np.concatenate([values[:0], *chosen.parts()]), values)
    if len(values):
        assert centre(chosen) == expected(values)
        shares = (0.0, 0.1, 0.5, 0.9, 1.0)
        own = np.quantile(values.astype(np.float64), shares)
        assert quantiles(chosen, shares) == tuple(own.tolist())
    else:
        assert centre(chosen) == (0.0, 0.0)


@pytest.mark.parametrize("dtype", ["u2", "i2", "f4"])
@pytest.mark.parametrize("planes", [1, 3, 5])
def test_voxels_of_more_than_one_part_give_the_same_to_the_last_bit(dtype, planes):
    random = np.random.default_rng(planes)
    edge = int(AT_ONCE**0.5)
    sample = [
        random.normal(9000, 3000, (edge, edge - k)).astype(dtype) for k in range(planes)
    ]
    values = np.concatenate([patch[patch > 8000] for patch in sample])
    assert centre(Chosen.by(sample, above(8000))) == expected(values)


def test_patches_come_stacked_in_their_order():
    sample = [
        np.full(shape, k) for k, shape in enumerate([(2, 3), (2, 3), (4, 1), (2, 3)])
    ]
    groups = list(stacked(sample))
    assert [group.shape for group in groups] == [(2, 2, 3), (1, 4, 1), (1, 2, 3)]
    assert [int(group[0, 0, 0]) for group in groups] == [0, 2, 3]


@pytest.mark.parametrize("zeros", [0.0, 0.5])
def test_the_background_of_a_sample_takes_little_memory_beside_it(zeros):
    random = np.random.default_rng(0)
    sample = [random.normal(500, 20, (64, 64)).astype("u2") for _ in range(4000)]
    for patch in sample:
        patch[random.random(patch.shape) < zeros] = 0
    tracemalloc.start()
    estimate_background(sample, "u2")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < sum(patch.nbytes for patch in sample) / 2

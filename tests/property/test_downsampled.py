"""Volumes on a coarser grid, against NumPy's mean of each cell."""

import pickle
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from blockseg.core.geometry import Roi, Zyx, to_zyx
from blockseg.core.space import Space
from blockseg.io import downsampled
from blockseg.io.downsampled import Downsampled, covering
from blockseg.io.protocol import MemoryVolume

EXTENTS = st.integers(1, 23)
SHAPES = st.tuples(EXTENTS, EXTENTS, EXTENTS)
FACTORS = st.tuples(*3 * [st.sampled_from([1, 2, 3, 4, 7, 40])])
CHUNKS = st.tuples(*3 * [st.sampled_from([1, 2, 5, 8, 64])])
DTYPES = st.sampled_from(["uint8", "uint16", "int16", "float32"])


class Chunky:
    """An array in chunks that remembers how much was read at a time."""

    def __init__(self, array: NDArray[Any], chunk: Zyx) -> None:
        self.array, self.chunk_shape = array, chunk
        self.shape, self.dtype = to_zyx(array.shape), array.dtype
        self.space = Space()
        self.largest = 0

    def read(self, roi: Roi) -> NDArray[Any]:
        self.largest = max(self.largest, roi.size)
        return self.array[roi.slices()]


def oracle(data: NDArray[Any], factors: Zyx) -> NDArray[Any]:
    """Cell by cell."""
    shape = [-(-n // f) for n, f in zip(data.shape, factors, strict=True)]
    out = np.empty(shape, data.dtype)
    for place in np.ndindex(*shape):
        cell = tuple(
            slice(i * f, (i + 1) * f) for i, f in zip(place, factors, strict=True)
        )
        mean = data[cell].mean(dtype=np.float64)
        out[place] = mean if data.dtype.kind == "f" else np.rint(mean)
    return out


def noise(shape: Zyx, dtype: str, seed: int) -> NDArray[Any]:
    rng = np.random.default_rng(seed)
    if dtype == "float32":
        return rng.integers(-1000, 1000, shape).astype(dtype) / 4
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)


@settings(deadline=None, max_examples=150)
@given(SHAPES, FACTORS, CHUNKS, DTYPES, st.data())
def test_every_region_is_the_mean_of_its_cells(shape, factors, chunk, dtype, data):
    array = noise(shape, dtype, data.draw(st.integers(0, 99)))
    expected = oracle(array, factors)
    volume = Downsampled(Chunky(array, chunk), factors)
    assert volume.shape == expected.shape
    corners = [
        sorted(data.draw(st.tuples(*2 * [st.integers(0, n)]))) for n in volume.shape
    ]
    roi = Roi(to_zyx(a for a, _ in corners), to_zyx(b for _, b in corners))
    for at_once in (1, 100, 2**23):
        with mock.patch.object(downsampled, "_AT_ONCE", at_once):
            read = volume.read(roi)
        assert read.dtype == array.dtype
        assert np.array_equal(read, expected[roi.slices()])


@settings(deadline=None, max_examples=100)
@given(SHAPES, FACTORS, st.data())
def test_a_region_covers_the_cells_of_all_its_voxels(shape, factors, data):
    places = [data.draw(st.integers(0, n - 1)) for n in shape]
    one = Roi(to_zyx(places), to_zyx(n + 1 for n in places))
    cell = covering(one, factors)
    assert cell.shape == (1, 1, 1)
    volume = Downsampled(MemoryVolume(np.zeros(shape, np.uint8)), factors)
    assert volume.stored(cell).contains(one)


def test_no_more_is_read_at_a_time_than_is_said():
    array = np.zeros((40, 60, 80), np.uint16)
    stored = Chunky(array, (8, 8, 8))
    volume = Downsampled(stored, (2, 2, 2))
    with mock.patch.object(downsampled, "_AT_ONCE", 4096):
        volume.read(Roi.whole(volume.shape))
        assert 512 <= stored.largest <= 4096
        assert volume.reading_bytes >= stored.largest * (2 + 4)
    assert volume.chunk_shape == (4, 4, 4)


def test_sums_of_large_cells_do_not_overflow():
    volume = Downsampled(
        MemoryVolume(np.full((40, 40, 40), 65535, np.uint16)), (40,) * 3
    )
    assert volume.read(Roi.whole((1, 1, 1))).item() == 65535


def test_a_cell_with_a_voxel_that_is_no_number_is_none():
    array = np.zeros((4, 4, 4), np.float32)
    array[0, 0, 0] = np.nan
    array[3, 3, 2:] = np.inf, -np.inf
    read = Downsampled(MemoryVolume(array), (2, 2, 2)).read(Roi.whole((2, 2, 2)))
    assert np.isnan(read[0, 0, 0])
    assert np.isnan(read[1, 1, 1])
    assert np.count_nonzero(read == 0) == 6


def test_voxels_grow_and_the_first_has_its_centre_further_inside():
    space = Space((2.0, 0.5, 0.5), "micrometer", (10.0, 0.0, -1.0))
    volume = MemoryVolume(np.zeros((4, 9, 9), np.uint8), space)
    coarse = Downsampled(volume, (1, 2, 4)).space
    assert coarse.voxel_size == (2.0, 1.0, 2.0)
    assert coarse.translation == pytest.approx((10.0, 0.25, -0.25))
    assert coarse.unit == "micrometer"


def test_a_volume_survives_pickling():
    volume = Downsampled(MemoryVolume(noise((5, 6, 7), "uint16", 0)), (2, 2, 2))
    again = pickle.loads(pickle.dumps(volume))
    whole = Roi.whole(volume.shape)
    assert np.array_equal(again.read(whole), volume.read(whole))

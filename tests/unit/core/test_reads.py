import numpy as np
import pytest

from blockseg.core.reads import note_read, noting_reads, read_sum, seen_once


def voxels(shape=(7, 31, 45), dtype=np.uint16):
    return np.random.default_rng(0).integers(0, 250, shape).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, bool])
def test_equal_values_have_equal_sums_however_they_lie_in_memory(dtype):
    data = voxels(dtype=dtype)
    wide = np.zeros((7, 31, 90), dtype)
    wide[..., ::2] = data
    assert read_sum(data) == read_sum(wide[..., ::2])
    assert read_sum(data) == read_sum(np.asfortranarray(data))


def test_any_voxel_counts_and_so_does_its_place():
    data = voxels()
    first = read_sum(data)
    for place in [(0, 0, 0), (3, 17, 21), (6, 30, 44)]:
        other = data.copy()
        other[place] += 1
        assert read_sum(other) != first
    assert read_sum(data[:, ::-1]) != first
    assert read_sum(data[:, :, ::-1]) != first


def test_one_value_that_is_seen_everywhere_needs_no_memory():
    seen = np.broadcast_to(np.uint16(7), (100_000, 100_000, 100))
    assert read_sum(seen) == read_sum(np.full(1, 7, np.uint16))


def test_an_empty_read_has_a_sum():
    assert read_sum(np.empty((0, 4, 4), np.uint16)) == 0


def test_reads_are_noted_in_order_by_whoever_asks():
    note_read(voxels())  # nobody does
    with noting_reads() as sums:
        note_read(voxels((2, 2, 2)))
        note_read(voxels((3, 3, 3)))
    assert sums == [read_sum(voxels((2, 2, 2))), read_sum(voxels((3, 3, 3)))]


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 4, 5), (0, 2, 2)])
def test_what_is_seen_once_holds_every_value_and_no_more_than_that(shape):
    whole = np.arange(np.prod(shape)).reshape(shape)
    assert seen_once(whole) is whole
    row = np.broadcast_to(np.arange(5), (3, 4, 5))
    assert seen_once(row).tolist() == [[list(range(5))]]
    assert seen_once(np.broadcast_to(np.uint8(7), (64, 64, 64))).tolist() == [[[7]]]

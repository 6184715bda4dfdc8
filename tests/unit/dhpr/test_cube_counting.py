import numpy as np
import pytest

from blockseg.core.errors import GeometryError, LedgerError
from blockseg.core.geometry import Roi
from blockseg.dhpr.cube_bytes import cubes_from_bytes, cubes_to_bytes
from blockseg.dhpr.cube_counting import count_cubes
from blockseg.dhpr.cubes import joined
from blockseg.dhpr.foreground import linked, surroundings
from blockseg.dhpr.grey_scale import GreyScale

SCALE = GreyScale(100.0, 4.0, "uint16", 4095)
SHAPE = (16, 16, 16)


def counted(raw=None, probability=None, start=(0, 0, 0), **others):
    if raw is None:
        raw = np.full(SHAPE, 100, np.uint16)
    roi = Roi.whole(raw.shape).shifted(start)
    scale = others.pop("scale", SCALE)
    return count_cubes(raw, probability, roi, scale, **others)


def total(table, name):
    (value,) = table.sum(name)
    return value


def voxels_at(table, name, level):
    (histogram,) = table.histogram(name)
    return histogram[table.scale.levels() == level].sum()


def line(value=255):
    probability = np.zeros(SHAPE, np.uint8)
    probability[8, 8, 2:12] = value
    return probability


def test_an_empty_block_is_all_background():
    table = counted(probability=np.zeros(SHAPE, np.uint8))
    assert total(table, "voxels") == total(table, "extent") == 16**3
    assert voxels_at(table, "background", 100) == 16**3
    for name in ("foreground", "plus", "components", "skeleton", "entropy"):
        assert total(table, name) == 0


def test_every_voxel_is_in_one_histogram():
    raw = np.full(SHAPE, 100, np.uint16)
    probability = line()
    probability[8, 8, 12:14] = 60
    raw[8, 8, 2:12], raw[8, 8, 12:14] = 110, 105
    table = counted(raw, probability)
    assert voxels_at(table, "foreground", 110) == 10
    assert voxels_at(table, "doubtful", 105) == 2
    assert total(table, "foreground") == 10
    assert total(table, "plus") == 12
    # Within 3 voxels of x = 2 to 13 on both sides, less the line itself.
    around = 7 * 7 * 16 - 12
    assert table.histogram("near").sum() == around
    assert table.histogram("background").sum() == 16**3 - 12 - around


def test_weak_voxels_count_only_where_they_are_linked_to_strong_ones():
    probability = line(60)
    assert total(counted(probability=probability), "plus") == 0
    probability[8, 8, 2] = 128
    assert total(counted(probability=probability), "plus") == 10
    probability[8, 8, 6] = 50
    assert total(counted(probability=probability), "plus") == 4


def test_a_lower_threshold_lowers_the_weak_one_too():
    probability = line(30)
    table = counted(probability=probability, threshold=30)
    assert total(table, "foreground") == total(table, "plus") == 10


def test_entropy_is_that_of_the_probability_in_bits():
    p = 102 / 255
    bits = -p * np.log2(p) - (1 - p) * np.log2(1 - p)
    table = counted(probability=line(102), threshold=102)
    assert total(table, "entropy") == 10 * round(bits * 65535)
    assert total(counted(probability=line(255)), "entropy") == 0


def test_components_and_skeletons_are_of_the_foreground():
    probability = line()
    probability[8, 8, 6] = 0
    probability[2, 2, 2] = 200
    table = counted(probability=probability)
    assert total(table, "components") == 3
    # At half the resolution the gap is gone: five voxels and the speck's.
    assert total(table, "skeleton") == 2 * (5 + 1)


def test_cells_lie_at_multiples_of_64_in_the_volume():
    raw = np.full((2, 70, 2), 100, np.uint16)
    table = counted(raw, np.zeros(raw.shape, np.uint8), start=(64, 60, 5))
    np.testing.assert_array_equal(table.index, [[1, 0, 0], [1, 1, 0], [1, 2, 0]])
    np.testing.assert_array_equal(table.start[:, 1], [60, 64, 128])
    np.testing.assert_array_equal(table.stop[:, 1], [64, 128, 130])
    np.testing.assert_array_equal(table.sum("voxels"), [16, 256, 8])


def test_what_the_mask_leaves_out_counts_nowhere():
    raw = np.full((2, 2, 130), 4095, np.uint16)
    inside = np.zeros(raw.shape, bool)
    inside[:, :, 70:75] = True
    table = counted(raw, np.zeros(raw.shape, np.uint8), inside=inside)
    np.testing.assert_array_equal(table.index, [[0, 0, 1]])
    assert total(table, "voxels") == total(table, "saturated") == 20
    assert table.histograms.sum() == 20
    assert total(table, "pairs_x") == 4


def test_nan_and_infinite_voxels_are_counted_and_have_no_grey_level():
    raw = np.full(SHAPE, 100, np.float32)
    raw[0, 0, :5] = np.nan
    raw[1, 0, :3] = np.inf
    table = counted(
        raw, np.zeros(SHAPE, np.uint8), scale=GreyScale(100.0, 4.0, "float32")
    )
    assert total(table, "nonfinite") == 8
    assert total(table, "filled") == 0
    assert table.histograms.sum() == 16**3 - 8


def test_zeros_far_below_the_background_are_filling():
    raw = np.full(SHAPE, 100, np.uint16)
    raw[:4] = 0
    table = counted(raw, np.zeros(SHAPE, np.uint8))
    assert total(table, "filled") == 4 * 16 * 16
    assert table.histogram("background").sum() == 12 * 16 * 16


def test_saturated_voxels_are_those_at_the_limit():
    raw = np.full(SHAPE, 4094, np.uint16)
    raw[0, 0, :7] = 4095
    assert total(counted(raw, np.zeros(SHAPE, np.uint8)), "saturated") == 7


def test_roughness_compares_neighbours_along_each_axis():
    raw = np.full(SHAPE, 100, np.uint16)
    raw[::2] = 101  # planes take turns
    table = counted(raw, np.zeros(SHAPE, np.uint8))
    assert total(table, "pairs_z") == 15 * 8 * 8
    assert total(table, "steps_z") == 15 * 8 * 8
    assert total(table, "steps_y") == total(table, "steps_x") == 0


def test_unevenness_is_of_whole_cubes_of_8_voxels():
    raw = np.full(SHAPE, 100, np.uint16)
    raw[:8] = 102
    table = counted(raw, np.zeros(SHAPE, np.uint8))
    sums = np.array([512 * 34] * 4 + [512 * 32] * 4)
    assert total(table, "squares") == 8
    assert total(table, "square_sum") == sums.sum()
    assert total(table, "square_square") == (sums**2).sum()
    raw[0, 0, 0] = 0  # filling
    assert total(counted(raw, np.zeros(SHAPE, np.uint8)), "squares") == 7


def test_without_a_network_what_is_bright_and_large_is_foreground():
    raw = np.full((32, 32, 32), 110, np.uint16)  # the level of this place
    raw[16, 16, 0:32] = 127  # 17 over it, 4 s are 16
    raw[4, 4, 0:31] = 127  # a voxel short
    raw[28, 28, 0:32] = 126
    table = counted(raw)
    assert not table.predicted
    assert total(table, "foreground") == total(table, "plus") == 32
    assert voxels_at(table, "foreground", 127) == 0, "codes hold 126 to 128"
    assert table.histogram("foreground").sum() == 32
    assert total(table, "components") == 1


def test_without_a_network_a_constant_or_tiny_block_has_no_foreground():
    for value in (0, 100, 4095):
        raw = np.full((5, 70, 3), value, np.uint16)
        assert not counted(raw).sum("foreground")[1]


def test_linked_and_surroundings_do_not_wrap_around():
    mask = np.zeros((4, 5, 6), bool)
    mask[0, 0, 0] = True
    grown = surroundings(mask)
    assert grown.sum() == 4 * 4 * 4 - 1
    assert grown[:4, :4, :4].sum() == 63
    mask[3, 4, 5] = True
    strong = np.zeros_like(mask)
    strong[0, 0, 0] = True
    np.testing.assert_array_equal(np.argwhere(linked(mask, strong)), [[0, 0, 0]])


def test_counts_come_back_from_bytes_as_they_were():
    raw = np.random.default_rng(0).normal(100, 4, (40, 70, 70)).astype(np.uint16)
    probability = np.zeros(raw.shape, np.uint8)
    probability[20, 10:60, 30] = 200
    table = count_cubes(raw, probability, Roi.whole(raw.shape), SCALE)
    data = cubes_to_bytes(table)
    assert len(data) < 400 * len(table)
    again = cubes_from_bytes(data, SCALE, predicted=True)
    for name in ("index", "start", "stop", "sums", "histograms"):
        np.testing.assert_array_equal(getattr(again, name), getattr(table, name))


def test_a_block_without_cells_has_bytes_too():
    raw = np.full(SHAPE, 100, np.uint16)
    nothing = counted(raw, np.zeros(SHAPE, np.uint8), inside=np.zeros(SHAPE, bool))
    again = cubes_from_bytes(cubes_to_bytes(nothing), SCALE, predicted=True)
    assert len(nothing) == len(again) == len(joined([again, nothing])) == 0


@pytest.mark.parametrize("damage", [b"", b"other", b"cells1", b"cells1 and no more"])
def test_damaged_bytes_are_refused(damage):
    with pytest.raises(LedgerError, match="another version"):
        cubes_from_bytes(damage, SCALE, predicted=True)


def test_boxes_of_no_cells_and_tables_of_two_runs_are_refused():
    table = counted(probability=np.zeros(SHAPE, np.uint8))
    with pytest.raises(GeometryError, match="at least one cell"):
        table.boxes((1, 0, 1))
    other = counted(
        probability=np.zeros(SHAPE, np.uint8), scale=GreyScale(1.0, 1.0, "uint16")
    )
    with pytest.raises(GeometryError, match="two runs"):
        joined([table, other])
    with pytest.raises(GeometryError, match="at least one"):
        joined([])

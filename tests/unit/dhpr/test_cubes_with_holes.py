"""Holes in cubes, and the counts of cubes from before there were any."""

import zlib

import numpy as np

from blockseg.core.geometry import Roi
from blockseg.dhpr.cube_bytes import cubes_from_bytes, cubes_to_bytes
from blockseg.dhpr.cube_counting import count_cubes
from blockseg.dhpr.cubes import SUMS
from blockseg.dhpr.grey_scale import GreyScale
from blockseg.dhpr.metrics import dhpr_metrics

SCALE = GreyScale(200.0, 7.0, "uint16", 65535)


def noise():
    values = np.random.default_rng(0).normal(200, 7, (64, 64, 128))
    return np.rint(values).astype(np.uint16)


def test_a_hole_counts_for_nothing_but_its_size():
    voxels = noise()
    missing = np.zeros(voxels.shape, bool)
    missing[:, :32, 64:] = True
    inside = np.ones(voxels.shape, bool)
    inside[:, :8] = False
    nothing = np.zeros(voxels.shape, np.uint8)
    roi = Roi.whole(voxels.shape)
    table = count_cubes(voxels, nothing, roi, SCALE, inside=inside, missing=missing)
    part = count_cubes(voxels, nothing, roi, SCALE, inside=inside & ~missing)
    for name in set(SUMS) - {"nodata"}:
        np.testing.assert_array_equal(table.sum(name), part.sum(name))
    np.testing.assert_array_equal(table.histograms, part.histograms)
    assert table.sum("nodata").tolist() == [0, (missing & inside).sum()]
    assert dhpr_metrics(table)["nodata"].tolist() == [0, 24 / 56]


def test_a_cell_that_is_a_hole_is_known_as_one():
    voxels = noise()
    missing = np.zeros(voxels.shape, bool)
    missing[:, :, 64:] = True
    nothing = np.zeros(voxels.shape, np.uint8)
    table = count_cubes(
        voxels, nothing, Roi.whole(voxels.shape), SCALE, missing=missing
    )
    assert table.sum("voxels").tolist() == [64**3, 0]
    found = dhpr_metrics(table)
    assert found["nodata"].tolist() == [0, 1]
    assert np.isnan(found["level"][1])


def test_cells_counted_before_holes_were_known_are_read():
    table = count_cubes(noise(), None, Roi((0, 0, 0), (64, 64, 128)), SCALE)
    data = cubes_to_bytes(table)
    plain = zlib.decompress(data[6:])
    rows, columns, known = len(table), 9 + len(SUMS), SUMS.index("nodata")
    octets = np.frombuffer(plain[: 8 * rows * columns], np.uint8)
    head = np.ascontiguousarray(octets.reshape(8, -1).T).view("<i8")
    earlier = np.ascontiguousarray(head.reshape(rows, columns)[:, : 9 + known])
    shuffled = earlier.view(np.uint8).reshape(-1, 8).T.tobytes()
    old = b"cells1" + zlib.compress(shuffled + plain[8 * rows * columns :])
    again = cubes_from_bytes(old, SCALE, predicted=False)
    np.testing.assert_array_equal(
        again.sums[:, : known + 1], table.sums[:, : known + 1]
    )
    np.testing.assert_array_equal(again.histograms, table.histograms)

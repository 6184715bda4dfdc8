from itertools import product

import numpy as np
import pytest
from scipy import ndimage

from blockseg.core.cubes import TILE
from blockseg.core.geometry import Roi
from blockseg.core.specs import Affine, AffineField
from blockseg.inference.tile_scores.averaged_image import SEEN
from blockseg.inference.tile_scores.path_opening import path_opening_score

NOISE = Affine(200.0, 10.0)


def noise(shape, seed=0):
    return np.random.default_rng(seed).normal(200, 10, shape).astype(np.float32)


def of(raw, edge=64, affine=NOISE):
    whole = Roi.whole(raw.shape)
    return path_opening_score(raw, whole, whole, affine, raw.shape, edge)


def lines(raw):
    """Return averaged voxels less their opening."""
    n = [size // 2 for size in raw.shape]
    means = ((raw - 200) / 10).reshape(n[0], 2, n[1], 2, n[2], 2).mean((1, 3, 5))
    padded = np.pad(means, 8, mode="edge")
    return (padded - ndimage.grey_opening(padded, (5, 5, 5)))[4:-4, 4:-4, 4:-4]


def best_paths(values):
    """Return the best of all paths of 5 around each voxel that go on along an axis."""

    def at(step):
        return np.roll(values, [-n for n in step], (0, 1, 2))

    best = np.zeros_like(values)
    across = list(product((-1, 0, 1), repeat=2))
    for axis in range(3):
        found = values
        for sign in (-1, 1):
            ways = []
            for first, second in product(across, repeat=2):
                near = np.insert(first, axis, sign)
                far = near + np.insert(second, axis, sign)
                ways.append(np.minimum(at(near), at(far)))
            found = np.minimum(found, np.max(ways, axis=0))
        best = np.maximum(best, found)
    return best


def test_evidence_is_the_best_that_a_path_near_the_cube_nowhere_falls_below():
    raw = noise((16, 16, 16))
    raw[4:7, 5, 3:14] += 40
    near = (slice(2, 14),) * 3  # of 16, 4 around 8
    expected = best_paths(lines(raw))[near].max()
    assert of(raw, 16).ravel() == pytest.approx(expected, abs=1 / 256)


def test_a_dim_neurite_stands_out_and_spots_slopes_and_steps_do_not():
    empty = noise((64, 64, 64))
    neurite, spots, step = (empty.copy() for _ in range(3))
    neurite[30:33, 30:33, 10:40] += 30
    for z, y, x in ((5, 5, 5), (40, 40, 40), (20, 50, 9)):
        spots[z : z + 4, y : y + 4, x : x + 4] += 2000
    step[:, :, 31:] += 300
    slope = empty + np.linspace(0, 40, 64, dtype=np.float32)
    plain = of(empty)[0, 0, 0]
    assert of(neurite)[0, 0, 0] > 1.5 * plain
    for other in (spots, step, slope):
        assert of(other)[0, 0, 0] < 1.3 * plain


def test_a_neurite_counts_for_the_cubes_that_it_comes_near():
    raw = np.full((32, 96, 32), 200, np.float32)
    raw[10:13, 28:31, 8:30] += 100
    assert (of(raw, 32).ravel() > 3).tolist() == [True, True, False]


def test_evidence_is_the_same_to_the_last_bit_however_cubes_are_read():
    raw = noise((70, 64, 101))
    nodes = (1, 2, 2)
    field = AffineField(
        nodes, (0, 10, 10), (64, 40, 50), (190.0, 200, 210, 200), (9.0, 10, 12, 10)
    )
    whole = of(raw, 32, field)
    assert whole.shape == (3, 2, 4)
    for index in np.ndindex(whole.shape):
        start = [32 * i for i in index]
        stop = [min(a + 32, n) for a, n in zip(start, raw.shape, strict=True)]
        roi = Roi(tuple(start), tuple(stop))
        read = roi.grown((SEEN,) * 3).intersection(Roi.whole(raw.shape))
        alone = path_opening_score(raw[read.slices()], read, roi, field, raw.shape, 32)
        assert alone.ravel().tolist() == [whole[index]]


def test_what_is_not_finite_counts_as_background():
    raw = noise((32, 32, 32))
    damaged = raw.copy()
    damaged[8:16, 8:16] = np.nan
    damaged[20, 20, 20] = np.inf
    assert 0 < of(damaged, 32)[0, 0, 0] < 3


def test_tiles_of_a_cube_never_have_more_evidence_than_the_cube():
    raw = noise((64, 64, 64), 3)
    raw[20:22, 10:50, 20:22] += 100
    (cube,) = of(raw).ravel()
    tiles = of(raw, TILE)
    assert tiles.shape == (4, 4, 4)
    assert tiles.max() == cube
    assert tiles[1, 1, 1] > 2 > tiles[3, 3, 3]

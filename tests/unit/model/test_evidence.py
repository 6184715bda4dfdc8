import numpy as np
import pytest

from blockseg.core.geometry import Roi
from blockseg.core.specs import Affine, AffineField
from blockseg.model import evidence, surroundings

NOISE = Affine(200.0, 10.0)


def noise(shape, seed=0):
    return np.random.default_rng(seed).normal(200, 10, shape).astype(np.float32)


def brute_force(cube):
    """Return a cube's evidence, voxel by voxel, by its definition."""
    values = []
    for z in range(0, len(cube), 16):
        for y in range(0, len(cube), 16):
            for x in range(0, len(cube), 16):
                tile = cube[z : z + 16, y : y + 16, x : x + 16]
                means = [
                    tile[a : a + 2, b : b + 2, c : c + 2].mean()
                    for a in range(0, 16, 2)
                    for b in range(0, 16, 2)
                    for c in range(0, 16, 2)
                ]
                middle = sorted(means)[len(means) // 2]
                values += [mean - middle for mean in means]
    return sorted(values)[-4]


def test_evidence_is_the_fourth_largest_mean_of_8_voxels_above_its_tile():
    raw = noise((32, 32, 32))
    roi = Roi.whole(raw.shape)
    (found,) = evidence(raw, roi, NOISE, raw.shape, edge=32).ravel()
    assert found == pytest.approx(brute_force((raw - 200) / 10), rel=1e-5)


def test_a_dim_neurite_stands_out_and_hot_voxels_and_slopes_do_not():
    def of(raw):
        return evidence(raw, Roi.whole(raw.shape), NOISE, raw.shape)[0, 0, 0]

    empty = noise((64, 64, 64))
    neurite, hot = empty.copy(), empty.copy()
    neurite[30:33, 30:33, 10:40] += 30
    hot[5, 5, 5] = hot[40, 40, 40] = hot[20, 50, 9] = 4000
    slope = empty + np.linspace(0, 40, 64, dtype=np.float32)
    assert of(neurite) > 1.5 * of(empty)
    assert of(hot) < 1.05 * of(empty)
    assert of(slope) < 1.5 * of(empty)


def test_evidence_is_the_same_to_the_last_bit_however_cubes_are_read():
    raw = noise((70, 64, 100))
    nodes = (1, 2, 2)
    field = AffineField(
        nodes, (0, 10, 10), (64, 40, 50), (190.0, 200, 210, 200), (9.0, 10, 12, 10)
    )
    whole = evidence(raw, Roi.whole(raw.shape), field, raw.shape, edge=32)
    assert whole.shape == (3, 2, 4)
    for index in np.ndindex(whole.shape):
        start = [32 * i for i in index]
        stop = [min(a + 32, n) for a, n in zip(start, raw.shape, strict=True)]
        roi = Roi(tuple(start), tuple(stop))
        alone = evidence(raw[roi.slices()], roi, field, raw.shape, edge=32)
        assert alone.ravel().tolist() == [whole[index]]


def test_what_is_not_finite_counts_as_background():
    raw = noise((32, 32, 32))
    damaged = raw.copy()
    damaged[8:16, 8:16] = np.nan
    damaged[20, 20, 20] = np.inf
    roi = Roi.whole(raw.shape)
    (found,) = evidence(damaged, roi, NOISE, raw.shape, edge=32).ravel()
    assert 0 < found < 3


def test_surroundings_never_show_more_than_their_cube():
    raw = noise((64, 64, 64), 3)
    raw[20:22, 10:50, 20:22] += 100
    roi = Roi.whole(raw.shape)
    (cube,) = evidence(raw, roi, NOISE, raw.shape).ravel()
    around = surroundings(raw, roi, NOISE)
    assert around.shape == (4, 4, 4)
    assert around.max() <= cube
    assert around[1, 1, 1] > 5 > around[3, 3, 3]

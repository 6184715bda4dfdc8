"""Blocks come to what the whole volume comes to, for any block, ROI and tolerance."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from blockseg.core.geometry import Roi, to_zyx
from blockseg.core.grid import BlockGrid
from blockseg.evaluation.blocks import Comparison, score_blocks
from blockseg.evaluation.planes import single_planes
from blockseg.evaluation.prediction import Prediction
from blockseg.evaluation.truth import MaskTruth
from blockseg.io.protocol import MemoryVolume
from blockseg.morphology.block_scores import nothing_scored
from blockseg.morphology.centreline import SKELETON_HALO, skeleton
from blockseg.morphology.distance import reach_of
from blockseg.morphology.measures import measures
from blockseg.morphology.scores import tolerant_agreement
from blockseg.morphology.surface import SURFACE_BINS, SURFACE_REACH

EVERYWHERE = np.ones((3, 3, 3), dtype=bool)


def compare(predicted, true, block, tolerance=2.0, size=(1.0, 1.0, 1.0), **options):
    volume = MemoryVolume(predicted.astype(np.uint8))
    halo = to_zyx(n + SKELETON_HALO for n in reach_of(tolerance, size))
    grid = BlockGrid(volume.shape, block, halo, options.get("roi"))
    truth = MaskTruth(MemoryVolume(true), {255: 255})
    comparison = Comparison(
        Prediction("p", volume, None, volume.space, None, ()),
        truth,
        grid,
        tolerance,
        size,
        (),
        single_planes(truth, volume.shape, block, grid.region) is not None,
    )
    tally = score_blocks(comparison, options.get("workers", 1))
    rows = [block.scores.row() for block in tally.blocks]
    return tally, np.sum([nothing_scored().row(), *rows], axis=0)


@st.composite
def cases(draw):
    shape = draw(st.tuples(*[st.integers(1, 14)] * 3))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    share = draw(st.sampled_from([0.003, 0.02, 0.15, 0.6]))
    predicted, found = (rng.random(shape) < share for _ in range(2))
    true = found.astype(np.uint8)
    true[rng.random(shape) < draw(st.sampled_from([0, 0.3]))] = 255
    ends = [sorted(draw(st.tuples(*[st.integers(0, n)] * 2))) for n in shape]
    roi = None
    if all(a < b for a, b in ends) and draw(st.booleans()):
        roi = Roi(tuple(a for a, _ in ends), tuple(b for _, b in ends))
    block = draw(st.tuples(*[st.integers(2, 9)] * 3))
    return predicted, true, block, roi


def squared_distance(of, size=(1.0, 1.0, 1.0)):
    """Return the squared distance of every voxel to a mask, by looking at all pairs."""
    if not of.any():
        return np.full(of.shape, np.inf)
    squared = sum(
        ((i - j[:, None]) * s) ** 2
        for i, j, s in zip(
            np.nonzero(np.ones(of.shape)), np.nonzero(of), size, strict=True
        )
    )
    return squared.min(axis=0).reshape(of.shape)


@settings(max_examples=25)
@given(
    cases(),
    st.sampled_from([0.0, 1.0, 1.5, 2.0, 3.3]),
    st.sampled_from([(1.0, 1.0, 1.0), (2.0, 0.7, 0.5)]),
)
def test_voxels_and_those_within_the_tolerance_are_those_of_the_whole_volume(
    case, tolerance, size
):
    predicted, true, block, roi = case
    tally, total = compare(predicted, true, block, tolerance, size, roi=roi)
    inside = np.zeros(true.shape, dtype=bool)
    inside[(roi or Roi.whole(true.shape)).slices()] = True
    counts = inside & (true != 255)
    mask = true == 1
    assert tally.counted == counts.sum()

    def near(of):
        return squared_distance(of, size) <= tolerance**2 + 1e-9

    p, t = predicted & counts, mask & counts
    expected = [
        *(p.sum(), (p & t).sum(), t.sum(), (p & t).sum()),
        *(p.sum(), (p & near(mask)).sum(), t.sum(), (t & near(predicted)).sum()),
    ]
    assert list(total[5:13]) == expected


@settings(max_examples=25)
@given(cases(), st.sampled_from([1, 2]))
def test_components_are_those_of_the_whole_volume(case, workers):
    predicted, true, block, roi = case
    tally, _ = compare(predicted, true, block, roi=roi, workers=workers)
    there = (roi or Roi.whole(true.shape)).slices()
    known = true != 255
    expected = tuple(
        ndimage.label((mask & known)[there], EVERYWHERE)[1]
        for mask in (predicted, true == 1)
    )
    assert tally.components == expected


def of_surface(mask, outside):
    """Return the voxels of a mask with a face to what is outside, by padding."""
    free = np.pad(outside, 1)
    z, y, x = (slice(1, -1),) * 3
    sides = [
        np.roll(free, step, axis)[z, y, x] for axis in range(3) for step in (-1, 1)
    ]
    return mask & np.any(sides, axis=0)


def capped(at, of):
    squared = np.minimum(squared_distance(of)[at], SURFACE_REACH**2)
    return np.bincount(np.rint(squared).astype(int), minlength=SURFACE_BINS)


def surfaces_of_the_whole(predicted, true, inside):
    known, mask = true != 255, true == 1
    drawn = of_surface(predicted, ~predicted)
    real = of_surface(mask, known & ~mask)
    counts = inside & known
    return capped(drawn & counts, real) + capped(real & counts, drawn)


@settings(max_examples=25)
@given(cases())
def test_surface_distances_are_those_of_the_whole_volume(case):
    predicted, true, block, roi = case
    _, total = compare(predicted, true, block, roi=roi)
    region = roi or Roi.whole(true.shape)
    truth = MaskTruth(MemoryVolume(true), {255: 255})
    found = total[26 : 26 + SURFACE_BINS]
    if single_planes(truth, true.shape, block, region) is not None:
        assert not found.any()
        return
    inside = np.zeros(true.shape, dtype=bool)
    inside[region.slices()] = True
    expected = surfaces_of_the_whole(predicted, true, inside)
    np.testing.assert_array_equal(found, expected)
    if expected.any():
        squared = np.repeat(np.arange(SURFACE_BINS), expected)
        rates = measures(total)
        assert rates["surface_mean"] == pytest.approx(np.sqrt(squared).mean())
        at = int(np.ceil(0.95 * len(squared) - 1e-9)) - 1
        assert rates["surface_95"] == np.sqrt(squared[at])


def test_surfaces_beyond_a_blocks_surroundings_change_nothing():
    rng = np.random.default_rng(0)
    shape = (24, 60, 70)
    mask, predicted = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    for out in (mask, predicted):
        for corner in rng.integers(0, (16, 50, 60), (6, 3)):
            z, y, x = corner
            out[z : z + 7, y : y + 8, x : x + 9] = True
    _, blocks = compare(predicted, mask.astype(np.uint8), (8, 10, 12))
    _, whole = compare(predicted, mask.astype(np.uint8), shape)
    np.testing.assert_array_equal(
        blocks[26 : 26 + SURFACE_BINS], whole[26 : 26 + SURFACE_BINS]
    )
    assert whole[26 + SURFACE_BINS - 1] > 0  # some are too far apart to be measured


@st.composite
def sparse_cases(draw):
    predicted, true, block, roi = draw(cases())
    known = np.zeros(len(true), dtype=bool)
    # Every third plane or so, but not all, and never four in a row.
    known[draw(st.integers(0, 2)) :: draw(st.integers(2, 4))] = True
    true[~known] = 255
    return predicted, true, block, roi


@settings(max_examples=40)
@given(
    sparse_cases(),
    st.sampled_from([0.0, 1.0, 1.5, 2.0, 3.3]),
    st.sampled_from([(1.0, 1.0, 1.0), (2.0, 0.7, 0.5)]),
)
def test_what_is_painted_in_and_beside_annotated_planes_is_that_of_the_whole_volume(
    case, tolerance, size
):
    predicted, true, block, roi = case
    _, total = compare(predicted, true, block, tolerance, size, roi=roi)
    region = roi or Roi.whole(true.shape)
    truth = MaskTruth(MemoryVolume(true), {255: 255})
    annotated = single_planes(truth, true.shape, block, region)
    if annotated is None:
        assert not total[21:26].any()
        return
    known, mask = true != 255, true == 1
    inside = np.zeros(true.shape, dtype=bool)
    inside[region.slices()] = True
    expected, least = np.zeros(5, int), tolerance**2 + 1e-9

    def near(of):
        return squared_distance(of, size) <= least

    for z in np.flatnonzero(annotated[region.slices()[0]]) + region.start[0]:
        plane = np.zeros_like(mask)
        plane[z] = True
        p, t = np.zeros_like(mask), np.zeros_like(mask)
        p[z] = skeleton((predicted & known)[z][None])[0]
        t[z] = skeleton(mask[z][None])[0]
        p, t = p & inside & known, t & inside & known
        in_plane, in_3d = t & near(predicted & plane), t & near(predicted)
        counted = (p, p & near(mask & plane), t, in_plane, in_3d & ~in_plane)
        expected += [m.sum() for m in counted]
    assert list(total[21:26]) == list(expected)


@settings(max_examples=25)
@given(cases())
def test_what_is_painted_of_the_known_background_is_that_of_the_whole_volume(case):
    predicted, true, block, roi = case
    tally, total = compare(predicted, true, block, roi=roi)
    background = (true == 0)[(roi or Roi.whole(true.shape)).slices()]
    painted = predicted[(roi or Roi.whole(true.shape)).slices()] & background
    total[0] = tally.counted
    share = measures(total)["painted_share"]
    if background.any():
        assert share == painted.sum() / background.sum()
    else:
        assert np.isnan(share)


def tubes(rng, shape, number):
    """Return curved tubes of half-widths 1 to 3."""
    out = np.zeros(shape, dtype=bool)
    grid = np.indices(shape)
    for _ in range(number):
        at = rng.uniform(0, shape)
        way = rng.normal(size=3)
        radius = rng.uniform(1, 3)
        for _ in range(40):
            way += rng.normal(size=3) * 0.4
            at = at + 2 * way / np.linalg.norm(way)
            low = np.maximum(np.floor(at - 4), 0).astype(int)
            high = np.clip(at + 5, 0, shape).astype(int)
            if (low >= high).any():
                break
            box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
            square = sum((g[box] - a) ** 2 for g, a in zip(grid, at, strict=True))
            out[box] |= square <= radius**2
    return out


@pytest.mark.parametrize("seed", range(3))
def test_centrelines_of_blocks_are_nearly_those_of_the_whole_volume(seed):
    rng = np.random.default_rng(seed)
    true = tubes(rng, (64, 64, 64), 8)
    predicted = np.roll(true, 1, axis=0) & (rng.random(true.shape) > 0.02)
    _, total = compare(predicted, true.astype(np.uint8), (32, 32, 32))
    whole = tolerant_agreement(skeleton(predicted), skeleton(true), 2)
    found = total[13:17]
    expected = [whole.predicted, whole.right, whole.true, whole.found]
    np.testing.assert_allclose(found, expected, rtol=0.02)
    rates = [found[1] / found[0], found[3] / found[2]]
    np.testing.assert_allclose(rates, [whole.precision, whole.recall], atol=0.005)


@pytest.mark.parametrize("seed", range(2))
def test_lines_of_planes_cut_in_blocks_are_nearly_those_of_the_whole(seed):
    rng = np.random.default_rng(seed)
    mask = tubes(rng, (24, 96, 96), 14)
    true = np.full(mask.shape, 255, np.uint8)
    true[5::7] = mask[5::7]
    predicted = np.roll(mask, 1, axis=0) & (rng.random(mask.shape) > 0.02)
    _, blocks = compare(predicted, true, (12, 32, 32))
    _, whole = compare(predicted, true, mask.shape)
    assert whole[23] > 100
    np.testing.assert_allclose(blocks[21:26], whole[21:26], rtol=0.02, atol=2)


@pytest.mark.parametrize(
    ("planes", "single"),
    [
        ((2,), True),
        ((0, 5, 9), True),
        ((2, 3, 4, 8), True),
        ((2, 3, 4, 5), False),
        (range(10), False),
        ((), True),
    ],
)
def test_more_than_three_planes_in_a_row_are_a_piece_of_a_volume(planes, single):
    true = np.full((10, 4, 5), 255, np.uint8)
    true[list(planes), 1:3] = 0
    truth = MaskTruth(MemoryVolume(true), {255: 255})
    for block in ((10, 4, 5), (2, 3, 3)):
        found = single_planes(truth, true.shape, block, Roi.whole(true.shape))
        assert (found is not None) == single
        if found is not None:
            assert list(np.flatnonzero(found)) == list(planes)


def test_three_planes_that_are_all_there_is_are_a_volume():
    truth = MaskTruth(MemoryVolume(np.zeros((3, 4, 5), np.uint8)), {255: 255})
    assert single_planes(truth, (3, 4, 5), (3, 4, 5), Roi.whole((3, 4, 5))) is None

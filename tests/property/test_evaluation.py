"""Blocks come to what the whole volume comes to, for any block, ROI and tolerance."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from blockseg.core.geometry import Roi, to_zyx
from blockseg.core.grid import BlockGrid
from blockseg.evaluation.blocks import Comparison, score_blocks
from blockseg.evaluation.prediction import Prediction
from blockseg.evaluation.truth import MaskTruth
from blockseg.io.protocol import MemoryVolume
from blockseg.morphology.centreline import SKELETON_HALO, skeleton
from blockseg.morphology.distance import reach_of
from blockseg.morphology.scores import tolerant_agreement

EVERYWHERE = np.ones((3, 3, 3), dtype=bool)


def compare(predicted, true, block, tolerance=2.0, size=(1.0, 1.0, 1.0), **options):
    volume = MemoryVolume(predicted.astype(np.uint8))
    halo = to_zyx(n + SKELETON_HALO for n in reach_of(tolerance, size))
    grid = BlockGrid(volume.shape, block, halo, options.get("roi"))
    comparison = Comparison(
        Prediction("p", volume, None, volume.space, None, ()),
        MaskTruth(MemoryVolume(true), {255: 255}),
        grid,
        tolerance,
        size,
        (),
    )
    tally = score_blocks(comparison, options.get("workers", 1))
    rows = [block.scores.row() for block in tally.blocks]
    return tally, np.sum([np.zeros(21, np.int64), *rows], axis=0)


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
        if not of.any():
            return np.zeros(of.shape, dtype=bool)
        squared = sum(
            ((i - j[:, None]) * s) ** 2
            for i, j, s in zip(
                np.nonzero(np.ones(of.shape)), np.nonzero(of), size, strict=True
            )
        )
        return (squared.min(axis=0) <= tolerance**2 + 1e-9).reshape(of.shape)

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

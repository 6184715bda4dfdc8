"""Holes are the same ones, and filled alike, whatever region is read."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from blockseg.core.geometry import Roi, to_zyx
from blockseg.core.holes import HoleRule
from blockseg.io.holes.mended_volume import MendedVolume
from blockseg.io.protocol import MemoryVolume

SHAPES = ((60, 90, 100), (24, 36, 300))


@st.composite
def volumes(draw, shape):
    rng = np.random.default_rng(draw(st.integers(0, 3)))
    voxels = np.rint(rng.normal(200, 7, shape)).astype(np.uint16)
    if draw(st.booleans()):
        z, y, x = np.indices(shape)
        voxels[z + y * draw(st.sampled_from([0.2, 0.5])) + x * 0.3 < 30] = 0
    for _ in range(draw(st.integers(1, 3))):
        start = [draw(st.integers(0, n - 8)) for n in shape]
        stop = [
            min(n, a + draw(st.sampled_from([1, 3, 8, 20, n])))
            for n, a in zip(shape, start, strict=True)
        ]
        voxels[Roi(to_zyx(start), to_zyx(stop)).slices()] = draw(
            st.sampled_from([0, 65535, 200])
        )
    if draw(st.booleans()):
        z = draw(st.integers(0, shape[0] - 4))
        voxels[z : z + 4] = voxels[z]
    return voxels


@st.composite
def regions(draw, shape):
    start = [draw(st.integers(0, n - 1)) for n in shape]
    stop = [draw(st.integers(a + 1, n)) for a, n in zip(start, shape, strict=True)]
    return Roi(to_zyx(start), to_zyx(stop))


@settings(max_examples=12, deadline=None)
@given(data=st.data(), shape=st.sampled_from(SHAPES))
def test_what_is_read_does_not_depend_on_the_region(data, shape):
    voxels = data.draw(volumes(shape))
    rois = [data.draw(regions(shape)) for _ in range(2)]
    rule = HoleRule(level=200.0)
    whole = MendedVolume(MemoryVolume(voxels), rule).look(Roi.whole(shape))
    missing = np.zeros(shape, bool) if whole.missing is None else whole.missing
    mended = MendedVolume(MemoryVolume(voxels), rule)
    for roi in rois:
        seen = mended.look(roi)
        found = np.zeros(roi.shape, bool) if seen.missing is None else seen.missing
        np.testing.assert_array_equal(found, missing[roi.slices()])
        np.testing.assert_array_equal(seen.voxels, whole.voxels[roi.slices()])
    np.testing.assert_array_equal(whole.voxels[~missing], voxels[~missing])

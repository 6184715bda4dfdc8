"""Any region of a synthetic brain is the crop of the whole."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockseg.core.geometry import Roi, Zyx
from blockseg.synthetic.brain import SynthBlock, SyntheticBrain
from blockseg.synthetic.presets import PRESETS

SHAPE: Zyx = (70, 83, 129)  # no multiple of the tiles, on purpose


@cache
def _whole(name: str) -> SynthBlock:
    return SyntheticBrain(SHAPE, name, seed=5).block(Roi.whole(SHAPE))


@cache
def _brain(name: str) -> SyntheticBrain:
    return SyntheticBrain(SHAPE, name, seed=5)


@st.composite
def rois(draw: st.DrawFn) -> Roi:
    corners = [sorted(draw(st.tuples(*[st.integers(0, n)] * 2))) for n in SHAPE]
    z, y, x = corners
    return Roi((z[0], y[0], x[0]), (z[1], y[1], x[1]))


@settings(deadline=None, max_examples=25)
@given(roi=rois(), name=st.sampled_from(sorted(PRESETS)))
def test_a_region_made_alone_equals_the_crop_of_the_whole(roi: Roi, name: str) -> None:
    whole, brain = _whole(name), _brain(name)
    np.testing.assert_array_equal(brain.image(roi), whole.image[roi.slices()])
    np.testing.assert_array_equal(brain.labels(roi), whole.labels[roi.slices()])
    np.testing.assert_array_equal(brain.mask(roi), whole.mask[roi.slices()])


@settings(deadline=None, max_examples=3)
@given(block=st.tuples(*[st.integers(40, 140)] * 3))
def test_blocks_of_any_shape_put_together_are_the_whole(block: Zyx) -> None:
    out = np.zeros(SHAPE, np.uint16)
    for part in SyntheticBrain(SHAPE, "fmost", seed=5).blocks(block):
        out[part.roi.slices()] = part.image
    np.testing.assert_array_equal(out, _whole("fmost").image)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_regions_do_not_depend_on_what_was_asked_for_before(name: str) -> None:
    roi = Roi((10, 20, 60), (40, 70, 128))
    fresh = SyntheticBrain(SHAPE, name, seed=5)
    np.testing.assert_array_equal(fresh.image(roi), _whole(name).image[roi.slices()])

"""Ranges that a training covers, from what its volumes show."""

from dataclasses import replace

import pytest

from blockseg.core.space import Space
from blockseg.networks.shipped import DEFAULT, SHIPPED
from blockseg.networks.trained import Trained
from blockseg.normalization.structures import Structures
from blockseg.suitability.covered import MARGIN, SYNTHETIC, covered, together
from blockseg.suitability.limits import outside_of
from blockseg.suitability.sampled import Sampled
from blockseg.training.data.synth_source import KINDS

CUBES = Space((1.0, 1.0, 1.0), "micrometer")
UNKNOWN = Space()


def sampled(width=2.0, contrast=20.0, *, share=0.05, somata=0.0, saturated=0.0):
    found = Structures(share, width, width, contrast, contrast, width, somata)
    return Sampled(found, None, saturated)


def test_widths_and_contrasts_are_those_of_the_volumes_and_a_margin():
    found = covered([(sampled(2.0, 30.0), CUBES), (sampled(3.0, 12.0), CUBES)])
    assert found is not None
    assert found.half_width == 3.0 * MARGIN
    assert found.contrast == 12.0 / MARGIN


def test_thin_axons_alone_cover_what_samples_of_them_reach_by_chance():
    found = covered([(sampled(1.0), CUBES)])
    assert found is not None
    assert found.half_width == 3.0


def test_one_odd_volume_among_many_sets_no_limit():
    many = [(sampled(2.0, 20.0), CUBES)] * 30
    odd = (sampled(9.0, 5.1), CUBES)
    assert covered([*many, odd]) == covered(many)


def test_shares_count_from_those_of_the_default_weights_on():
    plain = covered([(sampled(), CUBES)])
    assert plain is not None
    assert (plain.share, plain.somata, plain.saturated) == (
        DEFAULT.trained.share,
        DEFAULT.trained.somata,
        DEFAULT.trained.saturated,
    )
    full = covered([(sampled(share=0.3, somata=0.8, saturated=0.4), CUBES)])
    assert full is not None
    assert (full.share, full.somata, full.saturated) == (0.3, 0.8, 0.4)


def test_a_background_of_exactly_0_sets_no_least_contrast():
    found = covered([(replace_contrast(sampled()), CUBES)])
    assert found is not None
    assert found.contrast == 0.0


def replace_contrast(found):
    return replace(
        found, structures=replace(found.structures, contrast=None, contrast_high=None)
    )


@pytest.mark.parametrize(("z", "elongation"), [(1.0, 2.0), (5.0, 5.0), (0.2, 5.0)])
def test_voxels_as_long_as_those_of_the_volumes_are_covered(z, elongation):
    space = Space((z, 1.0, 1.0), "micrometer")
    found = covered([(sampled(), space), (sampled(), UNKNOWN)])
    assert found is not None
    assert found.elongation == pytest.approx(elongation)
    assert outside_of(sampled(), space, found) == ()


def test_without_a_stated_voxel_size_no_voxel_is_too_long():
    found = covered([(sampled(), UNKNOWN)])
    assert found is not None
    assert outside_of(sampled(), Space((99.0, 1.0, 1.0), "micrometer"), found) == ()


def test_nothing_is_known_where_too_little_stands_out():
    assert covered([(sampled(None), CUBES)]) is None
    assert covered([]) is None


def test_the_volumes_themselves_lie_inside_and_others_outside():
    own = sampled(2.0, 20.0)
    found = covered([(own, CUBES)])
    assert found is not None
    assert outside_of(own, CUBES, found) == ()
    assert outside_of(sampled(6.0, 20.0), CUBES, found) != ()
    assert outside_of(sampled(2.0, 8.0), CUBES, found) != ()


def test_ranges_together_hold_each_of_them():
    one = Trained(2.0, 20.0, 0.25, 0.5, 0.4, 2.0)
    other = Trained(5.0, 6.0, 0.3, 0.5, 0.1, 8.0)
    assert together([one, other]) == Trained(5.0, 6.0, 0.3, 0.5, 0.4, 8.0)
    assert together([one]) == one
    assert together([one, None]) is None
    assert together([]) is None


def test_brains_of_the_default_training_cover_what_its_weights_are_for():
    assert SYNTHETIC["random"] == DEFAULT.trained
    assert SYNTHETIC["dendrites"] == SHIPPED[1].trained
    assert SYNTHETIC.keys() == set(KINDS)

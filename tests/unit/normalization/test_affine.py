import math

import numpy as np
import pytest

from blockseg.core.errors import ConfigError
from blockseg.core.specs import Affine, Normalization
from blockseg.normalization.affine import (
    CEILING,
    affine,
    normalize,
)
from blockseg.normalization.background import INTEGER_FLOOR, Background


def test_published_constants_are_used_as_they_are():
    assert affine(Normalization("published"), None, 9.0) == Affine(168.5, 500.0)


def test_robust_maps_the_background_to_0_and_its_sd_to_the_gain():
    background = Background(level=200.0, sd=6.0, voxels=1)
    by = affine(Normalization("robust"), background, gain=0.03)
    out = np.empty(2, "f8")
    normalize(np.array([200.0, 206.0]), by, out)
    assert out.tolist() == [0.0, 0.03]
    # For the published weights: (I - b)/s·15 + 168.5, then the published constants.
    published = ((206 - 200) / 6 * 15 + 168.5 - 168.5) / 500
    assert out[1] == pytest.approx(published)


def test_given_b_and_s_are_used_as_they_are():
    asked = Normalization("given", 200.0, 6.0)
    assert affine(asked, None, gain=0.03) == Affine(200.0, 200.0)


@pytest.mark.parametrize("kind", ["robust", "field"])
def test_what_needs_an_estimate_is_refused_without_one(kind):
    with pytest.raises(ConfigError, match=f"'{kind}' needs an estimate"):
        affine(Normalization(kind), None, 1.0)


def test_nan_and_infinity_become_background():
    raw = np.array([np.nan, np.inf, -np.inf, 7.0], "f4")
    out = np.empty(4, "f4")
    normalize(raw, Affine(5.0, 2.0), out)
    assert out.tolist() == [0, 0, 0, 1]


def test_no_data_values_of_float_volumes_stay_finite_in_the_network():
    raw = np.array([-3.4e38, 3.4e38], "f4")
    out = np.empty(2, "f4")
    normalize(raw, Affine(1e30, 1e-3), out)
    assert out.tolist() == [-CEILING, CEILING]


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "f4"])
def test_every_source_dtype_is_normalised_without_wrapping_around(dtype):
    raw = np.array([0, 1, 100], dtype)
    out = np.empty(3, "f8")
    normalize(raw, Affine(50.0, 4.0), out)
    assert out.tolist() == [-12.5, -12.25, 12.5]
    assert math.isclose(INTEGER_FLOOR**2 * 12, 1)

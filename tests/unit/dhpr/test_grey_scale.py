import math

import numpy as np
import pytest

from blockseg.core.errors import GeometryError
from blockseg.dhpr.grey_scale import CODES, NOT_COUNTED, GreyScale


def test_where_steps_are_one_grey_level_nothing_is_lost():
    scale = GreyScale(100.0, 4.0, "uint16", 65535)
    grey = np.arange(87, 114, dtype=np.uint16)
    np.testing.assert_array_equal(scale.levels()[scale.codes(grey)], grey)


def test_a_code_of_integers_stands_for_the_mean_of_those_that_have_it():
    scale = GreyScale(1000.0, 80.0, "uint16", 65535)
    grey = np.arange(500, 3000, dtype=np.uint16)
    codes = scale.codes(grey)
    for code in np.unique(codes)[1:-1]:
        assert scale.levels()[code] == grey[codes == code].mean()


def test_codes_rise_with_grey_levels_and_end_far_from_the_background():
    scale = GreyScale(200.0, 5.0, "uint16", 65535)
    codes = scale.codes(np.arange(65536).astype(np.uint16))[1:]
    assert (np.diff(codes.astype(int)) >= 0).all()
    assert codes[-1] == CODES - 1
    far = (scale.levels()[[0, -1]] - 200) / 5
    np.testing.assert_allclose(far, 8 * np.sinh([-1, 95 / 32]))


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32"])
def test_every_type_has_its_codes(dtype):
    scale = GreyScale(20.0, 2.0, dtype)
    grey = np.array([[20, 22], [12, 30]], dtype)
    expected = np.rint(32 + 32 * np.arcsinh((grey.astype(float) - 20) / 16))
    np.testing.assert_array_equal(scale.codes(grey), expected)


def test_the_order_of_bytes_does_not_matter():
    scale = GreyScale(300.0, 9.0, "uint16")
    grey = np.arange(200, 500, dtype=np.uint16)
    np.testing.assert_array_equal(scale.codes(grey.astype(">u2")), scale.codes(grey))


def test_negative_grey_levels_are_below_the_background():
    scale = GreyScale(0.0, 2.0, "int16")
    codes = scale.codes(np.array([-2, 0, 2], np.int16))
    np.testing.assert_array_equal(scale.levels()[codes], [-2, 0, 2])


def test_what_has_no_grey_level_has_no_code():
    scale = GreyScale(100.0, 4.0, "float32")
    grey = np.array([np.nan, np.inf, -np.inf, 0, 100], np.float32)
    codes = scale.codes(grey)
    np.testing.assert_array_equal(codes == NOT_COUNTED, [True] * 4 + [False])


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_zero_is_filling_only_far_below_the_background(dtype):
    zero = np.zeros(1, dtype)
    assert GreyScale(17.0, 4.0, dtype).codes(zero)[0] == NOT_COUNTED
    assert GreyScale(16.0, 4.0, dtype).codes(zero)[0] < CODES


def test_the_first_saturated_code_is_that_of_the_limit():
    scale = GreyScale(100.0, 4.0, "uint16", 300)
    (code,) = scale.codes(np.array([300], np.uint16))
    assert scale.first_saturated == code
    assert GreyScale(100.0, 4.0, "float32").first_saturated is None


@pytest.mark.parametrize(("level", "sd"), [(math.nan, 1), (1, 0), (1, math.inf)])
def test_a_scale_without_level_or_noise_is_refused(level, sd):
    with pytest.raises(GeometryError, match="SD above 0"):
        GreyScale(level, sd, "uint16")

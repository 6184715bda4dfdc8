import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import RegularGridInterpolator

from blockseg.core.errors import GeometryError
from blockseg.core.geometry import Roi, to_zyx
from blockseg.core.specs import Affine, AffineField
from blockseg.normalization.affine import normalize
from blockseg.normalization.interpolation import planes, sampled

SHAPE = (13, 22, 31)
FIELD = AffineField(
    (2, 3, 4),
    (2.75, 3.0, 3.375),
    (6.5, 7.3, 7.75),
    tuple(np.random.default_rng(0).uniform(100, 300, 24).tolist()),
    tuple(np.random.default_rng(1).uniform(5, 20, 24).tolist()),
    -50.0,
    50.0,
)


def normalized(raw, roi, by=FIELD, dtype="f4"):
    out = np.empty(roi.shape, dtype)
    normalize(np.ascontiguousarray(raw[roi.slices()]), by, out, roi.start)
    return out


def image(dtype="u2"):
    return np.random.default_rng(2).integers(0, 900, SHAPE).astype(dtype)


def test_values_are_trilinear_between_nodes_and_constant_beyond():
    axes = [
        first + step * np.arange(n)
        for first, step, n in zip(FIELD.start, FIELD.step, FIELD.nodes, strict=True)
    ]
    places = np.stack(
        np.meshgrid(
            *(
                np.arange(n).clip(axis[0], axis[-1])
                for n, axis in zip(SHAPE, axes, strict=True)
            ),
            indexing="ij",
        ),
        axis=-1,
    )
    found = planes(FIELD, (0, 0, 0), SHAPE, np.dtype("f8"))
    offset, scale = (np.stack(part) for part in zip(*found, strict=True))
    for mine, values in ((offset, FIELD.offset), (scale, FIELD.scale)):
        grid = np.reshape(values, FIELD.nodes)
        assert np.allclose(mine, RegularGridInterpolator(axes, grid)(places))


@st.composite
def boxes(draw):
    starts = [draw(st.integers(0, n - 1)) for n in SHAPE]
    stops = [draw(st.integers(a + 1, n)) for a, n in zip(starts, SHAPE, strict=True)]
    return Roi(to_zyx(starts), to_zyx(stops))


@settings(deadline=None, max_examples=50)
@given(boxes(), st.sampled_from(["f4", "f8"]))
def test_a_voxel_is_normalised_alike_to_the_last_bit_in_every_box(roi, dtype):
    raw = image()
    whole = normalized(raw, Roi.whole(SHAPE), dtype=dtype)
    assert np.array_equal(normalized(raw, roi, dtype=dtype), whole[roi.slices()])


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "f4"])
def test_a_field_that_does_not_vary_is_an_affine_to_the_last_bit(dtype):
    raw, whole = image(dtype), Roi.whole(SHAPE)
    even = AffineField(
        (2, 2, 2), (3, 5, 7), (6, 11, 15), (168.3,) * 8, (17.7,) * 8, -9, 20
    )
    plain = Affine(168.3, 17.7, -9, 20)
    assert np.array_equal(normalized(raw, whole, even), normalized(raw, whole, plain))


def test_what_is_clipped_or_not_finite_is_so_with_a_field_too():
    raw = image("f4")
    raw[0, 0, :4] = np.nan, np.inf, -np.inf, 60_000
    raw[5, 5, 5] = -60_000
    out = normalized(raw, Roi.whole(SHAPE))
    assert out[0, 0, :4].tolist() == [0, 0, 0, 50]
    assert out[5, 5, 5] == -50


@pytest.mark.parametrize(
    ("nodes", "scale", "step"),
    [
        ((2, 3, 5), FIELD.scale, FIELD.step),
        ((2, 3, 4), FIELD.scale[1:], FIELD.step),
        ((2, 3, 4), (0.0, *FIELD.scale[1:]), FIELD.step),
        ((2, 3, 4), FIELD.scale, (1.0, 0.0, 1.0)),
    ],
)
def test_fields_that_do_not_fit_their_nodes_are_refused(nodes, scale, step):
    with pytest.raises(GeometryError):
        AffineField(nodes, FIELD.start, step, FIELD.offset, scale)


def test_a_field_is_sampled_at_places_as_voxels_of_whole_planes_see_it():
    z, y, x = (np.arange(n) for n in SHAPE)
    found = sampled(FIELD, z, y, x)
    pairs = [
        (offset.copy(), scale.copy())
        for offset, scale in planes(FIELD, (0, 0, 0), SHAPE, np.dtype("f8"))
    ]
    for mine, wanted in zip(found, zip(*pairs, strict=True), strict=True):
        assert np.allclose(mine, np.stack(wanted), rtol=1e-12)
    between, _ = sampled(FIELD, [1.5], [2.0], [3.25])
    assert between.shape == (1, 1, 1)

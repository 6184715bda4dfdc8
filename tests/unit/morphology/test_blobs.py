"""Bright bodies: found where they are, of the size they are, whatever the blocks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from blockseg.core.geometry import Roi
from blockseg.core.grid import BlockGrid
from blockseg.morphology.blobs import BlobScales, find_blobs

SCALES = BlobScales((2.0, 1.0, 1.0), 4.0, 7.0)


def ball(shape, centre, radius, spacing=SCALES.spacing):
    """A ball of brightness 1, its surface as smooth as a point spread makes it."""
    away = sum(
        ((grid - c) * s) ** 2
        for grid, c, s in zip(
            np.ogrid[tuple(map(slice, shape))], centre, spacing, strict=True
        )
    )
    return gaussian_filter((away <= radius**2).astype(float), 0.7)


def whole(image, scales=SCALES, least=1.0):
    region = Roi.whole(image.shape)
    return find_blobs(image, scales, region, region, least)


@pytest.mark.parametrize("radius", [4.0, 5.0, 6.0, 7.0])
def test_a_ball_is_found_with_its_centre_radius_and_contrast(radius):
    image = 100 + 50 * ball((40, 80, 80), (20.3, 41.6, 38.2), radius)
    rows = whole(image, least=20)
    best = rows[np.argmax(rows["response"])]
    offset = (best["place"] - (20.3, 41.6, 38.2)) * SCALES.spacing
    assert np.abs(offset).max() < 1
    assert best["radius"] == pytest.approx(radius, rel=0.25)
    # Of one that is hardly thick enough half is taken for thin.
    assert best["response"] == pytest.approx(50, rel=0.5 if radius == 4 else 0.3)
    assert best["contrast"] == pytest.approx(50, rel=0.2)
    assert best["roundness"] > 0.5
    assert best["around"] < 0.1


def test_a_thin_bright_line_is_no_body_and_a_thick_one_is_not_round():
    thin, thick = np.zeros((40, 80, 80)), np.zeros((40, 80, 80))
    thin[20, 40, :] = 1000
    thick[18:23, 36:45, :] = 100
    assert not len(whole(gaussian_filter(thin, 0.7), least=5))
    inner = Roi((0, 0, 30), (40, 80, 50))
    region = Roi.whole(thick.shape)
    noise = np.random.default_rng(0).normal(0, 2, thick.shape)
    rows = find_blobs(thick + noise, SCALES, region, inner, 20)
    assert (rows["roundness"] < 0.2).all()


def test_a_body_within_bright_neurites_is_found():
    image = 40 * ball((40, 80, 80), (20, 40, 40), 5.0)
    image[20, 40, :] += 400
    image[:, 38, 42] += 400
    rows = whole(gaussian_filter(image, 0.5), least=12)
    best = rows[np.argmax(rows["response"])]
    away = np.linalg.norm((best["place"] - (20, 40, 40)) * np.array(SCALES.spacing))
    assert away < 3


@settings(max_examples=12)
@given(
    st.tuples(st.integers(1, 40), st.integers(1, 60), st.integers(8, 60)),
    st.tuples(*[st.integers(7, 40)] * 3),
    st.integers(0, 2**32 - 1),
)
def test_blocks_find_the_bodies_of_the_whole_to_the_last_bit(shape, block, seed):
    rng = np.random.default_rng(seed)
    image = rng.normal(0, 5, shape) + rng.integers(0, 100)
    for _ in range(4):
        centre = rng.uniform(0, 1, 3) * shape
        image += rng.uniform(20, 90) * ball(shape, centre, rng.uniform(2, 7))
    image = np.rint(image * 10).clip(0, 65535).astype(np.uint16)
    grid = BlockGrid(
        shape, tuple(min(b, n) for b, n in zip(block, shape, strict=True)), SCALES.halo
    )
    parts = [
        find_blobs(
            image[one.read_roi.slices()], SCALES, one.read_roi, one.write_roi, 20
        )
        for one in grid
    ]
    found = np.concatenate(parts)
    found = found[np.lexsort(found["place"].T[::-1])]
    expected = whole(image, least=20)
    assert found.tobytes() == expected.tobytes()

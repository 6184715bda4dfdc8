"""What is flat, what repeats, and which of it is a hole."""

from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from blockseg.core.geometry import Roi
from blockseg.core.holes import HoleRule
from blockseg.io.holes.flat import flat_voxels, holes_of
from blockseg.io.holes.mended_volume import MendedVolume
from blockseg.io.holes.repeats import repeated_voxels
from blockseg.io.protocol import MemoryVolume

RULE = HoleRule(level=200.0)


def noise(shape=(48, 56, 64), level=200.0, sd=7.0, dtype=np.uint16, seed=0):
    values = np.random.default_rng(seed).normal(level, sd, shape)
    values = values if np.dtype(dtype).kind == "f" else np.rint(values.clip(0))
    return values.astype(dtype)


def looked(voxels, rule=RULE):
    return MendedVolume(MemoryVolume(voxels), rule).look(Roi.whole(voxels.shape))


def holes(voxels, rule=RULE):
    missing = looked(voxels, rule).missing
    return np.zeros(voxels.shape, bool) if missing is None else missing


def flat_oracle(voxels):
    """Mark squares of 8 by 8 voxels of one value, one after the other."""
    found = np.zeros(voxels.shape, bool)
    for axis in range(3):
        planes, marks = np.moveaxis(voxels, axis, 0), np.moveaxis(found, axis, 0)
        for plane, mark in zip(planes, marks, strict=True):
            for i in range(plane.shape[0] - 7):
                for j in range(plane.shape[1] - 7):
                    part = plane[i : i + 8, j : j + 8]
                    if (part == part[0, 0]).all():
                        mark[i : i + 8, j : j + 8] = True
    return found


@pytest.mark.parametrize("seed", range(6))
def test_flat_voxels_are_those_of_squares_of_one_value(seed):
    rng = np.random.default_rng(seed)
    voxels = noise((20, 22, 24), sd=2.0, seed=seed)
    for _ in range(3):
        start = rng.integers(0, 12, 3)
        stop = start + rng.integers(1, 13, 3)
        voxels[Roi(tuple(start), tuple(stop)).slices()] = rng.choice([0, 200, 999])
    found = flat_voxels(voxels, RULE)
    expected = flat_oracle(voxels)
    if found is None:
        found = np.zeros_like(expected)
    np.testing.assert_array_equal(found, expected)


HOLES: dict[str, Any] = {
    "a box": np.s_[8:30, 10:40, 12:50],
    "a small box": np.s_[11:19, 13:21, 14:22],
    "a box at a corner": np.s_[:20, :20, :20],
    "a box across the volume": np.s_[:, 20:30, 30:45],
    "three planes": np.s_[20:23],
    "one plane": np.s_[20],
    "the first planes": np.s_[:2],
    "a plane across y": np.s_[:, 33],
    "two planes across x": np.s_[:, :, 40:42],
    "a half of the volume": np.s_[:, 27:],
}


@pytest.mark.parametrize("value", [0, 1000, 65535])
@pytest.mark.parametrize("name", HOLES)
def test_boxes_and_planes_of_one_value_are_holes_to_the_voxel(name, value):
    voxels = noise()
    expected = np.zeros(voxels.shape, bool)
    expected[HOLES[name]] = True
    voxels[expected] = value
    np.testing.assert_array_equal(holes(voxels), expected)


@pytest.mark.parametrize(
    ("dtype", "level", "sd", "value"),
    [
        (np.uint8, 12, 1.3, 0),
        (np.int16, 200, 7, -1000),
        (np.float32, 200, 7, 0),
        (np.float32, 200, 7, np.nan),
        (np.uint16, 200, 7, 200),  # the background's own level
    ],
)
def test_holes_are_found_in_every_type(dtype, level, sd, value):
    voxels = noise(level=level, sd=sd, dtype=dtype)
    expected = np.zeros(voxels.shape, bool)
    expected[HOLES["a box"]] = True
    voxels[expected] = value
    np.testing.assert_array_equal(holes(voxels, HoleRule(level)), expected)


def test_noise_without_holes_has_none():
    for dtype, level, sd in (("u2", 200, 7), ("u1", 12, 1.0), ("f4", 0, 1)):
        voxels = noise(level=level, sd=sd, dtype=dtype)
        assert looked(voxels, HoleRule(level)).missing is None


def test_what_is_outside_of_an_oblique_brain_is_no_hole():
    voxels = noise()
    z, y, x = np.indices(voxels.shape)
    voxels[z + 0.4 * y + 0.3 * x < 30] = 0
    assert not holes(voxels).any()
    voxels[:, 30:34] = 0  # a lost part of it is, where there was tissue
    found = holes(voxels)
    assert found[40:, 30:34].all()
    assert not found[:, :24].any()
    assert not found[:, 40:].any()


@pytest.mark.parametrize("radius", [8, 16, 22])
def test_what_is_saturated_is_no_hole(radius):
    z, y, x = np.indices((48, 56, 64)) - np.array([24, 28, 32]).reshape(3, 1, 1, 1)
    ball = (1.5 * z) ** 2 + y**2 + x**2 <= radius**2
    voxels = noise()
    voxels[ball] = 65535
    assert not holes(voxels).any()
    glow = 3 * 4095 * gaussian_filter(ball.astype(float), (2, 1.2, 1.2))
    voxels = np.rint(np.clip(noise() + glow, 0, 4095)).astype(np.uint16)
    assert (voxels == 4095).sum() > 500
    assert not holes(voxels).any()


def test_a_usual_value_is_no_hole():
    voxels = noise()
    voxels[HOLES["a box"]] = 0
    assert not holes(voxels, HoleRule(200.0, usual=(0.0,))).any()


@pytest.mark.parametrize("start", [5, 16, 40])
def test_all_but_the_first_of_repeated_planes_are_no_data(start):
    voxels = noise((48, 57, 67))
    voxels[start : start + 5] = voxels[start]
    expected = np.zeros(voxels.shape, bool)
    expected[start + 1 : start + 5] = True
    np.testing.assert_array_equal(holes(voxels), expected)


def test_a_part_of_a_plane_may_repeat():
    voxels = noise()
    voxels[20, 16:48, 8:40] = voxels[19, 16:48, 8:40]
    expected = np.zeros(voxels.shape, bool)
    expected[20, 16:48, 8:40] = True
    np.testing.assert_array_equal(holes(voxels), expected)


def test_flat_planes_do_not_repeat():
    assert repeated_voxels(np.zeros((9, 32, 32), np.uint16)) is None
    few = np.zeros((9, 32, 32), np.uint16)
    few[:, 10:14, 10:14] = 100  # the same few voxels in every plane
    assert repeated_voxels(few) is None


def test_a_hole_is_filled_with_what_borders_on_it():
    voxels = noise()
    intact = voxels.copy()
    voxels[20:23] = 0
    seen = looked(voxels)
    np.testing.assert_array_equal(seen.voxels[20:23], intact[[19, 18, 23]])
    np.testing.assert_array_equal(seen.voxels[:20], intact[:20])
    np.testing.assert_array_equal(seen.voxels[23:], intact[23:])


def test_fillings_look_like_tissue_up_to_32_voxels_deep():
    voxels = noise((96, 96, 96))
    voxels[8:88, 8:88, 8:88] = 0
    seen = looked(voxels)
    shallow, deep = seen.voxels[8:40], seen.voxels[41:55, 41:55, 41:55]
    assert abs(shallow.mean() - 200) < 0.5
    assert abs(shallow.std() - 7) < 0.3
    assert (deep == 0).all()
    assert seen.missing is not None
    assert seen.missing[8:88, 8:88, 8:88].all()


def test_holes_are_told_apart_and_placed():
    missing = np.zeros((20, 20, 20), bool)
    missing[2:4, 5:8, 6] = missing[10:, 10:, 10:] = True
    found = sorted(holes_of(missing, (100, 0, 0)), key=lambda one: one[1])
    assert found == [
        (Roi((102, 5, 6), (104, 8, 7)), 6),
        (Roi((110, 10, 10), (120, 20, 20)), 1000),
    ]


def test_a_glance_sees_what_a_look_sees():
    voxels = noise()
    voxels[HOLES["a box"]] = 0
    mended = MendedVolume(MemoryVolume(voxels), RULE)
    roi = Roi((0, 0, 0), (32, 32, 32))
    glance, look = mended.glance(roi), mended.look(roi)
    np.testing.assert_array_equal(glance.voxels, look.voxels)
    np.testing.assert_array_equal(glance.missing, look.missing)


def test_what_is_not_finite_is_filled_but_measured_as_such():
    voxels = noise(dtype=np.float32)
    voxels[HOLES["a box"]] = np.nan
    voxels[40:43] = 0
    seen = looked(voxels)
    assert np.isfinite(seen.voxels).all()
    assert seen.nonfinite_voxels == np.isnan(voxels).sum()
    measured = seen.measured()
    np.testing.assert_array_equal(np.isnan(measured.voxels), np.isnan(voxels))
    assert measured.missing is not None
    np.testing.assert_array_equal(measured.missing, voxels == 0)

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from blockseg.io.plausibility.values import doubtful_type

SHAPE = (24, 96, 96)


def noise(level, sd, seed=0):
    return np.random.default_rng(seed).normal(level, sd, SHAPE)


def axons(brightest, seed=0):
    """Return thin bright lines, blurred as by a microscope."""
    image = np.zeros(SHAPE)
    rng = np.random.default_rng(seed)
    for z, y in zip(rng.integers(4, 20, 6), rng.integers(8, 88, 6), strict=True):
        image[z - 1 : z + 2, y - 2 : y + 3] = 1
    image = ndimage.gaussian_filter(image, 1)
    return brightest * image / image.max()


def clipped(image, dtype):
    info = np.iinfo(dtype)
    return np.rint(image).clip(info.min, info.max).astype(dtype)


BRIGHT = {
    "up to the end": noise(200, 10) + axons(60000),
    "just beyond the middle": noise(200, 10) + axons(36000),
    "saturated": noise(200, 10) + axons(90000),
    "on a background of nothing": axons(50000) + np.abs(noise(0, 2)),
    "on a bright background": noise(20000, 800) + axons(30000),
    "on a background of half the range": noise(32768, 900),
    "of one value": np.where(axons(1) > 0.5, 40000, noise(200, 10)),
    "sharp, with noise": np.where(axons(1) > 0.5, noise(45000, 30), noise(200, 10)),
    "sharp, far up": np.where(axons(1) > 0.5, noise(60000, 30), noise(200, 10)),
}


@pytest.mark.parametrize("kind", BRIGHT)
def test_uint16_that_is_stored_as_int16_is_doubted(kind):
    image = clipped(BRIGHT[kind], np.uint16)
    found = doubtful_type(list(image.view(np.int16)))
    assert "--as uint16" in found
    assert "--as int16" in found
    assert doubtful_type(list(image)) == ""


BY_NATURE = {
    "background taken away": noise(0, 30) + axons(20000),
    "background taken away, saturated": noise(0, 300) + axons(50000),
    "much noise": noise(0, 3000),
    "some noise": noise(0, 1300),
    "ringing beside axons": noise(0, 20) + axons(25000) - 0.3 * axons(25000, 1),
    "moved to the lower end": noise(-32568, 10) + axons(60000),
    "moved, and tissue": np.where(
        np.arange(96) < 40, noise(-32568, 10), noise(300, 200)
    ),
    "moved, and bright": noise(-20000, 500) + axons(52000),
    "Hounsfield units": np.where(np.arange(96) < 60, noise(-1000, 20), noise(50, 30))
    + axons(1500),
    "no data around": np.where(np.arange(96) < 30, -32768, noise(500, 20)),
    "no data around, with axons": np.where(
        np.arange(96) < 10, -9999, noise(500, 20) + axons(30000)
    ),
    "all positive": noise(200, 10) + axons(32000),
    "one value": np.full(SHAPE, -5.0),
    "dark holes": noise(500, 20) - axons(2500),
}


@pytest.mark.parametrize("kind", BY_NATURE)
def test_data_that_are_signed_are_not_doubted(kind):
    assert doubtful_type(list(clipped(BY_NATURE[kind], np.int16))) == ""


@settings(max_examples=30)
@given(st.integers(0, 30000), st.integers(1, 400), st.integers(0, 30000))
def test_positive_data_are_never_doubted_as_either_type(level, sd, brightest):
    image = (noise(level, sd) + axons(brightest)).clip(0, 32000)
    assert doubtful_type(list(image.astype(np.int16))) == ""
    assert doubtful_type(list(image.astype(np.uint16))) == ""


def test_int16_that_is_stored_as_uint16_is_doubted():
    image = clipped(noise(0, 30) + axons(5000), np.int16)
    assert "--as int16" in doubtful_type(list(image.view(np.uint16)))


@pytest.mark.parametrize("level", [5, 200, 1000, 20000])
@pytest.mark.parametrize("dtype", [np.int16, np.uint16])
def test_bytes_in_the_wrong_order_are_doubted(level, dtype):
    image = clipped(noise(level, max(2, level / 30)) + axons(3000), np.uint16)
    found = doubtful_type(list(image.byteswap().view(dtype)))
    assert "two bytes in the other order" in found
    assert f"--as {np.dtype(dtype).name} if it is right" in found


@pytest.mark.parametrize("scale", [1, 2, 16, 64, 128, 255, 256, 257])
def test_data_of_fewer_bits_that_were_scaled_are_not_doubted(scale):
    image = clipped((noise(20, 3) + axons(200)).clip(0, 255) // 1 * scale, np.uint16)
    assert doubtful_type(list(image)) == ""
    assert doubtful_type(list(np.minimum(image + 128, 65535))) == ""


def test_labels_masks_and_other_types_are_not_doubted():
    labels = (axons(1) > 0.3).astype(np.uint16)
    for value in (1, 255, 256, 65535):
        assert doubtful_type(list(labels * value)) == ""
    assert doubtful_type(list(noise(0, 1).astype(np.float32))) == ""
    assert doubtful_type(list(labels.astype(np.uint8))) == ""
    assert doubtful_type([]) == ""


@pytest.mark.parametrize("kind", BRIGHT)
def test_what_is_said_depends_on_no_cut_and_no_order_of_bytes(kind):
    image = clipped(BRIGHT[kind], np.uint16).view(np.int16)
    said = doubtful_type(list(image))
    assert said
    halves = [half for plane in image for half in (plane[:40], plane[40:])]
    assert doubtful_type(halves) == said
    assert doubtful_type(list(image.astype(">i2"))) == said


def test_a_large_sample_takes_little_memory_beside_it():
    patches = list(noise(200, 30).astype(np.uint16)) * 60
    tracemalloc.start()
    doubtful_type(patches)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < sum(patch.nbytes for patch in patches) / 2

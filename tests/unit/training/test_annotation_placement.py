"""Right annotations are believed; shifted, turned and foreign ones are told."""

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from blockseg.core.geometry import Roi, to_zyx
from blockseg.core.labels import IGNORE
from blockseg.training.annotations.labels import LabelCodes
from blockseg.training.annotations.orientation import TURNED, Orientation
from blockseg.training.annotations.placement import Placement, local_contrast, placement

EDGE = 48


def neurites(
    seed: int, signal: float = 60.0, edge: int = EDGE
) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    """Return an image of crooked neurites on a drifting background, and their mask."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((edge,) * 3, np.uint8)
    for _ in range(9):
        place = rng.uniform(4, edge - 4, 3)
        step = rng.normal(size=3) * (0.3, 0.7, 1.0)  # no two axes are alike
        for _ in range(120):
            step += rng.normal(0, 0.2, 3) * (0.3, 0.7, 1.0)
            step /= np.linalg.norm(step)
            place += 0.7 * step
            if min(place) < 0 or max(place) > edge - 2:
                break
            z, y, x = place.astype(int)
            mask[z : z + 2, y : y + 2, x : x + 2] = 1
    drift = 40 * np.sin(np.arange(edge) / 20)[:, None, None]
    image = 300 + drift + signal * mask + rng.normal(0, 20, mask.shape)
    return image.astype(np.uint16), mask


def judged(image: NDArray[np.uint16], target: NDArray[np.uint8]) -> Placement:
    return placement(local_contrast(image), target)


seeds = st.integers(0, 2**16)


@given(seeds, st.sampled_from(["whole", "planes", "box", "one", "skeleton", "off"]))
@settings(max_examples=40)
def test_right_annotations_of_any_kind_raise_no_word(seed: int, kind: str) -> None:
    image, mask = neurites(seed)
    rng = np.random.default_rng(seed)
    target = mask.copy()
    if kind == "planes":
        target[:] = IGNORE
        target[5::10] = mask[5::10]
    elif kind == "box":
        target[:] = IGNORE
        target[:24, 10:34, 12:40] = mask[:24, 10:34, 12:40]
    elif kind == "one":  # of several neurites one is annotated, and no background
        target[:] = IGNORE
        target[:, :, 10:30][mask[:, :, 10:30] == 1] = 1
    elif kind == "skeleton":
        target[rng.uniform(size=mask.shape) < 0.5] = 0
    elif kind == "off":
        target = np.roll(target, rng.integers(-1, 2, 3), (0, 1, 2))
    assert judged(image, target).verdict in ("fits", "unknown")


def test_an_annotation_that_fits_is_told_from_one_that_tells_nothing() -> None:
    image, mask = neurites(1)
    assert judged(image, mask).verdict == "fits"
    few = np.zeros_like(mask)
    few[tuple(np.argwhere(mask)[0])] = 1
    assert judged(image, few).verdict in ("fits", "unknown")
    assert judged(image, np.zeros_like(mask)).verdict == "unknown"
    assert judged(image, np.ones_like(mask)).verdict == "unknown"
    assert judged(np.full_like(image, 7), mask).verdict == "unknown"


@given(seeds, st.sampled_from(TURNED))
@settings(max_examples=60)
def test_any_transposition_and_mirroring_is_named(
    seed: int, orientation: Orientation
) -> None:
    image, mask = neurites(seed)
    found = judged(image, np.ascontiguousarray(orientation.turned(mask)))
    assert found.verdict == "turned"
    assert found.orientation == orientation
    assert found.best > 2 * found.score


@given(seeds, st.integers(0, 2), st.sampled_from([-16, -11, -8, 8, 11, 16]))
@settings(max_examples=40)
def test_a_shift_is_named_with_its_way_back(seed: int, axis: int, by: int) -> None:
    image, mask = neurites(seed)
    found = judged(image, np.roll(mask, by, axis))
    assert found.verdict == "moved"
    assert found.shift == tuple(-by if a == axis else 0 for a in range(3))


def test_of_annotations_of_other_volumes_most_are_told() -> None:
    found = [
        judged(neurites(seed, edge=64)[0], neurites(seed + 100, edge=64)[1]).verdict
        for seed in range(20)
    ]
    assert sum(verdict in ("nowhere", "moved", "turned") for verdict in found) >= 14


@given(seeds)
@settings(max_examples=20)
def test_what_is_darker_than_its_surroundings_is_told(seed: int) -> None:
    image, mask = neurites(seed, signal=-60.0)
    assert judged(image, mask).verdict == "dark"
    image, mask = neurites(seed)
    assert judged(image, 1 - mask).verdict == "dark"


def test_voxels_that_are_no_numbers_change_nothing() -> None:
    image, mask = neurites(3)
    broken = image.astype(np.float32)
    broken[0, 0, :5] = np.nan, np.inf, -np.inf, np.nan, np.nan
    assert placement(local_contrast(broken), mask).verdict == "fits"


@given(
    st.sampled_from(TURNED),
    st.tuples(*[st.integers(3, 9)] * 3),
    st.tuples(*[st.integers(0, 2)] * 3),
)
def test_a_region_of_a_turned_annotation_is_found_in_the_image(
    orientation: Orientation, shape: tuple[int, ...], low: tuple[int, ...]
) -> None:
    image = np.arange(np.prod(shape)).reshape(shape)
    seen = orientation.turned(image)
    assert seen.shape == orientation.shape(to_zyx(shape))
    roi = Roi(to_zyx(low), to_zyx(seen.shape))
    source = orientation.source(roi, to_zyx(seen.shape))
    np.testing.assert_array_equal(
        orientation.turned(image[source.slices()]), seen[roi.slices()]
    )


def test_orientations_are_47_and_said_in_words() -> None:
    assert len(set(TURNED)) == 47
    said = {str(one) for one in TURNED}
    assert len(said) == 47
    assert "with z and x swapped" in said
    assert "mirrored along y" in said
    assert "with its axes taken for y, x, z and mirrored along z and x" in said
    assert all(sorted(one.order) == [0, 1, 2] for one in TURNED)
    assert {one.order for one in TURNED} == set(permutations(range(3)))


@pytest.mark.parametrize("scale", [1, 0.01])
def test_grey_levels_of_any_scale_are_judged_alike(scale: float) -> None:
    image, mask = neurites(5)
    grey = (image * scale).astype(np.float32)
    assert placement(local_contrast(grey), mask).verdict == "fits"


@pytest.mark.parametrize("volume", ["trailmap_train", "dlmb_B", "confocal_dendrite"])
def test_real_annotations_fit_and_are_told_when_mirrored(
    shared_data: Path, volume: str
) -> None:
    folder = shared_data / "real" / volume
    image = tifffile.imread(folder / "image.tif")
    (label,) = (f for f in folder.glob("*.tif") if f.name != "image.tif")
    target = tifffile.imread(label)
    if volume == "trailmap_train":
        target = LabelCodes({0: 255, 1: 0, 2: 1, 4: 255}).codes(target)
    contrast = local_contrast(image)
    assert placement(contrast, target).verdict == "fits"
    for axis in range(3):
        found = placement(contrast, np.ascontiguousarray(np.flip(target, axis)))
        assert found.verdict == "turned"
        assert found.orientation is not None
        assert str(found.orientation) == f"mirrored along {'zyx'[axis]}"

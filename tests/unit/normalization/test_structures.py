"""Width and contrast of tubes that were drawn."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from blockseg.core.space import Space
from blockseg.io.protocol import MemoryVolume
from blockseg.io.sample import sample_planes
from blockseg.normalization.background import estimate_background
from blockseg.normalization.structures import (
    Structures,
    half_depth,
    measure_structures,
)
from blockseg.suitability.advice import advised, advised_factors, advised_weights
from blockseg.suitability.sampled import Sampled

if TYPE_CHECKING:
    from numpy.typing import NDArray


def tubes(radius: float, height: float, level: float = 1000.0) -> NDArray[Any]:
    """Tubes along a diagonal of y and x, on noise of SD 10; uint16."""
    shape, apart = (32, 192, 192), 64
    rng = np.random.default_rng(0)
    data = rng.normal(level, 10, shape) if level else np.zeros(shape)
    z, y, x = np.indices(shape)
    off = (y - x + apart / 2) % apart - apart / 2
    data[off**2 / 2 + (z - 16.0) ** 2 <= radius**2] += height
    return data.astype(np.uint16)


def measured(data: NDArray[Any]) -> Structures:
    patches = sample_planes(MemoryVolume(data)).patches
    return measure_structures(patches, estimate_background(patches, data.dtype))


def test_thin_tubes_are_a_voxel_or_two_wide() -> None:
    found = measured(tubes(1, 200))
    assert found.half_width is not None
    assert 1 <= found.half_width <= 2


def test_thick_tubes_are_as_wide_as_they_were_drawn() -> None:
    found = measured(tubes(7, 200))
    assert found.half_width is not None
    assert 5 <= found.half_width <= 8.5


@pytest.mark.parametrize("height", [100, 500])
def test_contrast_is_counted_in_noise_sds(height: int) -> None:
    found = measured(tubes(5, height))
    assert found.contrast is not None
    assert found.contrast_high is not None
    assert found.contrast == pytest.approx(height / 10, rel=0.2)
    assert found.contrast_high > found.contrast


def test_noise_alone_has_neither_width_nor_contrast_to_speak_of() -> None:
    found = measured(tubes(0, 0))
    assert found.half_width is None
    assert found.share < 1e-3


def test_a_background_of_exactly_0_has_no_contrast_but_a_width() -> None:
    found = measured(tubes(7, 200, level=0))
    assert found.contrast is None
    assert found.half_width is not None
    assert 5 <= found.half_width <= 8.5


def test_zeros_around_the_tissue_are_not_its_background() -> None:
    inside = measured(tubes(3, 300))
    padded = np.pad(tubes(3, 300), ((0, 0), (0, 256), (0, 256)))
    found = measured(padded)
    assert found.contrast == pytest.approx(inside.contrast, rel=0.2)
    assert found.half_width == pytest.approx(inside.half_width, abs=1)


def test_specks_count_for_nothing() -> None:
    data = tubes(0, 0)
    data[:, ::16, ::16] += 500
    data[:, 1::16, ::16] += 500
    assert measured(data).half_width is None


def test_an_empty_sample_shows_nothing() -> None:
    found = measure_structures([], estimate_background([], "uint16"))
    assert found == Structures(0.0, None, None, None, None)


@pytest.mark.parametrize(
    ("half_width", "factor"), [(1, 1), (3.5, 1), (3.6, 2), (6, 2), (6.1, 4), (13, 8)]
)
def test_thick_structures_are_brought_to_the_width_that_weights_know(
    half_width: float, factor: int
) -> None:
    assert advised_factors(half_width, Space()) == (factor,) * 3
    assert factor == 1 or 1.5 <= half_width / factor <= 3


@pytest.mark.parametrize(
    ("z", "along"), [(0.5, 4), (1.0, 2), (2.0, 1), (5.0, 1), (0.2, 4)]
)
def test_planes_that_lie_far_apart_are_not_averaged(z: float, along: int) -> None:
    space = Space((z, 0.5, 0.5), "micrometer")
    assert advised_factors(10, space) == (along, 4, 4)


@pytest.mark.parametrize(("planes", "depth"), [(1, 1), (3, 2), (7, 4)])
def test_depth_is_counted_in_planes_from_the_middle(planes: int, depth: float) -> None:
    box = np.random.default_rng(0).normal(0, 1, (25, 64, 64)).astype(np.float32)
    box[12 - planes // 2 : 13 + planes // 2, 30:34] += 100
    assert half_depth([box]) == pytest.approx(depth, abs=0.25)
    assert half_depth([box, box, box]) == half_depth([box])
    assert half_depth([]) is None


@pytest.mark.parametrize(
    ("depth", "along"), [(1, 1), (2.9, 1), (3, 2), (5.9, 2), (6, 4)]
)
def test_averaging_along_z_leaves_planes_and_a_half_of_a_structure(
    depth: float, along: int
) -> None:
    assert advised_factors(10, Space(), depth) == (along, 4, 4)


def structures(
    wide: float | None, high: float | None, middle: float = 3.0
) -> Structures:
    contrast = None if high is None else high / 3
    return Structures(0.05, middle, wide, contrast, high, wide)


@pytest.mark.parametrize(
    ("wide", "high", "middle", "name"),
    [
        (3.6, 37, 2.24, "dendrites"),
        (5.0, None, 3.6, "dendrites"),
        (2.0, 200, 2.0, "axons"),
        (5.0, 12, 3.0, "axons"),
        (None, 100, 3.0, "axons"),
        # Axons of a light-sheet brain, beside the dendrites of a neuron.
        (3.6, 28, 2.0, "axons"),
        (4.0, 88, 2.0, "axons"),
    ],
)
def test_weights_for_dendrites_are_for_what_is_wide_and_bright(
    wide: float | None, high: float | None, middle: float, name: str
) -> None:
    assert advised_weights(structures(wide, high, middle)) == name


def test_nothing_is_advised_for_cells_alone_and_for_too_much() -> None:
    long = structures(3.6, 37)
    assert advised(Sampled(long, 2.1, 0.0), Space()) == ("dendrites", (1, 2, 2))
    for seen in (replace(long, neurite_width=None), replace(long, share=0.26)):
        assert advised(Sampled(seen, 2.1, 0.0), Space()) is None

"""A mask of any resolution against a voxel by voxel oracle."""

from __future__ import annotations

import itertools
import math
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockseg.core.geometry import Roi
from blockseg.core.grid import BlockGrid
from blockseg.core.space import Space
from blockseg.io.masks import sampler as mask_module
from blockseg.io.masks.overlay import Overlay
from blockseg.io.masks.sampler import MaskSampler
from blockseg.io.protocol import ConstantVolume, MemoryVolume

shapes = st.tuples(*[st.integers(1, 24)] * 3)
sizes = st.tuples(*[st.sampled_from([0.25, 0.5, 1.0, 1.3, 2.0, 5.0])] * 3)
places = st.tuples(*[st.sampled_from([-7.0, -0.5, 0.0, 0.37, 3.0])] * 3)
units: st.SearchStrategy[Literal["micrometer"] | None] = st.sampled_from(
    ["micrometer", None]
)


def oracle(
    mask: np.ndarray, mask_space: Space, shape: tuple[int, ...], space: Space
) -> np.ndarray:
    """Whether each voxel lies inside, one by one."""
    physical = mask_space.unit is not None and space.unit is not None
    placed = any(mask_space.translation)
    elsewhere = any(
        not 0 <= p < s / 2
        for p, s in zip(space.translation, space.voxel_size, strict=True)
    )
    shared = []
    for n, m, s, t, p, q in zip(
        shape, mask.shape, space.voxel_size, mask_space.voxel_size,
        space.translation, mask_space.translation, strict=True,
    ):  # fmt: skip
        same_length = abs(n * s - m * t) < max(s, t) - 1e-6
        shared.append(same_length and not (placed and abs(p - q) >= max(s, t) - 1e-6))
    out = np.zeros(shape, bool)
    for voxel in np.ndindex(*shape):
        place = []
        for k, i in enumerate(voxel):
            if physical and shared[k]:
                away = (i + 0.5) * space.voxel_size[k] / mask_space.voxel_size[k]
                place.append(min(math.floor(away), mask.shape[k] - 1))
            elif physical and not placed and not elsewhere:
                place.append(
                    math.floor(
                        (i + 0.5) * space.voxel_size[k] / mask_space.voxel_size[k]
                    )
                )
            elif physical:
                centre = space.translation[k] + i * space.voxel_size[k]
                away = (centre - mask_space.translation[k]) / mask_space.voxel_size[k]
                place.append(math.floor(away + 0.5))
            else:
                place.append((2 * i + 1) * mask.shape[k] // (2 * shape[k]))
        inside = all(0 <= p < n for p, n in zip(place, mask.shape, strict=True))
        out[voxel] = inside and bool(mask[tuple(place)])
    return out


@st.composite
def cases(draw: st.DrawFn) -> tuple[Any, ...]:
    shape = draw(shapes)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    mask = (rng.random(draw(shapes)) < draw(st.sampled_from([0.02, 0.3, 1.0]))) * 3
    mask_space = Space(draw(sizes), draw(units), draw(places))
    space = Space(draw(sizes), draw(units), draw(places))
    ends = [sorted(draw(st.tuples(*[st.integers(0, n - 1)] * 2))) for n in shape]
    roi = Roi(
        (ends[0][0], ends[1][0], ends[2][0]),
        (ends[0][1] + 1, ends[1][1] + 1, ends[2][1] + 1),
    )
    block = draw(st.tuples(*[st.sampled_from([1, 4, 8, 16])] * 3))
    return mask.astype("u1"), mask_space, shape, space, roi, block


@settings(max_examples=60, deadline=None)
@given(case=cases(), slab=st.sampled_from([1, 7, 100, 2**25]))
def test_every_voxel_takes_the_nearest_mask_voxel_whatever_the_blocks(
    case: tuple[Any, ...], slab: int
) -> None:
    mask, mask_space, shape, space, roi, block = case
    expected = oracle(mask, mask_space, shape, space)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mask_module, "_SLAB", slab)
        sampler = MaskSampler(MemoryVolume(mask, mask_space), shape, space)
        np.testing.assert_array_equal(sampler.inside(roi), expected[roi.slices()])
        grid = BlockGrid(shape, block, roi=roi)
        occupied = sampler.occupied(grid)
    assert occupied.shape == grid.counts
    for cell in grid:
        assert occupied[cell.index] == expected[cell.write_roi.slices()].any()


@settings(max_examples=60, deadline=None)
@given(
    factors=st.tuples(*[st.sampled_from([1, 2, 3, 4, 16])] * 3),
    counts=st.tuples(*[st.integers(1, 4)] * 3),
    more=st.tuples(*[st.integers(0, 15)] * 3),
    up=st.tuples(*[st.booleans()] * 3),
    fine=st.sampled_from([0.35, 1.0, 1.8]),
    corrected=st.booleans(),
    place=st.sampled_from([(0.0, 0.0, 0.0), (7.0, 0.0, -130.0)]),
)
def test_a_mask_of_a_pyramid_covers_its_volume_with_and_without_translations(
    factors: tuple[int, int, int],
    counts: tuple[int, int, int],
    more: tuple[int, int, int],
    up: tuple[bool, bool, bool],
    fine: float,
    corrected: bool,
    place: tuple[float, float, float],
) -> None:
    rests = [m % f for m, f in zip(more, factors, strict=True)]
    shape = tuple(n * f + r for n, f, r in zip(counts, factors, rests, strict=True))
    ceil = [n + (u and r > 0) for n, u, r in zip(counts, up, rests, strict=True)]
    rng = np.random.default_rng(0)
    mask = (rng.random(ceil) < 0.5).astype("u1")
    coarse = tuple(fine * f for f in factors)
    shift = tuple(
        p + fine * (f - 1) / 2 * corrected for p, f in zip(place, factors, strict=True)
    )
    covering = np.kron(mask, np.ones(factors, "u1"))
    padding = [(0, max(n - k, 0)) for n, k in zip(shape, covering.shape, strict=True)]
    covering = np.pad(covering, padding, mode="edge")[tuple(map(slice, shape))]
    sampler = MaskSampler(
        MemoryVolume(mask, Space(coarse, "micrometer", shift)),  # type: ignore[arg-type]
        shape,  # type: ignore[arg-type]
        Space((fine,) * 3, "micrometer", place),
    )
    found = sampler.inside(Roi.whole(shape))
    np.testing.assert_array_equal(found, covering.astype(bool))


def test_a_mask_without_a_place_is_laid_over_a_volume_of_its_extent() -> None:
    mask = MemoryVolume(np.ones((8, 8, 8), "u1"), Space((16.0,) * 3, "micrometer"))
    space = Space((1.0,) * 3, "micrometer", (4000.0, 0.0, 1000.0))
    overlay = Overlay.of(mask, (128, 128, 128), space)
    assert overlay.beyond(Roi.whole((128, 128, 128))) == 0
    assert overlay.moved()


def test_a_mask_of_the_same_extent_that_lies_elsewhere_stays_there() -> None:
    there = Space((4.0,) * 3, "micrometer", (0.0, 0.0, 16.0))
    mask = MemoryVolume(np.ones((8, 8, 8), "u1"), there)
    overlay = Overlay.of(mask, (32, 32, 32), Space((1.0,) * 3, "micrometer"))
    assert overlay.beyond(Roi.whole((32, 32, 32))) == pytest.approx(14 / 32)


def test_what_a_mask_does_not_reach_is_counted() -> None:
    mask = MemoryVolume(np.ones((8, 8, 6), "u1"), Space((16.0,) * 3, "micrometer"))
    overlay = Overlay.of(mask, (128, 128, 128), Space((1.0,) * 3, "micrometer"))
    inside = MaskSampler(mask, (128, 128, 128), Space((1.0,) * 3, "micrometer"))
    region = Roi((0, 0, 0), (128, 128, 128))
    assert overlay.beyond(region) == pytest.approx(0.25)
    assert overlay.beyond(region) == pytest.approx(1 - inside.inside(region).mean())
    assert overlay.beyond(Roi((0, 0, 0), (128, 128, 64))) == 0
    assert overlay.beyond(Roi((0, 0, 96), (128, 128, 128))) == 1


@pytest.mark.parametrize("unit", ["micrometer", None])
def test_axes_that_fit_only_in_another_order_are_found(unit: Any) -> None:
    space = Space((1.5, 1.0, 1.0), unit)
    shape = (64, 128, 200)
    for order in itertools.permutations(range(3)):
        sizes = [16 * space.voxel_size[k] for k in order]
        counts = [math.ceil(shape[k] / 16) for k in order]
        mask = MemoryVolume(
            np.ones(counts, "u1"), Space((sizes[0], sizes[1], sizes[2]), unit)
        )
        turned = Overlay.of(mask, shape, space).turned()
        expected = None if order == (0, 1, 2) else tuple(np.argsort(order))
        assert turned == expected


def test_voxels_are_found_turned_whose_sizes_were_not() -> None:
    mask = MemoryVolume(
        np.ones((13, 8, 4), "u1"), Space((24.0, 16.0, 16.0), "micrometer")
    )
    space = Space((1.5, 1.0, 1.0), "micrometer")
    assert Overlay.of(mask, (64, 128, 200), space).turned() == (2, 1, 0)


def test_masks_that_differ_in_more_than_their_order_are_not_said_to_be_turned() -> None:
    for counts in [(64, 16, 25), (8, 8, 8), (1, 1, 1), (64, 64, 64), (5, 128, 256)]:
        mask = MemoryVolume(np.ones(counts, "u1"))
        assert Overlay.of(mask, (64, 128, 200), Space()).turned() is None


def test_a_mask_of_the_same_shape_is_taken_as_it_is() -> None:
    mask = np.random.default_rng(0).integers(0, 2, (5, 6, 7)).astype(bool)
    sampler = MaskSampler(MemoryVolume(mask), mask.shape, Space())
    np.testing.assert_array_equal(sampler.inside(Roi.whole(mask.shape)), mask)


def test_nan_in_a_mask_is_outside() -> None:
    mask = np.array([[[np.nan, 0.0, 0.5]]], "f4")
    sampler = MaskSampler(MemoryVolume(mask), (1, 1, 3), Space())
    assert sampler.inside(Roi.whole((1, 1, 3))).ravel().tolist() == [False, False, True]


def test_a_mask_too_large_to_read_before_a_run_counts_as_full() -> None:
    mask = ConstantVolume((2000, 2000, 2000), np.dtype("u1"), 0)
    sampler = MaskSampler(mask, (2000, 2000, 2000), Space())
    grid = BlockGrid((2000, 2000, 2000), (500, 500, 500))
    assert sampler.occupied(grid).all()
    assert not sampler.inside(Roi((0, 0, 0), (4, 4, 4))).any()


def test_the_blocks_of_a_whole_brain_are_found_with_few_reads() -> None:
    reads = []

    class Counting(MemoryVolume):
        def read(self, roi: Roi) -> np.ndarray:
            reads.append(roi)
            return super().read(roi)

    mask = np.zeros((128, 256, 256), "u1")
    mask[40:80, 100:160, 60:200] = 1
    shape = (8192, 16384, 16384)
    grid = BlockGrid(shape, (256, 256, 256))
    occupied = MaskSampler(Counting(mask), shape, Space()).occupied(grid)
    assert len(reads) == 1
    expected = mask.reshape(32, 4, 64, 4, 64, 4).any(axis=(1, 3, 5))
    np.testing.assert_array_equal(occupied, expected)

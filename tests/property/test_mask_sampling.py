"""A mask of any resolution against a voxel by voxel oracle."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockseg.core.geometry import Roi
from blockseg.core.grid import BlockGrid
from blockseg.core.space import Space
from blockseg.volume import ConstantVolume, MaskSampler, MemoryVolume
from blockseg.volume import mask as mask_module

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
    out = np.zeros(shape, bool)
    for voxel in np.ndindex(*shape):
        place = []
        for k, i in enumerate(voxel):
            if physical:
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

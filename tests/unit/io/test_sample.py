from __future__ import annotations

import itertools

import numpy as np
import pytest

from blockseg.core.errors import VolumeError
from blockseg.core.geometry import Roi
from blockseg.io.protocol import MemoryVolume
from blockseg.io.sample import sample_planes, sample_rois


def test_large_volumes_give_16_planes_of_64_patches() -> None:
    rois = sample_rois((1000, 2000, 1500))
    assert len(rois) == 16 * 64
    assert {roi.shape for roi in rois} == {(1, 64, 64)}
    assert sorted({roi.start[0] for roi in rois}) == [
        int((i + 0.5) * 1000 / 16) for i in range(16)
    ]


@pytest.mark.parametrize(("length", "patches"), [(2303, 8), (2304, 9), (99_999, 24)])
def test_wide_planes_give_a_patch_in_256_voxels_up_to_24(
    length: int, patches: int
) -> None:
    rois = sample_rois((1, length, 64))
    assert len(rois) == patches


def test_small_volumes_are_taken_whole() -> None:
    assert sample_rois((1, 1, 1)) == [Roi((0, 0, 0), (1, 1, 1))]
    assert sample_rois((3, 60, 64)) == [
        Roi((z, 0, 0), (z + 1, 60, 64)) for z in range(3)
    ]


@pytest.mark.parametrize(
    "length", [1, 63, 64, 65, 127, 128, 500, 511, 512, 513, 10_007]
)
def test_patches_lie_inside_and_never_overlap(length: int) -> None:
    rois = list(sample_rois((1, length, 64)))
    spans = [(roi.start[1], roi.stop[1]) for roi in rois]
    assert spans[0][0] >= 0
    assert spans[-1][1] <= length
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))
    assert len(spans) == min(24 if length == 10_007 else 8, max(1, length // 64))


def test_patches_come_in_a_fixed_order() -> None:
    array = np.random.default_rng(0).integers(0, 999, (20, 200, 130)).astype("u2")
    volume = MemoryVolume(array)
    rois = sample_rois(volume.shape)
    for threads in (1, 7):
        sample = sample_planes(volume, threads)
        assert sample.unreadable == ()
        for roi, patch in zip(rois, sample.patches, strict=True):
            np.testing.assert_array_equal(patch, array[roi.slices()][0])


def test_unreadable_patches_are_recorded_with_their_place_and_reason() -> None:
    class Torn(MemoryVolume):
        def read(self, roi: Roi) -> np.ndarray:
            if roi.start[0] == 2:
                raise VolumeError("torn here")
            return self.array[roi.slices()]

    sample = sample_planes(Torn(np.zeros((5, 10, 10), "u1")))
    assert len(sample.patches) == 4
    assert sample.unreadable == (("2:3,0:10,0:10", "torn here"),)

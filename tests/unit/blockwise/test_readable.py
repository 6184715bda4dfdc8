from dataclasses import replace

import numpy as np
import pytest

from blockseg.blockwise.sources.readable import readable_sample, unreadable_problem
from blockseg.blockwise.sources.restored import Levels, other_background, other_skipping
from blockseg.core.errors import VolumeError
from blockseg.core.geometry import Roi
from blockseg.io.protocol import MemoryVolume
from blockseg.io.sample import sample_planes
from blockseg.normalization.finding import BackgroundFinding


class Torn:
    """A volume of which a box cannot be read."""

    def __init__(self, voxels, bad):
        self._volume = MemoryVolume(voxels)
        self._bad = bad
        self.shape, self.dtype = voxels.shape, voxels.dtype
        self.chunk_shape = (1, 1, 1)

    def read(self, roi):
        if roi.intersection(self._bad).size:
            message = f"chunk at {roi} is torn"
            raise VolumeError(message, f"file {roi.start[0] // 8}")
        return self._volume.read(roi)


def torn(bad, step=0.0):
    patch = np.random.default_rng(0).normal(200, 10, (64, 64))
    voxels = np.tile(patch, (32, 4, 4))
    voxels[:, :, 128:] -= step
    return Torn(voxels.astype(np.uint16), bad)


def test_few_samples_like_all_others_are_passed_over():
    sample = readable_sample(torn(Roi((0, 0, 0), (8, 64, 64))))
    assert len(sample.unreadable) == 4
    assert sample.damaged == ("file 0",)


def test_as_many_of_a_volume_that_is_not_alike_are_refused():
    volume = torn(Roi((0, 0, 0), (16, 64, 64)), step=60)
    with pytest.raises(VolumeError, match=r"8 of 256 samples .* noise SDs") as caught:
        readable_sample(volume)
    assert "is torn; likewise file 1; or give" in str(caught.value)
    assert "--normalization b,s" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_more_than_a_quarter_is_refused_however_alike_it_is():
    quarter = sample_planes(torn(Roi((0, 0, 0), (8, 256, 256))))
    assert unreadable_problem(quarter, np.uint16) == ""
    more = sample_planes(torn(Roi((0, 0, 0), (12, 256, 256))))
    assert "too many" in unreadable_problem(more, np.uint16)


def test_nothing_that_can_be_read_is_refused():
    with pytest.raises(VolumeError, match="256 of 256 samples"):
        readable_sample(torn(Roi((0, 0, 0), (32, 256, 256))))


def test_another_estimate_is_said_only_where_it_could_have_changed():
    was = Levels(176.0, 7.21)
    now = Levels(178.0, 7.75)
    assert other_background(was, 0, "", lambda: now) == ()
    assert other_background(was, 3, "", lambda: replace(was)) == ()
    assert (
        other_background(Levels.of(BackgroundFinding("published")), 0, "a", lambda: now)
        == ()
    )
    (line,) = other_background(was, 3, "", lambda: now)
    assert "without 3 samples" in line
    assert "176 and 7.21" in line
    assert "178 and 7.75" in line
    (line,) = other_background(was, 0, "c/0/0/1", lambda: now)
    assert "before the source changed (c/0/0/1)" in line

    def unreadable():
        raise VolumeError("torn")

    assert other_background(was, 3, "", unreadable) == ()


def test_what_is_skipped_is_doubted_only_where_the_source_was_replaced():
    assert other_skipping(True, "") == other_skipping(False, "c/0/0/1") == ()
    assert "c/0/0/1" in other_skipping(True, "c/0/0/1")[0]

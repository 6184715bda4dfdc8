"""What a run decides of holes, and how it tells them."""

import json

import numpy as np

from blockseg.blockwise.block_holes import FoundHole, hole_lines, hole_outcome, holes_in
from blockseg.blockwise.sources.holes import holes_in_sample
from blockseg.core.geometry import Roi
from blockseg.core.holes import Hole, HoleRule
from blockseg.io.holes.mended_volume import Seen
from blockseg.io.protocol import MemoryVolume
from blockseg.io.sample import sample_planes


def noise(shape=(64, 128, 128), dtype=np.uint16):
    values = np.random.default_rng(0).normal(200, 7, shape)
    return np.rint(values).astype(dtype)


def rule(voxels):
    volume = MemoryVolume(voxels)
    return holes_in_sample(volume, sample_planes(volume)).rule


def test_noise_may_have_holes_of_every_kind():
    found = rule(noise())
    assert found is not None
    assert (found.flat, found.repeats, found.usual) == (True, True, ())
    assert abs(found.level - 200) < 2


def test_what_most_of_a_volume_has_is_its_background():
    voxels = noise()
    voxels[:, :, :80] = 0
    found = rule(voxels)
    assert found is not None
    assert found.usual == (0.0,)
    assert found.flat
    floats = voxels.astype(np.float32)
    floats[:, :, :80] = np.nan
    found = rule(floats)
    assert found is not None
    assert found.usual_nan
    assert not found.holds(floats[:1, :1, :1]).any()


def test_a_volume_without_noise_has_no_flat_holes():
    cartoon = np.random.default_rng(0).integers(0, 9, (8, 8, 8)).astype(np.uint8)
    cartoon = cartoon.repeat(16, 0).repeat(16, 1).repeat(16, 2)
    found = rule(cartoon)
    assert found is None or not found.flat
    assert rule(np.full((64, 64, 64), 7, np.uint8)) is None


def test_a_stretched_volume_repeats_no_planes():
    for times in (2, 3):
        found = rule(noise().repeat(times, axis=0))
        assert found is not None
        assert not found.repeats


def test_the_sample_of_a_volume_without_holes_is_as_it_is():
    volume = MemoryVolume(noise())
    sample = sample_planes(volume)
    assert holes_in_sample(volume, sample).patches is sample.patches


def test_a_rule_survives_being_written():
    kept = HoleRule(200.5, usual=(0.0,), usual_nan=True, repeats=False)
    assert HoleRule.from_plain(json.loads(json.dumps(kept.to_plain()))) == kept
    assert HoleRule.from_plain(None) is None


def test_parts_of_a_hole_in_several_blocks_are_one():
    parts = [
        Hole(Roi((10, 0, 0), (13, 64, 64)), 12288),
        Hole(Roi((10, 64, 0), (13, 128, 64)), 12288),
        Hole(Roi((40, 0, 0), (50, 10, 10)), 1000),
    ]
    outcome = hole_outcome(parts, 1_000_000)
    assert outcome is not None
    assert outcome.voxels == 25576
    assert outcome.count == 2
    assert outcome.largest == (
        FoundHole("10:13,0:128,0:64", 24576),
        FoundHole("40:50,0:10,0:10", 1000),
    )
    (line,) = hole_lines(outcome)
    assert "25,576 voxels (2.6 %) are no data" in line
    assert "z 10:13, y 0:128, x 0:64; z 40:50" in line
    assert hole_outcome([], 100) is None
    assert hole_lines(None) == ()


def test_a_block_tells_at_most_so_many_holes_and_all_their_voxels():
    missing = np.zeros((40, 40, 40), bool)
    missing[::5, ::5, ::5] = True
    found = holes_in(Seen(missing, missing), Roi.whole(missing.shape))
    assert len(found) == 32
    assert sum(hole.voxels for hole in found) == missing.sum()

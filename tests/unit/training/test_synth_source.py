"""Patches of synthetic brains are functions of their number."""

import pickle

import numpy as np
import pytest

from blockseg.core.errors import ConfigError
from blockseg.core.geometry import Roi
from blockseg.core.labels import IGNORE
from blockseg.core.specs import Affine
from blockseg.synthetic.fields import stream
from blockseg.synthetic.presets import preset
from blockseg.training.annotations.labels import RING
from blockseg.training.data.data import DataConfig
from blockseg.training.data.synth_source import (
    HELD_OUT_SEEDS,
    LANES,
    SynthPatches,
    _step,
    held_out_brain,
    make_brain,
    parse,
)


def patches(kind: str = "clean", seed: int = 1, batch: int = 2) -> SynthPatches:
    return SynthPatches(kind, DataConfig(seed=seed, patch=16, batch=batch))


def test_a_patch_depends_on_seed_and_number_and_not_on_what_was_asked_before() -> None:
    source = patches()
    there = [source.patch(n, stream(7, n)) for n in range(4)]
    back = [pickle.loads(pickle.dumps(source)).patch(n, stream(7, n)) for n in (3, 1)]
    for number, (image, target) in zip((3, 1), back, strict=True):
        np.testing.assert_array_equal(image, there[number][0])
        np.testing.assert_array_equal(target, there[number][1])
    other = [patches(seed=2).patch(n, stream(7, n))[0] for n in range(4)]
    assert any((a[0] != b).any() for a, b in zip(there, other, strict=True))


def test_patches_are_clipped_cubes_with_known_codes() -> None:
    source = patches("random")
    for number in range(4):
        image, target = source.patch(number, stream(8, number))
        assert image.shape == target.shape == (16, 16, 16)
        assert image.dtype == np.float32
        assert target.dtype == np.uint8
        assert np.isfinite(image).all()
        assert -5 <= image.min() <= image.max() <= 20
        assert set(np.unique(target)) <= {0, 1, RING, IGNORE}


def test_a_flat_brain_is_every_third_plane_of_a_brain_three_times_as_deep() -> None:
    flat = make_brain((32, 64, 64), preset("fmost"), 3, step=3)
    whole = make_brain((96, 64, 64), preset("fmost"), 3)
    np.testing.assert_array_equal(flat.image, whole.image[::3])
    np.testing.assert_array_equal(flat.target, whole.target[::3])


def test_random_brains_are_of_one_to_three_planes_a_step_and_presets_of_one() -> None:
    assert {_step("random", stream(5, n)) for n in range(40)} == {1, 2, 3}
    assert {_step("fmost", stream(5, n)) for n in range(40)} == {1}


def brains(numbers: list[int], batch: int, share: float = 1.0) -> set[int]:
    source = SynthPatches("clean", DataConfig(patch=16, batch=batch), share)
    return {source._number_of_brain(n, stream(9, n)) for n in numbers}


@pytest.mark.parametrize("processes", [2, 3, 4, 6, 12])
def test_processes_that_take_turns_by_batch_make_no_brain_twice(processes: int) -> None:
    batch = 4
    taken = [
        [n for n in range(600) if n // batch % processes == process]
        for process in range(processes)
    ]
    made = [brains(numbers, batch) for numbers in taken]
    assert sum(map(len, made)) == len(set().union(*made))


def test_a_brain_gives_about_four_patches_whatever_the_share() -> None:
    for share in (1.0, 0.25):
        numbers = [n for n in range(2400) if stream(3, n).uniform() < share]
        made = len(brains(numbers, 4, share))
        assert 2.8 < len(numbers) / made < 5


def test_brains_follow_each_other_so_that_few_are_held_at_a_time() -> None:
    for first in (0, 2000, 4000):
        now = brains(list(range(first, first + 4 * LANES)), 4)
        assert len(now) <= 5 * LANES
        assert not now & brains(list(range(first + 1500, first + 1600)), 4)


def test_held_out_brains_are_the_same_for_every_training_and_never_trained_on() -> None:
    first = held_out_brain("clean", 0, (16, 16, 16))
    again = held_out_brain("clean", 0, (16, 16, 16))
    np.testing.assert_array_equal(first.image, again.image)
    assert HELD_OUT_SEEDS + 1000 < 1 << 32  # where seeds of training begin
    assert (held_out_brain("clean", 1, (16, 16, 16)).image != first.image).any()


def test_patches_larger_than_a_tile_get_a_brain_that_holds_them() -> None:
    source = SynthPatches("clean", DataConfig(patch=72, batch=1))
    assert source.patch(0, stream(1, 0))[0].shape == (72, 72, 72)


def test_a_brain_is_normalised_about_its_background() -> None:
    brain = make_brain((32, 64, 64), preset("clean"), 3)
    assert brain.background.voxels > 0
    whole = Roi.whole(brain.image.shape)
    by = Affine(brain.background.level, brain.background.sd)
    image, _ = brain.normalised(whole, by)
    assert abs(np.median(image)) < 0.5


def test_an_unknown_kind_names_the_known_ones() -> None:
    assert parse("synth:random") == "random"
    with pytest.raises(
        ConfigError, match="clean, fmost, lightsheet, random, dendrites"
    ):
        parse("synth:fmots")

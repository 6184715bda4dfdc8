import math
from dataclasses import replace

import numpy as np
import pytest

from blockseg.inference.skip_calibration import Inferred, choose_threshold


def cube(score, foreground, stratum=0):
    score = float(np.float32(score))
    held = np.array([foreground] if foreground else [], np.int64)
    tiles = np.full(len(held), score, np.float32)
    faintest = score if foreground else math.inf
    return Inferred(score, tiles, held, np.zeros_like(held), stratum, faintest)


def with_specks(one):
    tiles = np.append(one.tiles, np.float32(one.score))
    held, specks = np.append(one.foreground, 0), np.append(one.specks, 9)
    return replace(one, tiles=tiles, foreground=held, specks=specks)


def separate(occupied=10, empty=30):
    full = [cube(8.0 + i, 3000 + 10 * i) for i in range(occupied)]
    return full + [cube(1.0 + i / 100, 0, 1) for i in range(empty)]


def test_where_nothing_faint_is_seen_all_empty_cubes_are_skipped():
    chosen = choose_threshold(separate(), [50, 950])
    assert chosen.threshold == pytest.approx(1.29)
    assert chosen.with_foreground == 10
    assert 0 == chosen.lost < chosen.at_most == 0.001


def test_the_same_cubes_give_the_same_bound_to_the_last_bit_in_any_order():
    assert choose_threshold(separate(), [50, 950]) == choose_threshold(
        separate(), [50, 950]
    )
    again = choose_threshold(separate()[::-1], [50, 950])
    assert again.threshold == choose_threshold(separate(), [50, 950]).threshold


def test_a_bound_stays_below_what_would_lose_too_much():
    cubes = separate()
    cubes[20] = cube(1.1, 400, 1)
    chosen = choose_threshold(cubes, [50, 950])
    assert chosen.threshold is not None
    assert chosen.threshold < 1.1


def test_faint_foreground_counts_wherever_it_is_seen():
    cubes = separate()
    held = np.array([3000, 200])
    cubes[0] = Inferred(8.0, np.array([8.0, 1.15], np.float32), held, 0 * held, 0, 1.15)
    chosen = choose_threshold(cubes, [50, 950])
    assert chosen.threshold is not None
    assert chosen.threshold < 1.15


def test_with_few_cubes_inferred_none_seen_is_not_none_there():
    few = choose_threshold(separate(7, empty=12), [50, 99950])
    assert few.threshold is None, (
        "a thousandth of so little foreground is less than a voxel"
    )
    assert few.with_foreground == 7


@pytest.mark.parametrize(("empty_cubes", "skipped"), [(950, False), (450, True)])
def test_a_piece_of_8_voxels_may_be_lost_in_the_next_cube(empty_cubes, skipped):
    chosen = choose_threshold(separate(7), [50, empty_cubes])
    expected = 8 * (50 + empty_cubes) / 38 / (50 * 3030)
    assert (expected < 0.0008) == skipped
    assert (chosen.threshold is not None) == skipped


@pytest.mark.parametrize(
    ("occupied", "faintest", "most"), [(8, 3.0, 1.11), (8, 2.62, 1.04), (7, 3.0, None)]
)
def test_a_bound_far_below_all_of_eight_cubes_needs_no_larger_sample(
    occupied, faintest, most
):
    cubes = separate(occupied, empty=12)
    cubes[0] = cube(faintest, 3000)
    chosen = choose_threshold(cubes, [50, 99950])
    if most is None:
        assert chosen.threshold is None
    else:
        assert chosen.threshold == pytest.approx(most), "far below the faintest"
        assert (chosen.lost, chosen.at_most) == (0, 0.001), "no more is known"


def test_what_may_be_outside_of_the_tissue_is_never_clear():
    cubes = [*separate(13, empty=12), cube(-math.inf, 500, 2)]
    assert choose_threshold(cubes, [50, 99950, 200]).threshold is None


@pytest.mark.parametrize("occupied", [0, 5])
def test_too_few_cubes_with_foreground_tell_nothing(occupied):
    chosen = choose_threshold(separate(occupied), [50, 950])
    assert chosen.threshold is None
    assert chosen.with_foreground == occupied


def test_cubes_that_are_skipped_anyway_are_lost_whatever_the_bound():
    outside = [cube(-math.inf, 0, 2) for _ in range(5)]
    assert choose_threshold(separate() + outside, [50, 950, 200]).threshold is not None
    outside[0] = cube(-math.inf, 500, 2)
    assert choose_threshold(separate() + outside, [50, 950, 200]).threshold is None


def test_the_bound_holds_over_the_whole_population_of_which_cubes_are_a_sample():
    rng = np.random.default_rng(6)
    count = 2000
    foreground = np.where(rng.random(count) < 0.06, rng.integers(200, 4000, count), 0)
    faint = (foreground == 0) & (rng.random(count) < 0.05)
    foreground[faint] = rng.integers(1, 20, faint.sum())
    score = rng.normal(1.7, 0.1, count)
    score += np.where(faint, 0.8, 0) + np.where(foreground > 100, 8, 0)
    best = np.argsort(-score)
    lost = []
    for _ in range(20):
        cubes: list[Inferred] = []
        sizes: list[int] = []
        for a, b, n in ((0, 125, 20), (125, 500, 20), (500, 2000, 20)):
            drawn = rng.choice(best[a:b], n, replace=False)
            cubes += [cube(score[i], int(foreground[i]), len(sizes)) for i in drawn]
            sizes.append(b - a)
        bound = choose_threshold(cubes, sizes).threshold
        if bound is not None:
            lost.append(foreground[score <= bound].sum() / foreground.sum())
    assert len(lost) == 20
    assert np.mean(np.array(lost) > 0.001) <= 0.05


def test_specks_of_skipped_cubes_are_told_beside_what_counts():
    cubes = [with_specks(one) for one in separate()]
    chosen = choose_threshold(cubes, [50, 950])
    total = 50 * np.mean([3000 + 10 * i for i in range(10)])
    assert chosen.specks == pytest.approx(950 * 9 / total)
    assert choose_threshold(separate(), [50, 950]).specks == 0

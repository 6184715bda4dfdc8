"""Rules by which blocks are picked, on tables made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from blockseg.config.propose_settings import RULE_NAMES
from blockseg.core.errors import ConfigError, GeometryError
from blockseg.dhpr.selection.choice import Choice
from blockseg.dhpr.selection.coverage import Cover, lazy_greedy, standardised
from blockseg.dhpr.selection.dhpr_rule import quotas, reserve_size
from blockseg.dhpr.selection.rules import RULES, select
from blockseg.dhpr.selection.table import BlockTable, ranks

EDGE = 64


def table_of(counts=(4, 4, 4), *, seed=0, **columns):
    """Blocks on a grid, all of them candidates with metrics of their own."""
    rng = np.random.default_rng(seed)
    start = np.stack([c.ravel() for c in np.indices(counts)], axis=1) * EDGE
    n = len(start)
    base = {
        "foreground": rng.integers(100, 5000, n),
        "density": rng.random(n),
        "level": rng.normal(180, 10, n),
        "noise": rng.gamma(5, 1, n),
        "low_snr": rng.random(n),
        "entropy": rng.random(n),
        "fragmentation": rng.gamma(2, 1, n),
        "saturation": np.zeros(n),
        "features": rng.normal(size=(n, 2)),
        "region": np.zeros(n, np.int64),
    }
    base["extended"] = base["foreground"] + 50
    return BlockTable(start=start, stop=start + EDGE, **{**base, **columns})


def rows(selection):
    return [pick.index for pick in selection.picks]


def test_columns_of_different_length_are_refused():
    with pytest.raises(GeometryError, match="differ in length"):
        table_of(density=np.zeros(3))


def test_a_block_is_a_candidate_from_1000_voxels_in_320_cubed_and_32_at_least():
    start = np.zeros((4, 3), np.int64)
    stop = np.array([[320] * 3, [320] * 3, [64] * 3, [64] * 3])
    n = np.zeros(4)
    whole = np.zeros(4, np.int64)
    table = BlockTable(
        start, stop, whole, np.array([1000, 999, 32, 31]), n, n, n, n, n, n, n,
        np.zeros((4, 0)), whole,
    )  # fmt: skip
    np.testing.assert_array_equal(table.candidates, [True, False, True, False])


def test_ranks_go_from_0_to_1_and_equal_values_share_theirs():
    values = np.array([5.0, 1.0, np.nan, 5.0, 9.0])
    np.testing.assert_allclose(ranks(values), [0.5, 0, 0, 0.5, 1])
    np.testing.assert_array_equal(ranks(np.array([np.nan, 3.0])), [0, 1])
    np.testing.assert_array_equal(ranks(np.full(2, np.nan)), [0, 0])


def test_hardness_is_the_mean_rank_of_the_metrics_that_are_there():
    table = table_of(
        (1, 1, 3),
        extended=np.array([1000, 100, 40]),
        low_snr=np.array([0.1, 0.5, 0.9]),
        entropy=np.full(3, np.nan),
        fragmentation=np.array([4.0, 2.0, np.nan]),
    )
    np.testing.assert_allclose(table.hardness(amount=False), [(0 + 1) / 2, 0.25, 0.5])
    np.testing.assert_allclose(table.hardness(), [(1 + 1) / 2, 0.25, 0])


def test_the_rule_takes_hard_blocks_that_differ_and_none_near_another():
    table = table_of((6, 6, 6))
    chosen = select(table, Choice(8, reserve=0))
    picked = rows(chosen)
    assert len(picked) == 8 == len(set(picked))
    for row in picked:
        others = np.array([other for other in picked if other != row])
        assert not len(table.near(table.boxes[row], others))
    assert table.hardness()[picked].mean() > table.hardness().mean()
    assert chosen.notes == ()


def test_of_two_equal_groups_each_gets_a_pick_however_large_the_first():
    kind = np.arange(27) >= 24
    same = {
        name: np.where(kind, 9.0, 1.0)
        for name in ("density", "level", "noise", "low_snr", "entropy", "fragmentation")
    }
    table = table_of(
        (3, 3, 3), foreground=np.full(27, 500), features=np.zeros((27, 1)), **same
    )
    picked = rows(select(table, Choice(2, reserve=0, hardness_weight=0)))
    assert sorted(kind[picked]) == [False, True]


def test_where_there_is_no_room_picks_come_nearer_but_never_overlap():
    table = table_of((2, 2, 2))
    chosen = select(table, Choice(20, reserve=0))
    assert sorted(rows(chosen)) == list(range(8))
    assert "there are only 8" in chosen.notes[0]
    assert "within one block length of another: 7" in chosen.notes[1]
    double = table_of((1, 1, 4))
    shifted = replace(double, start=double.start // 2, stop=double.start // 2 + EDGE)
    assert len(rows(select(shifted, Choice(4, reserve=0)))) == 2


def test_the_rules_are_those_that_a_user_may_name():
    assert tuple(RULES) == RULE_NAMES


def test_picks_keep_away_from_earlier_ones_and_add_to_them():
    table = table_of((1, 1, 9))
    earlier = table.boxes[[4]]
    picked = rows(select(table, Choice(4, reserve=0, earlier=earlier)))
    assert 4 not in picked
    assert not {3, 5} & set(picked[:2])
    for rule in RULES:
        found = rows(select(table, Choice(9, rule, earlier=earlier)))
        assert 4 not in found, rule


def test_a_tenth_at_most_is_kept_for_artefacts_and_negatives():
    assert [reserve_size(n, 0.075) for n in (1, 9, 10, 20, 40, 300)] == [
        0, 0, 1, 2, 3, 22,
    ]  # fmt: skip
    empty = np.arange(216) % 4 == 0
    saturation = np.zeros(216)
    saturation[[32, 190]] = 0.2, 0.1
    table = table_of(
        (6, 6, 6),
        extended=np.where(empty, 0, 500),
        low_snr=np.where(empty, np.nan, 0.5),
        saturation=saturation,
        noise=np.ones(216),
    )
    chosen = select(table, Choice(40))
    negatives = [pick for pick in chosen.picks if "hardness" not in pick.reason]
    assert [pick.index for pick in negatives[:2]] == [32, 190]
    assert "artefacts" in negatives[0].reason
    assert len(negatives) == 3
    assert empty[negatives[2].index]
    assert "negative" in negatives[2].reason


def test_regions_get_picks_by_the_root_of_their_foreground():
    np.testing.assert_array_equal(
        quotas(np.array([900.0, 100.0, 0.0]), np.array([50, 50, 50]), 8), [6, 2, 0]
    )
    np.testing.assert_array_equal(
        quotas(np.array([900.0, 100.0]), np.array([2, 50]), 8), [2, 6]
    )
    np.testing.assert_array_equal(
        quotas(np.array([1.0, 1.0, 1.0]), np.array([9, 9, 9]), 4), [2, 1, 1]
    )
    np.testing.assert_array_equal(
        quotas(np.array([0.0, 0.0]), np.array([1, 2]), 9), [1, 2]
    )
    region = np.repeat([1, 2], 108)
    table = table_of(
        (6, 6, 6), region=region, foreground=np.where(region == 1, 1600, 100)
    )
    picked = rows(select(table, Choice(5, reserve=0)))
    np.testing.assert_array_equal(np.bincount(region[picked]), [0, 4, 1])


def test_the_published_rule_takes_the_noisy_half_by_density_and_low_snr():
    table = table_of(
        (1, 1, 5),
        noise=np.array([1.0, 2.0, 3.0, 4.0, 5.0]),
        density=np.array([9.0, 9.0, 9.0, 0.2, 0.1]),
        low_snr=np.array([0.0, 0.0, 0.0, 0.5, 0.9]),
    )
    assert rows(select(table, Choice(1, "published"))) == [4]
    assert rows(select(table, Choice(9, "published"))) == [3, 4]


def test_entropy_takes_the_most_uncertain_and_random_any_tissue():
    table = table_of((1, 1, 4), entropy=np.array([0.1, 0.9, np.nan, 0.5]))
    assert rows(select(table, Choice(2, "entropy"))) == [1, 3]
    air = replace(table, noise=np.array([0.0, 1, 1, 0]))
    assert sorted(rows(select(air, Choice(9, "random")))) == [1, 2]
    few = replace(table, extended=np.array([0, 100, 0, 100]))
    assert sorted(rows(select(few, Choice(9, "foreground-random")))) == [1, 3]
    draws = {tuple(rows(select(table, Choice(2, "random", seed=s)))) for s in range(20)}
    assert len(draws) > 3


def test_blocks_that_may_not_be_picked_never_are():
    kept = np.arange(64) % 2 == 0
    table = table_of(kept=kept)
    for rule in RULES:
        assert all(kept[row] for row in rows(select(table, Choice(64, rule)))), rule


@pytest.mark.parametrize(
    ("choice", "columns", "said"),
    [
        (Choice(3, "best"), {}, "no rule 'best'; choose one of dhpr, published"),
        (Choice(0), {}, "pick at least 1"),
        (Choice(3), {"extended": np.zeros(64, int)}, "none of the 64 blocks holds"),
        (Choice(3, "entropy"), {"entropy": np.full(64, np.nan)}, "without a network"),
        (
            Choice(3, earlier=np.array([[[0] * 3, [999] * 3]])),
            {},
            "all 64 blocks to choose from are picked already",
        ),
    ],
)
def test_what_cannot_be_picked_is_refused_in_one_line(choice, columns, said):
    with pytest.raises(ConfigError, match=said) as caught:
        select(table_of(**columns), choice)
    assert "\n" not in str(caught.value)


def test_unknown_and_constant_features_tell_nothing_apart():
    columns = np.array([[1.0, 5.0, np.nan], [3.0, 5.0, np.nan], [np.nan, 5.0, np.nan]])
    found = standardised(columns)
    assert not found[:, 1:].any()
    np.testing.assert_array_equal(found[:, 0], [-39, 39, 0])
    assert np.abs(standardised(np.r_[np.zeros(999), 1e9][:, None])).max() == 8 * 32


def test_a_block_stands_for_itself_and_what_equals_it():
    points = standardised(np.array([[0.0], [0.0], [5.0], [9.0]]))
    cover = Cover(points, np.arange(4))
    cover.add(0)
    assert cover.value > 0.5
    assert cover.gains(np.array([1]))[0] == 0
    none = np.zeros(0, np.int64)
    assert lazy_greedy(cover, none, np.zeros(0), 3, lambda _: none) == []
    for block in (2, 3):
        cover.add(block)
    assert cover.value == 1

"""Picks of hard and different blocks against plain greedy selection."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockseg.dhpr.selection.choice import Choice
from blockseg.dhpr.selection.coverage import Cover, lazy_greedy, standardised
from blockseg.dhpr.selection.dhpr_rule import feature_columns, quotas
from blockseg.dhpr.selection.rules import select
from blockseg.dhpr.selection.table import BlockTable

EDGE = 64


def likeness(points):
    """Return k(i, j) of the documentation, of all pairs, in whole steps of 2⁻²⁰."""
    points = points.astype(np.int64)
    d2 = ((points[:, None] - points[None]) ** 2).sum(axis=2) / 32**2
    exact = 1 / (1 + 4 * d2 / max(points.shape[1], 1))
    return np.floor(2**20 * exact + 1e-3) / 2**20


def value(k, worth, picks):
    return k[:, picks].max(axis=1).mean() + worth[picks].sum()


def random_table(n, seed, *, regions=1):
    rng = np.random.default_rng(seed)
    side = int(np.ceil(n ** (1 / 3)))
    start = np.stack(np.unravel_index(np.arange(n), (side,) * 3), axis=1) * EDGE
    groups = rng.normal(size=(6, 4)) * 2
    kind = rng.integers(0, 6, n)
    features = groups[kind] + rng.normal(size=(n, 4))
    foreground = rng.integers(40, 9000, n)
    return BlockTable(
        start=start,
        stop=start + EDGE,
        foreground=foreground,
        extended=foreground + 10,
        density=np.clip(foreground / 5000, 0, 1),
        level=180 + 5 * features[:, 0],
        noise=5 + np.exp(features[:, 1] / 3),
        low_snr=rng.random(n),
        entropy=rng.random(n),
        fragmentation=rng.gamma(2, 1, n),
        saturation=np.zeros(n),
        features=features[:, 2:],
        region=rng.integers(1, regions + 1, n),
    )


@given(
    st.integers(1, 40), st.integers(1, 12), st.integers(0, 5), st.integers(0, 2**31),
    st.booleans(),
)  # fmt: skip
@settings(max_examples=60)
def test_lazy_picks_are_those_of_plain_greedy_selection(n, count, k, seed, ties):
    rng = np.random.default_rng(seed)
    columns = rng.integers(0, 3, (n, k)) if ties else rng.normal(size=(n, k))
    points = standardised(columns.astype(float))
    worth = rng.random(n) / 16
    conflicts = rng.random((n, n)) < 0.1
    cover = Cover(points, np.arange(n))
    found = lazy_greedy(
        cover, np.arange(n), worth, count, lambda row: np.flatnonzero(conflicts[row])
    )

    plain = Cover(points, np.arange(n))
    open_ = np.ones(n, bool)
    expected: list[int] = []
    while len(expected) < count and open_.any():
        score = np.where(open_, plain.gains(np.arange(n)) + worth, -np.inf)
        best = int(np.argmax(score))
        expected.append(best)
        plain.add(best)
        open_[best] = False
        open_[conflicts[best]] = False
    assert [row for row, _ in found] == expected
    k_all = likeness(points)
    assert cover.value == pytest.approx(k_all[:, expected].max(axis=1).mean(), abs=1e-5)
    assert sum(gain for _, gain in found) == pytest.approx(cover.value, abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_on_2000_blocks_references_and_a_pool_cost_2_percent_at_most(seed):
    table, count = random_table(2000, seed), 30
    scaled = standardised(feature_columns(table))
    k = likeness_in_parts(scaled)
    worth = table.hardness() / count

    exact: list[int] = []
    best = np.zeros(len(k))
    open_ = np.ones(len(k), bool)
    for _ in range(count):
        score = np.maximum(k, best[:, None]).mean(axis=0) - best.mean() + worth
        row = int(np.argmax(np.where(open_, score, -np.inf)))
        exact.append(row)
        best = np.maximum(best, k[:, row])
        open_[table.near(table.boxes[row])] = False

    for limits in ((5000, 20_000), (500, 20_000), (500, 1000)):
        references, pool = limits
        chosen = select(
            table, Choice(count, reserve=0, references=references, pool=pool)
        )
        picks = [pick.index for pick in chosen.picks]
        assert value(k, worth, picks) > 0.98 * value(k, worth, exact), limits
        if limits == (5000, 20_000):
            assert picks == exact


def likeness_in_parts(points):
    norms = (points**2).sum(axis=1)
    d2 = (norms[:, None] + norms[None] - 2 * points @ points.T) / 32**2
    return 1 / (1 + 4 * d2 / points.shape[1])


@given(st.integers(1, 150), st.integers(1, 60), st.integers(1, 4), st.integers(0, 99))
@settings(max_examples=40)
def test_picks_are_as_many_as_there_can_be_and_apart_unless_it_is_said(
    n, count, regions, seed
):
    table = random_table(n, seed, regions=regions)
    chosen = select(table, Choice(count, seed=seed))
    picks = [pick.index for pick in chosen.picks]
    assert len(picks) == len(set(picks)) == min(n, count)
    again = select(table, Choice(count, seed=seed))
    assert again == chosen
    crowded = any("within one block length" in note for note in chosen.notes)
    for place, row in enumerate(picks):
        near = table.near(table.boxes[row], np.array(picks[:place], np.int64))
        assert crowded or not len(near)


@given(
    st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 40)), min_size=1),
    st.integers(0, 300),
)
def test_quotas_give_all_that_can_be_given_and_no_region_more_than_it_has(regions, n):
    size, most = (np.array(column) for column in zip(*regions, strict=True))
    given_ = quotas(size.astype(float), most, n)
    assert given_.sum() == min(n, most.sum())
    assert (given_ <= most).all()
    assert (given_ >= 0).all()

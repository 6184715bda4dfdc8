"""The rule ``dhpr``: hard blocks that together represent all those with neurites."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from blockseg.dhpr.selection.choice import Pick, Selection
from blockseg.dhpr.selection.coverage import Cover, lazy_greedy, standardised
from blockseg.dhpr.selection.table import ranks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.dhpr.selection.choice import Choice
    from blockseg.dhpr.selection.table import BlockTable

_MOST_RESERVE = 0.1
_CROWDED = (
    "picks that lie within one block length of another: {}, as there are not enough blocks "
    "apart"
)
_BEYOND = "picks beyond the quota of their region: {}, as others have too few blocks"


def dhpr(table: BlockTable, choice: Choice) -> Selection:
    """Pick hard and diverse blocks.

    Facility location over standardised features plus λ times the mean hardness, greedily
    (:mod:`blockseg.dhpr.selection.coverage`); no two picks within one block length of each other;
    quotas over regions in proportion to √(foreground); a share of the picks for blocks
    without neurites or with artefacts. Where the blocks do not suffice for all of it,
    first the quotas give way, then the distance; picks never overlap.

    Parameters
    ----------
    table
        All blocks of the brain.
    choice
        Number of picks, and the weights of the rule.
    """
    return _Dhpr(table, choice).selection()


def feature_columns(table: BlockTable) -> NDArray[np.float64]:
    """Return the features on which diversity is measured, shape (n, 7 + k).

    log |F|, m, s, D, L, U, G and the table's own features.
    """
    columns = [
        np.log1p(table.foreground.astype(np.float64)),
        table.level,
        table.noise,
        table.density,
        table.low_snr,
        table.entropy,
        table.fragmentation,
    ]
    return np.concatenate([np.stack(columns, axis=1), table.features], axis=1)


def reserve_size(count: int, share: float) -> int:
    """Return how many of the picks are kept for negatives: a tenth at most."""
    return min(round(share * count), int(_MOST_RESERVE * count))


def quotas(
    foreground: NDArray[np.float64], most: NDArray[np.int64], count: int
) -> NDArray[np.int64]:
    """Distribute picks in proportion to the square root of each region's foreground.

    By largest remainders; equals go by their number. What a region cannot take, as it
    has too few blocks, the others share in the same way.

    Parameters
    ----------
    foreground
        Foreground of each region, in voxels, shape (r,).
    most
        Blocks that each region has, shape (r,).
    count
        Picks; those beyond the sum of ``most`` are not given.
    """
    weight = np.sqrt(np.maximum(foreground, 0).astype(np.float64))
    given = np.zeros(len(most), np.int64)
    left = min(count, int(most.sum()))
    while left:
        open_ = given < most
        share = np.where(open_, weight, 0)
        if not share.any():
            share = open_.astype(np.float64)  # regions without foreground: evenly
        exact = left * share / share.sum()
        whole = np.floor(exact + 1e-9).astype(np.int64)
        rest = left - int(whole.sum())
        order = np.lexsort((np.arange(len(most)), -np.round(exact - whole, 9)))
        order = order[share[order] > 0]
        whole[order[:rest]] += 1
        whole = np.minimum(whole, most - given)
        given += whole
        left -= int(whole.sum())
    return given


class _Dhpr:
    """One selection."""

    def __init__(self, table: BlockTable, choice: Choice) -> None:
        self._table, self._choice = table, choice
        self._candidates = table.candidates
        self._names, self._ranks = table.hardness_ranks(amount=choice.amount)
        self._hard = np.asarray(self._ranks.mean(axis=1))
        self._boxes = table.boxes
        self._taken = list(choice.earlier)
        self._picks: list[Pick] = []

    def selection(self) -> Selection:
        """Pick."""
        among = self._open(near=False)
        negatives = self._reserve(
            reserve_size(self._choice.count, self._choice.reserve)
        )
        self._taken += [self._boxes[pick.index] for pick in negatives]
        budget = self._choice.count - len(negatives)
        notes = []
        if among.any() and budget:
            notes = self._hardest(budget)
        return Selection((*self._picks, *negatives), int(among.sum()), tuple(notes))

    def _hardest(self, budget: int) -> list[str]:
        cover = self._cover()
        notes = []
        region = self._table.region
        if (region[self._candidates] != region[self._candidates][:1]).any():
            self._by_region(cover, budget)
            within = len(self._picks)
            self._greedy(cover, self._open(near=True), budget, budget - within)
            beyond = len(self._picks) - within
            if beyond:
                notes.append(_BEYOND.format(beyond))
        else:
            self._greedy(cover, self._open(near=True), budget, budget)
        apart = len(self._picks)
        if apart < budget:
            open_ = self._open(near=False)
            self._greedy(cover, open_, budget, budget - apart, crowded=True)
        if len(self._picks) > apart:
            notes.append(_CROWDED.format(len(self._picks) - apart))
        return notes

    def _cover(self) -> Cover:
        rows = np.flatnonzero(self._candidates)
        scaled = standardised(feature_columns(self._table)[rows])
        points = np.zeros((len(self._table), scaled.shape[1]), np.int64)
        points[rows] = scaled
        most = self._choice.references
        # Evenly along the brain: the same for every seed, and all of it where it is small.
        places = np.arange(min(most, len(rows))) * len(rows) // min(most, len(rows))
        cover = Cover(points, rows[places])
        for box in self._choice.earlier:
            for row in self._table.overlapping(box, rows):
                cover.add(int(rows[row]))
        return cover

    def _by_region(self, cover: Cover, budget: int) -> None:
        open_ = self._open(near=True)
        names, region = np.unique(self._table.region, return_inverse=True)
        size = np.bincount(
            region[self._candidates],
            self._table.foreground[self._candidates],
            minlength=len(names),
        )
        size[names == 0] = 0  # what lies in no region gets what the regions leave
        most = np.bincount(region[open_], minlength=len(names)).astype(np.int64)
        given = quotas(size.astype(np.float64), most, budget)
        # The largest first: what stands for most is picked with the freest hand.
        for number in np.lexsort((np.arange(len(names)), -size)):
            mine = self._open(near=True) & (region == number)
            self._greedy(cover, mine, budget, int(given[number]))

    def _open(self, *, near: bool) -> NDArray[np.bool_]:
        """Return the candidates that no pick overlaps or, if asked, is near to."""
        closed = self._table.near if near else self._table.overlapping
        rows = np.flatnonzero(self._candidates)
        free = np.ones(len(rows), bool)
        for box in self._taken:
            free[closed(box, rows)] = False
        result = np.zeros(len(self._table), bool)
        result[rows[free]] = True
        return result

    def _greedy(
        self,
        cover: Cover,
        open_: NDArray[np.bool_],
        budget: int,
        count: int,
        *,
        crowded: bool = False,
    ) -> None:
        pool = np.flatnonzero(open_)
        if len(pool) > self._choice.pool:
            order = np.lexsort((pool, -self._hard[pool]))
            pool = np.sort(pool[order[: self._choice.pool]])
        table = self._table
        blocked = table.overlapping if crowded else table.near
        found = lazy_greedy(
            cover,
            pool,
            self._choice.hardness_weight * self._hard[pool] / budget,
            count,
            lambda row: blocked(self._boxes[row], pool),
        )
        for row, gain in found:
            self._taken.append(self._boxes[row])
            self._picks.append(Pick(row, self._why(row, gain)))

    def _why(self, row: int, gain: float) -> str:
        parts = ", ".join(
            f"{name} {rank:.2f}"
            for name, rank in zip(self._names, self._ranks[row], strict=True)
        )
        return f"hardness {self._hard[row]:.2f} ({parts}); adds {100 * gain:.2g} % of variety"

    def _reserve(self, count: int) -> list[Pick]:
        """Pick blocks with artefacts, then blocks without neurites, apart from all."""
        table = self._table
        picks: list[Pick] = []
        near = np.zeros(len(table), bool)
        for box in self._taken:
            near[table.near(box)] = True
        free = table.tissue & ~self._candidates
        odd = _oddness(table)
        order = np.lexsort((np.arange(len(table)), -odd))
        artefacts = order[odd[order] > 0]
        lot = np.random.default_rng(self._choice.seed).permutation(np.flatnonzero(free))
        half = -(-count // 2)
        for rows, most, reason in (
            (artefacts, half, "artefacts: saturated or of unusual noise"),
            (lot, count, "no neurites: a negative"),
        ):
            for row in rows:
                if len(picks) >= most:
                    break
                if near[row]:
                    continue
                near[table.near(self._boxes[row])] = True
                picks.append(Pick(int(row), reason))
        return picks


def _oddness(table: BlockTable) -> NDArray[np.float64]:
    """Return how much blocks differ from the rest of the tissue, 0 if not at all.

    Saturated ones by their share of saturated voxels, and those whose noise lies beyond
    the outer fence, Q3 + 3 (Q3 - Q1) (Tukey 1977), by their noise; by ranks.
    """
    tissue = table.tissue
    odd = np.zeros(len(table))
    if not np.isfinite(table.noise[tissue]).any():
        return odd
    low, high = np.nanpercentile(table.noise[tissue], [25, 75])
    noisy = tissue & (table.noise > high + 3 * (high - low))
    noisy &= table.noise > 1.1 * high
    saturated = tissue & (table.saturation > 0)
    for mask, values in ((saturated, table.saturation), (noisy, table.noise)):
        odd += np.where(mask, 1 + ranks(np.where(mask, values, np.nan)), 0)
    return odd

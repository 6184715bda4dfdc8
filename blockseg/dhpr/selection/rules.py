"""Five rules that select blocks worth annotating, on arrays alone.

``dhpr``
    The extension of DHPR to a whole brain that nobody has labelled: hard blocks (low
    SNR, uncertain, fragmented) that together stand for all that hold neurites.
``published``
    The published rule: of the blocks whose noise s lies above the median, those with
    the greatest D + L.
``entropy``
    The greatest mean entropy of the prediction.
``random``
    Any block of tissue.
``foreground-random``
    Any block that holds neurites enough.

The same table and the same seed give the same picks on any machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.errors import ConfigError
from blockseg.dhpr.published import published_picks
from blockseg.dhpr.selection.choice import Pick, Selection
from blockseg.dhpr.selection.dhpr_rule import dhpr

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from blockseg.dhpr.selection.choice import Choice
    from blockseg.dhpr.selection.table import BlockTable


def select(table: BlockTable, choice: Choice) -> Selection:
    """Pick blocks to annotate.

    Picks overlap neither each other nor earlier ones. A hundred thousand blocks take a
    few seconds; memory is linear in their number.

    Parameters
    ----------
    table
        All blocks of the brain.
    choice
        Number of picks, and the rule.

    Raises
    ------
    ConfigError
        If there is no such rule, or nothing in the table that it could choose from.
    """
    if choice.rule not in RULES:
        message = f"there is no rule {choice.rule!r}; choose one of {', '.join(RULES)}"
        raise ConfigError(message)
    if choice.count < 1:
        message = f"a selection cannot have {choice.count} blocks; pick at least 1"
        raise ConfigError(message)
    if choice.rule != "random" and not table.candidates.any():
        message = (
            f"none of the {int(table.kept.sum())} blocks holds neurites enough to learn "
            f"from (most voxels of F⁺: {_most(table)}); check the weights and the "
            "threshold of the run, or pick with --rule random"
        )
        raise ConfigError(message)
    found = RULES[choice.rule](table, choice)
    if not found.picks:
        message = (
            f"all {found.candidates or int(table.kept.sum())} blocks to choose from are "
            "picked already or overlap earlier picks; leave some of --exclude out"
        )
        raise ConfigError(message)
    notes = found.notes
    if len(found.picks) < choice.count:
        notes = (
            (
                f"{choice.count} blocks were asked for; there are only {len(found.picks)} "
                f"that the rule {choice.rule} can pick, and all of them are taken"
            ),
            *notes,
        )
    return Selection(found.picks, found.candidates, notes)


def _published(table: BlockTable, choice: Choice) -> Selection:
    among = _free(table, choice) & table.candidates & np.isfinite(table.noise)
    rows = np.flatnonzero(
        among & np.isfinite(table.density) & np.isfinite(table.low_snr)
    )
    noise, score = table.noise[rows], table.density[rows] + table.low_snr[rows]
    kept = published_picks(table.density[rows], noise, table.low_snr[rows], len(rows))
    order = rows[kept[np.argsort(-score[kept], kind="stable")]]
    median = np.median(noise) if len(rows) else 0.0
    return _selected(
        table,
        choice,
        order,
        lambda row: (
            f"D + L = {table.density[row] + table.low_snr[row]:.3f}, s = "
            f"{table.noise[row]:.3g} above the median {median:.3g}"
        ),
        in_order=False,
    )


def _entropy(table: BlockTable, choice: Choice) -> Selection:
    among = _free(table, choice) & table.candidates & np.isfinite(table.entropy)
    if not np.isfinite(table.entropy).any():
        message = (
            "no block has an entropy, as these metrics were made without a network; "
            "give the output of blockseg run, or choose another --rule"
        )
        raise ConfigError(message)
    rows = np.flatnonzero(among)
    order = rows[np.lexsort((rows, -table.entropy[rows]))]
    return _selected(
        table, choice, order, lambda row: f"entropy U = {table.entropy[row]:.3f} bits"
    )


def _random(table: BlockTable, choice: Choice) -> Selection:
    return _drawn(table, choice, table.tissue, "drawn from all blocks of tissue")


def _foreground_random(table: BlockTable, choice: Choice) -> Selection:
    return _drawn(
        table, choice, table.candidates, "drawn from the blocks with neurites"
    )


def _drawn(
    table: BlockTable, choice: Choice, among: NDArray[np.bool_], reason: str
) -> Selection:
    rows = np.flatnonzero(among & _free(table, choice))
    order = np.random.default_rng(choice.seed).permutation(rows)
    return _selected(table, choice, order, lambda _: reason)


def _free(table: BlockTable, choice: Choice) -> NDArray[np.bool_]:
    free = table.kept.copy()
    for box in choice.earlier:
        free[table.overlapping(box)] = False
    return free


def _selected(
    table: BlockTable,
    choice: Choice,
    order: NDArray[np.int64],
    reason: Callable[[int], str],
    *,
    in_order: bool = True,
) -> Selection:
    """Take blocks in their order, but none that overlaps one that is taken."""
    taken: list[int] = []
    boxes = table.boxes
    for row in order:
        if len(taken) == choice.count:
            break
        if not len(table.overlapping(boxes[row], np.array(taken, np.int64))):
            taken.append(int(row))
    rows = taken if in_order else sorted(taken)
    return Selection(tuple(Pick(row, reason(row)) for row in rows), len(order))


def _most(table: BlockTable) -> int:
    return int(table.extended[table.kept].max(initial=0))


RULES: dict[str, Callable[[BlockTable, Choice], Selection]] = {
    "dhpr": dhpr,
    "published": _published,
    "entropy": _entropy,
    "random": _random,
    "foreground-random": _foreground_random,
}
"""Rules by name."""

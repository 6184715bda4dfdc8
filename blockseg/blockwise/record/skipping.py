"""Savings and cost of ``--sparse``, for people and for ``run.json``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.inference.components import LENGTH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blockseg.blockwise.planning.sparse_plan import SparsePlan
    from blockseg.runtime.ledger.ledger import Ledger


@dataclass(frozen=True, slots=True)
class SparseOutcome:
    """Savings of ``--sparse`` so far, and at what loss."""

    plan: SparsePlan
    """Plan of the run."""

    written_voxels: int
    """Voxels that are done."""

    inferred_voxels: int
    """Voxels that windows wrote for them."""

    skipped_voxels: int
    """Voxels in tiles that were taken for empty."""

    blocks_stored: int
    """Blocks of the main pass that hold anything."""

    coarse_blocks: int
    """Blocks of coarse levels."""

    coarse_stored: int
    """Blocks of coarse levels that hold anything."""

    def to_plain(self) -> dict[str, Any]:
        """Return it as JSON values, with the plan's in the same table."""
        counts = {name: value for name, value in asdict(self).items() if name != "plan"}
        return self.plan.summary_to_plain() | counts


def sparse_outcome(
    plan: SparsePlan | None, ledger: Ledger, phases: Sequence[tuple[str, int]]
) -> SparseOutcome | None:
    """Return the totals of skipping so far; None for a run that skips nothing.

    Parameters
    ----------
    plan
        Of the run; None where ``--sparse`` was not asked for.
    ledger
        Of the run.
    phases
        Name and number of blocks of each pass, the main one first; of the
        main one all blocks of the grid.
    """
    if plan is None:
        return None
    (main, blocks), *coarse = phases
    totals = ledger.summary(main).totals
    return SparseOutcome(
        plan,
        written_voxels=totals["written"],
        inferred_voxels=totals["computed"],
        skipped_voxels=totals["skipped"],
        blocks_stored=_occupied(ledger, main, blocks),
        coarse_blocks=sum(count for _, count in coarse),
        coarse_stored=sum(_occupied(ledger, *phase) for phase in coarse),
    )


def sparse_lines(outcome: SparseOutcome | None) -> list[str]:
    """Return the same for a human, a line for each way of skipping."""
    if outcome is None:
        return []
    plan = outcome.plan
    lines = [f"Sparse: {plan.untrusted}."] if plan.untrusted else []
    if plan.note:
        return [*lines, f"Sparse: {plan.note}."]
    if plan.level is not None:
        lines.append(
            f"Sparse: {plan.outside:.1%} of the volume lie outside of the tissue, "
            f"by level {plan.level}{_compared(plan)}."
        )
    if plan.threshold is not None:
        written = max(outcome.written_voxels, 1)
        lines.append(
            f"Sparse: {outcome.skipped_voxels / written:.1%} of the voxels were in "
            "tiles taken for empty, and not inferred."
        )
    lines.append(
        f"Sparse: about {plan.lost:.3%} of the foreground is lost, at most "
        f"{plan.lost_at_most:.3%} with 95 % confidence "
        f"({plan.inferred} cubes of {plan.cubes} were inferred to tell)."
    )
    if plan.specks:
        lines.append(
            f"Sparse: specks shorter than {LENGTH} voxels do not count as foreground; "
            f"those lost besides are about {plan.specks:.2%} of its voxels."
        )
    if outcome.coarse_blocks:
        lines.append(
            f"Sparse: {outcome.coarse_stored} of {outcome.coarse_blocks} blocks of "
            "coarse levels hold anything; the others were not computed."
        )
    return lines


def sparse_forecast(plan: SparsePlan | None) -> list[str]:
    """Return a description of what a run would skip."""
    if plan is None:
        return []
    lines = [plan.untrusted] if plan.untrusted else []
    if plan.note:
        return [*lines, plan.note]
    if plan.level is not None:
        lines.append(f"{plan.outside:.1%} outside of the tissue{_compared(plan)}")
    if plan.threshold is not None:
        lines.append(
            f"about {plan.empty:.0%} in empty tiles of {plan.tile or plan.edge}³"
        )
    lines.append(
        f"foreground lost {plan.lost:.3%}, at most {plan.lost_at_most:.3%} with "
        f"95 % confidence, by {plan.inferred} of {plan.cubes} cubes; besides "
        f"{plan.specks:.2%} in specks shorter than {LENGTH} voxels"
    )
    return lines


def _compared(plan: SparsePlan) -> str:
    count = plan.compared
    return f"; {count} cubes there were compared with level 0" if count else ""


def _occupied(ledger: Ledger, phase: str, blocks: int) -> int:
    return int(np.count_nonzero(ledger.column(phase, "nonzero", blocks)))

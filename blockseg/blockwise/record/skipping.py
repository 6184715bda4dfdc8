"""Savings and cost of ``--sparse``, for people and for ``run.json``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.inference.components import LENGTH

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from blockseg.runtime.ledger.ledger import Ledger

__all__ = ["sparse_forecast", "sparse_lines", "sparse_outcome"]


def sparse_outcome(
    found: Mapping[str, Any] | None, ledger: Ledger, phases: Sequence[tuple[str, int]]
) -> dict[str, Any] | None:
    """Return what each gate skipped so far; None for a run without them.

    Parameters
    ----------
    found
        What ``run.json`` holds under ``sparse``.
    ledger
        Of the run.
    phases
        Name and number of blocks of each pass, the main one first; of the
        main one all blocks of the grid.
    """
    if found is None:
        return None
    (main, blocks), *coarse = phases
    totals = ledger.summary(main).totals
    return {
        **{name: value for name, value in found.items() if name != "tissue"},
        "written_voxels": totals["written"],
        "inferred_voxels": totals["computed"],
        "skipped_voxels": totals["skipped"],
        "blocks_stored": _occupied(ledger, main, blocks),
        "coarse_blocks": sum(count for _, count in coarse),
        "coarse_stored": sum(_occupied(ledger, *phase) for phase in coarse),
    }


def sparse_lines(outcome: Mapping[str, Any] | None) -> list[str]:
    """Return the same for a human, a line a gate."""
    if outcome is None:
        return []
    lines = []
    if outcome.get("untrusted"):
        lines.append(f"Sparse: {outcome['untrusted']}.")
    if outcome["note"]:
        return [*lines, f"Sparse: {outcome['note']}."]
    if outcome["level"] is not None:
        lines.append(
            f"Sparse: {outcome['outside']:.1%} of the volume lie outside of the tissue, "
            f"by level {outcome['level']}{_compared(outcome)}."
        )
    if outcome["bound"] is not None:
        written = max(outcome["written_voxels"], 1)
        lines.append(
            f"Sparse: {outcome['skipped_voxels'] / written:.1%} of the voxels were in "
            "tiles taken for empty, and not inferred."
        )
    lines.append(
        f"Sparse: about {outcome['lost']:.3%} of the foreground is lost, at most "
        f"{outcome['lost_at_most']:.3%} with 95 % confidence "
        f"({outcome['inferred']} cubes of {outcome['cubes']} were inferred to tell)."
    )
    if outcome["specks"]:
        lines.append(
            f"Sparse: specks shorter than {LENGTH} voxels do not count as foreground; "
            f"those lost besides are about {outcome['specks']:.2%} of its voxels."
        )
    if outcome["coarse_blocks"]:
        lines.append(
            f"Sparse: {outcome['coarse_stored']} of {outcome['coarse_blocks']} blocks of "
            "coarse levels hold anything; the others were not computed."
        )
    return lines


def sparse_forecast(found: Mapping[str, Any] | None) -> list[str]:
    """Return what a run would skip, for a human."""
    if found is None:
        return []
    lines = [found["untrusted"]] if found.get("untrusted") else []
    if found["note"]:
        return [*lines, found["note"]]
    if found["level"] is not None:
        lines.append(f"{found['outside']:.1%} outside of the tissue{_compared(found)}")
    if found["bound"] is not None:
        lines.append(
            f"about {found['empty']:.0%} in empty tiles of {found['tile'] or found['edge']}³"
        )
    lines.append(
        f"foreground lost {found['lost']:.3%}, at most {found['lost_at_most']:.3%} with "
        f"95 % confidence, by {found['inferred']} of {found['cubes']} cubes; besides "
        f"{found['specks']:.2%} in specks shorter than {LENGTH} voxels"
    )
    return lines


def _compared(found: Mapping[str, Any]) -> str:
    count = found.get("compared")
    return f"; {count} cubes there were compared with level 0" if count else ""


def _occupied(ledger: Ledger, phase: str, blocks: int) -> int:
    return int(np.count_nonzero(ledger.column(phase, "nonzero", blocks)))

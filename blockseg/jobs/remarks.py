"""What the last lines of a run say of its source; each only where it is not zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blockseg.jobs.decisions import Decisions
    from blockseg.jobs.inputs import Inputs

__all__ = ["closing_remarks"]


def closing_remarks(inputs: Inputs, decisions: Decisions) -> tuple[str, ...]:
    """Return a line for each thing that was not as it should be, without a full stop."""
    return tuple(_remarks(inputs, decisions))


def _remarks(inputs: Inputs, decisions: Decisions) -> Iterator[str]:
    yield from inputs.source.remarks
    unreadable = decisions.background.get("unreadable") or []
    if unreadable:
        yield (
            f"{len(unreadable)} samples of the background could not be read and were "
            "passed over; run.json lists them"
        )

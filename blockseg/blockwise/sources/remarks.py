"""Remarks on a run's source for its last lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockseg.core.text import counted
from blockseg.io.masks.overlay import beyond_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blockseg.blockwise.planning.decisions import Decisions
    from blockseg.blockwise.sources.inputs import Inputs


def closing_remarks(inputs: Inputs, decisions: Decisions) -> tuple[str, ...]:
    """Return a line for each thing that was not as it should be, without a full stop."""
    return tuple(_remarks(inputs, decisions))


def unreadable_remarks(decisions: Decisions) -> Iterator[str]:
    """Yield a line if samples of the background could not be read."""
    unreadable = len(decisions.background.unreadable)
    if unreadable:
        were = "was" if unreadable == 1 else "were"
        yield (
            f"{counted(unreadable, 'sample')} of the background could not be read and "
            f"{were} passed over; run.json lists them"
        )


def mask_remarks(inputs: Inputs) -> Iterator[str]:
    """Yield a line where a part of the region lies beyond the mask's extent."""
    outside = inputs.outside_mask
    if outside:
        yield (
            f"{beyond_words(outside)} of the region lies outside of the mask's extent and "
            "was left empty"
        )


def _remarks(inputs: Inputs, decisions: Decisions) -> Iterator[str]:
    yield from inputs.source.remarks
    yield from unreadable_remarks(decisions)
    field = decisions.background.field
    if field is not None and field.filled:
        yield (
            f"{field.filled} of {field.nodes} nodes of the background field have no tissue "
            "around them and take level and noise of the nearest that have"
        )
    yield from mask_remarks(inputs)

"""Level and noise of a source that was repaired, or changed, after they were estimated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from blockseg.core.errors import VolumeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from blockseg.normalization.finding import BackgroundFinding, FieldSummary


@dataclass(frozen=True, slots=True)
class Levels:
    """Level and noise of the background that a run uses."""

    level: float
    """b, in grey levels."""

    sd: float
    """s, in grey levels."""

    field: FieldSummary | None = None
    """Background field; None where level and noise do not vary."""

    @classmethod
    def of(cls, found: BackgroundFinding) -> Levels | None:
        """Return the estimate; None where nothing was estimated."""
        if found.estimate is None:
            return None
        return cls(found.estimate.level, found.estimate.sd, found.field)

    def __str__(self) -> str:
        """Return both for a sentence."""
        return f"{self.level:.6g} and {self.sd:.6g}"


def other_background(
    found: Levels | None,
    unreadable: int,
    replaced: str,
    estimate: Callable[[], Levels | None],
) -> tuple[str, ...]:
    """Return a remark on an estimate that a run was begun with, a line or none.

    Parameters
    ----------
    found
        Level and noise of the background that the run uses; None where it estimates none.
    unreadable
        Samples that could not be read when it was found.
    replaced
        Which files of the source were replaced since.
    estimate
        Finds the same anew; may raise VolumeError.
    """
    if found is None or not (unreadable or replaced):
        return ()
    try:
        now = estimate()
    except VolumeError:
        return ()  # as damaged as before, or worse: blocks will tell
    if now == found:
        return ()
    why = (
        f"without {unreadable} samples that can be read now"
        if unreadable
        else f"before the source changed ({replaced})"
    )
    line = (
        f"level and noise of the background were estimated {why}: this result was made "
        f"with {found}, an undisturbed run takes {now}; --overwrite "
        "starts over"
    )
    return (line,)


def other_skipping(skips: bool, replaced: str) -> tuple[str, ...]:
    """Return a remark on what ``--sparse`` skips, a line or none.

    Parameters
    ----------
    skips
        Whether it skips anything.
    replaced
        Which files of the source were replaced since that was found out.
    """
    if not (skips and replaced):
        return ()
    line = (
        f"what --sparse skips was found out before the source changed ({replaced}); an "
        "undisturbed run may skip otherwise; --overwrite starts over"
    )
    return (line,)

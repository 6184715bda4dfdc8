"""Level and noise of a source that was repaired, or changed, after they were estimated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from blockseg.core.errors import VolumeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["other_background", "other_skipping"]


def other_background(
    found: Mapping[str, Any],
    unreadable: int,
    replaced: str,
    estimate: Callable[[], Mapping[str, Any]],
) -> tuple[str, ...]:
    """Return what to say of an estimate that a run was begun with, a line or none.

    Parameters
    ----------
    found
        Level and noise SD of the background that the run uses.
    unreadable
        Samples that could not be read when it was found.
    replaced
        Which files of the source were replaced since.
    estimate
        Finds the same anew; may raise VolumeError.
    """
    if not (unreadable or replaced) or "level" not in found:
        return ()
    try:
        now = estimate()
    except VolumeError:
        return ()  # as damaged as before, or worse: blocks will tell
    if all(now.get(key) == found.get(key) for key in ("level", "sd", "field")):
        return ()
    why = (
        f"without {unreadable} samples that can be read now"
        if unreadable
        else f"before the source changed ({replaced})"
    )
    line = (
        f"level and noise of the background were estimated {why}: this result was made "
        f"with {_said(found)}, an undisturbed run takes {_said(now)}; --overwrite starts "
        "anew"
    )
    return (line,)


def other_skipping(skips: bool, replaced: str) -> tuple[str, ...]:
    """Return what to say of what ``--sparse`` skips, a line or none.

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
        "undisturbed run may skip otherwise; --overwrite starts anew"
    )
    return (line,)


def _said(found: Mapping[str, Any]) -> str:
    return f"{found['level']:.6g} and {found['sd']:.6g}"

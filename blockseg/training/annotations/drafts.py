"""Distinction of drafts from labels that a person annotated.

A draft that nobody touched is what a network said. To learn from it, and to be scored on
it, is to learn one's own mistakes and to find none of them.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from blockseg.core.errors import VolumeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

STATE = "state"
"""Column of a manifest: ``done`` or ``skipped``."""

DRAFT = "draft_sha256"
"""Column of a manifest: hash of the draft that a label began as."""

DONE = "done"
"""State of a pick whose label holds as it is, changed or not."""

SKIPPED = "skipped"
"""State of a pick that is not to be learned from."""

Standing: TypeAlias = Literal["annotated", "draft", "skipped"]
"""Kind of a label: a person's work, an unchanged draft, or one to leave out."""


def label_hash(label: NDArray[np.generic]) -> str:
    """Return a hash of a label's voxels, in hexadecimal, whatever their type.

    Parameters
    ----------
    label
        Shape (z, y, x).
    """
    whole = np.ascontiguousarray(label, dtype="<i8" if _wide(label) else np.uint8)
    start = f"{label.shape}|{whole.dtype.str}|".encode()
    return hashlib.sha256(start + whole.tobytes()).hexdigest()


def standing(name: str, state: str, draft: str, label: NDArray[np.generic]) -> Standing:
    """Return the kind of a label, by the manifest's entry for its pick.

    Parameters
    ----------
    name
        Name of the pick.
    state, draft
        Columns of the manifest; what has no hash of a draft is annotated.
    label
        Label as it is now, shape (z, y, x).

    Raises
    ------
    VolumeError
        If the row's state is none that there is.
    """
    if state not in ("", DONE, SKIPPED):
        message = (
            f"the manifest says {state!r} of {name}; a pick's {STATE} is "
            f"{DONE}, {SKIPPED} or left out"
        )
        raise VolumeError(message)
    if state == SKIPPED:
        return "skipped"
    untouched = draft and state != DONE and label_hash(label) == draft
    return "draft" if untouched else "annotated"


def _wide(label: NDArray[Any]) -> bool:
    """Return whether some values do not fit a byte."""
    if label.dtype in (np.uint8, np.bool_) or not label.size:
        return False
    return bool(label.min() < 0 or label.max() > np.iinfo(np.uint8).max)

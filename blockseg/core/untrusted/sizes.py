"""Shapes that somebody else states, checked before anything is computed from them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from blockseg.core.text import times

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_AXIS = 10**9
"""Voxels along an axis: a metre at a nanometre."""

MOST_AXES = 16

LARGEST_PIECE = 2**40
"""Bytes that are decoded as a whole, at most; no machine that is read on has as many."""


def whole_numbers(stated: Any) -> tuple[int, ...]:
    """Return a list of whole numbers out of JSON.

    ``64.0`` is one, as JSON knows no other kind of number; ``64.5``, ``"64"`` and ``true``
    are none, though Python would take them.

    Raises
    ------
    ValueError
        If it is no such list.
    """
    if not isinstance(stated, list) or not all(map(_is_whole, stated)):
        message = f"{_shown(stated)} is no list of whole numbers"
        raise ValueError(message)
    return tuple(int(number) for number in stated)


def why_no_shape(shape: Sequence[int]) -> str:
    """Say why no volume can have a shape; empty if one can.

    Lengths of 0 are none of its business: that a volume is empty is told elsewhere.
    """
    if len(shape) > MOST_AXES:
        return f"it has {len(shape)} axes, more than {MOST_AXES}"
    if any(not 0 <= length <= LONGEST_AXIS for length in shape):
        return (
            f"a shape of {_lengths(shape)} is none that a volume can have (0 to "
            f"{LONGEST_AXIS} along an axis)"
        )
    return ""


def why_no_pieces(pieces: Sequence[int], shape: Sequence[int], itemsize: int) -> str:
    """Say why a volume cannot be stored in such pieces; empty if it can.

    Parameters
    ----------
    pieces
        Shape of a chunk, shard, strip or tile.
    shape
        Of the volume.
    itemsize
        Bytes of a voxel.
    """
    if len(pieces) != len(shape):
        return f"chunks of {_lengths(pieces)} do not fit a shape of {_lengths(shape)}"
    if any(not 0 < length <= LONGEST_AXIS for length in pieces):
        return f"chunks of {_lengths(pieces)} are none (at least 1 along each axis)"
    nbytes = math.prod(pieces) * itemsize
    if nbytes > LARGEST_PIECE:
        return (
            f"chunks of {_lengths(pieces)} voxels would take {nbytes / 2**40:.3g} TiB each; "
            "write it anew in smaller chunks"
        )
    return ""


def _is_whole(value: object) -> bool:
    if isinstance(value, float):
        return value.is_integer()  # not infinite, not nan
    return isinstance(value, int) and not isinstance(value, bool)


def _lengths(shape: Sequence[int]) -> str:
    return times(n if abs(n) < 10**21 else "…" for n in shape[:MOST_AXES])


def _shown(stated: object) -> str:
    if isinstance(stated, list):
        some = ", ".join(_shown(one) for one in stated[:5])
        return f"[{some}{', …' * (len(stated) > 5)}]"
    if isinstance(stated, dict):
        return "{…}" if stated else "{}"
    if isinstance(stated, int) and abs(stated) >= 10**21:
        return "…"
    text = repr(stated)
    return text if len(text) <= 40 else f"{text[:40]}…"

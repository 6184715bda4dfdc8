"""The holes of blocks: of one as it reports them, and of a run as it ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.geometry import Roi, to_zyx
from blockseg.core.holes import Hole
from blockseg.io.holes.flat import holes_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from blockseg.io.holes.mended_volume import Seen

_OF_BLOCK = 32  # holes that a block tells apart; more are told as one
_JOINED = 4096  # pieces that are put together at the end; more are only counted
_LISTED = 64  # holes in the result
_SHOWN = 3  # of these, named to people


@dataclass(frozen=True, slots=True)
class FoundHole:
    """One part of a source without data; its fields are the keys of ``run.json``."""

    roi: str
    """Box around it, in the source's voxels, as ``--roi`` takes it."""

    voxels: int
    """Its voxels."""


@dataclass(frozen=True, slots=True)
class FoundHoles:
    """Parts of a source without data; its fields are the keys of ``run.json``."""

    voxels: int
    """Voxels of all together."""

    share: float
    """Share of these in the voxels written."""

    count: int
    """Number of holes."""

    largest: tuple[FoundHole, ...]
    """The largest ones, the largest first."""


def holes_in(
    seen: Seen, roi: Roi, inside: NDArray[np.bool_] | None = None
) -> tuple[Hole, ...]:
    """Return the holes of a block, the part of them that lies in the user's mask.

    Parameters
    ----------
    seen
        The block.
    roi
        Where it lies in the volume.
    inside
        The mask; None where there is none.
    """
    if seen.missing is None:
        return ()
    missing = seen.missing if inside is None else seen.missing & inside
    found = sorted(
        (Hole(*one) for one in holes_of(missing, roi.start)),
        key=lambda hole: (-hole.voxels, hole.roi.start),
    )
    if len(found) <= _OF_BLOCK:
        return tuple(found)
    last = found[_OF_BLOCK - 1 :]
    box = last[0].roi
    for hole in last:
        box = _around(box, hole.roi)
    return (*found[: _OF_BLOCK - 1], Hole(box, sum(hole.voxels for hole in last)))


def hole_outcome(holes: Iterable[Hole], written: int) -> FoundHoles | None:
    """Return the holes that blocks found, with the parts of each put together.

    Parameters
    ----------
    holes
        Of all blocks.
    written
        Voxels of all blocks.

    Returns
    -------
    None if there are no holes.
    """
    parts = list(holes)
    if not parts:
        return None
    joined = _joined(parts) if len(parts) <= _JOINED else parts
    joined.sort(key=lambda hole: (-hole.voxels, hole.roi.start))
    voxels = sum(hole.voxels for hole in parts)
    return FoundHoles(
        voxels=voxels,
        share=voxels / max(written, 1),
        count=len(joined),
        largest=tuple(
            FoundHole(str(hole.roi), hole.voxels) for hole in joined[:_LISTED]
        ),
    )


def hole_lines(found: FoundHoles | None) -> tuple[str, ...]:
    """Return the same for people, without a full stop."""
    if found is None:
        return ()
    places = [
        f"z {z}, y {y}, x {x}"
        for z, y, x in (hole.roi.split(",") for hole in found.largest[:_SHOWN])
    ]
    first = "at" if found.count == 1 else f"in {found.count} holes, the largest at"
    text = (
        f"holes: {found.voxels:,} voxels ({_percent(found.share)}) are no data, "
        f"{first} {'; '.join(places)}; nothing is painted there, and blocks/nodata shows "
        "where"
    )
    return (text,)


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.1 else f"{share:.0%}".replace("%", " %")


def _joined(parts: list[Hole]) -> list[Hole]:
    """Put together what touches."""
    start = np.array([hole.roi.start for hole in parts])
    stop = np.array([hole.roi.stop for hole in parts])
    group = np.arange(len(parts))
    for k in range(len(parts)):
        touches = (start <= stop[k]).all(axis=1) & (stop >= start[k]).all(axis=1)
        found = np.unique(group[touches])
        group[np.isin(group, found)] = found[0]
    joined = []
    for number in np.unique(group):
        some = group == number
        box = Roi(to_zyx(start[some].min(axis=0)), to_zyx(stop[some].max(axis=0)))
        voxels = sum(parts[k].voxels for k in np.flatnonzero(some))
        joined.append(Hole(box, voxels))
    return joined


def _around(one: Roi, other: Roi) -> Roi:
    return Roi(
        to_zyx(map(min, one.start, other.start)), to_zyx(map(max, one.stop, other.stop))
    )

"""Lengths and places as microscopes and file formats spell them, in micrometres."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from blockseg.core.space import Space

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blockseg.core.space import Vector

_NAMES = {
    1e-6: ("picometer", "pm"),
    1e-4: ("angstrom", "å", "ångström"),
    1e-3: ("nanometer", "nm"),
    # The micro sign; the Greek letter is folded to it below.
    1.0: ("micrometer", "um", "µm", "micron"),
    1e3: ("millimeter", "mm"),
    1e4: ("centimeter", "cm"),
    25_400.0: ("inch", "in"),
    1e5: ("decimeter", "dm"),
    304_800.0: ("foot", "ft"),
    1e6: ("meter", "m"),
    1e9: ("kilometer", "km"),
}
_MICROMETRES = {name: length for length, names in _NAMES.items() for name in names}
_SHORTEST, _LONGEST = 1e-9, 1e12  # of a voxel, whatever the unit
_FARTHEST = 1e15


def micrometres(unit: object) -> float | None:
    r"""Return the length of a unit in micrometres, or None if it is no unit of length.

    Accepts abbreviations, British spelling, plurals, both signs for micro and
    ImageJ's escape (a backslash and ``u00B5m``). ``pixel`` is not a length.
    """
    if not isinstance(unit, str):
        return None
    name = unit.strip().replace("\\u00B5", "µ").replace("\\u00b5", "µ")
    name = name.lower().replace("μ", "µ").replace("metre", "meter")
    return _MICROMETRES.get(name, _MICROMETRES.get(name.removesuffix("s")))


def space_of(
    scale: Sequence[float],
    place: Sequence[float],
    units: object,
    problem: str = "",
) -> Space:
    """Return a space from numbers along (z, y, x), whatever their unit.

    Parameters
    ----------
    scale
        Voxel size; numbers that no voxel can have make the space's problem.
    place
        Centre of the first voxel.
    units
        Three names of units, or anything else if there are none.
    problem
        Why no numbers could be read, where that is so.
    """
    flipped = [
        f"{name} ({s:g})"
        for name, s in zip("zyx", scale, strict=True)
        if -math.inf < s < 0
    ]
    if not problem and not all(math.isfinite(s) and s > 0 for s in scale):
        numbers = ",".join(f"{s:g}" for s in scale)
        problem = (
            f"its metadata flip the axis {' and '.join(flipped)}, which blockseg does not"
            if flipped and all(math.isfinite(s) and s for s in scale)
            else f"its metadata state a voxel size of {numbers} (z,y,x), which none can be"
        )
    if not problem and not all(map(math.isfinite, place)):
        numbers = ",".join(f"{t:g}" for t in place)
        problem = f"its metadata place the first voxel at {numbers} (z,y,x)"
    if problem:
        return Space(problem=problem)
    named = list(units) if isinstance(units, (list, tuple)) else [None] * 3
    factors = [micrometres(unit) for unit in named]
    known = [factor for factor in factors if factor is not None]
    if len(known) != 3:
        odd = next((str(n) for n in named if n and micrometres(n) is None), "")
        return _plausible(scale, place, None, odd)
    return _plausible(
        [s * f for s, f in zip(scale, known, strict=True)],
        [t * f for t, f in zip(place, known, strict=True)],
        "micrometer",
    )


def _plausible(
    scale: Sequence[float],
    place: Sequence[float],
    unit: Literal["micrometer"] | None,
    odd: str = "",
) -> Space:
    """Return a space, of which products and quotients of lengths are finite numbers."""
    if not all(_SHORTEST <= s <= _LONGEST for s in scale):
        numbers = ",".join(f"{s:g}" for s in scale)
        return Space(
            problem=f"its metadata state a voxel size of {numbers} (z,y,x), which none can be"
        )
    if not all(abs(t) <= _FARTHEST for t in place):
        numbers = ",".join(f"{t:g}" for t in place)
        return Space(problem=f"its metadata place the first voxel at {numbers} (z,y,x)")
    return Space(_vector(scale), unit, _vector(place), stated_unit=odd)


def _vector(values: Any) -> Vector:
    z, y, x = (float(value) for value in values)
    return (z, y, x)

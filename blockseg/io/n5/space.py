"""Voxel sizes as the writers of N5 state them, each in its own way.

BigDataViewer and BigStitcher put ``resolution`` on a group and
``downsamplingFactors`` on the levels or, as a list of lists, on a group; N5
viewers write ``pixelResolution`` beside ``downsamplingFactors`` or a list
``scales``; others a ``transform`` with scale, translate and units. All but the
last count x first.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from blockseg.core.space import Space
from blockseg.io.axis_names import letter_of
from blockseg.io.factors import factor_between
from blockseg.io.units import space_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blockseg.io.n5.attributes import N5Attributes, N5Transform


def n5_space(
    lineage: Sequence[N5Attributes],
    axes: Sequence[str],
    level: int,
    finest: N5Attributes | None,
) -> Space:
    """Return the space of a dataset.

    Parameters
    ----------
    lineage
        Attributes of the dataset, its group, that one's group and so on.
    axes
        One letter for each axis of the dataset, in C order.
    level
        Resolution level of the dataset.
    finest
        Attributes of the level 0 beside it; None if it is level 0 itself.

    Returns
    -------
    In micrometres where a unit is stated; voxels of size 1 where nothing is.
    """
    if any(list(axes).count(name) != 1 for name in "zyx"):
        return Space()
    own = lineage[0]
    transform = own.transform
    if transform is None and len(lineage) > 1:
        transform = lineage[1].transform_of(f"s{level}")
    space = None if transform is None else _transformed(transform, axes)
    if space is not None:
        return space
    nearest = next((a for a in lineage if a.voxel_size is not None), None)
    if nearest is None or nearest.voxel_size is None:
        return Space()
    found = _resolution(nearest, axes)
    if found is None:
        value = nearest.voxel_size[0]
        return Space(problem=f"its N5 attributes state a voxel size of {value!r}")
    size, unit = found
    factors = _factors(lineage, axes, level, finest)
    ours = _resolution(own, axes)
    theirs = None if finest is None else _resolution(finest, axes)
    if ours and theirs and ours[0] != theirs[0]:
        fine = theirs[0]  # this writer states each level's own voxel size
        scale = size
        factors = [s / f for s, f in zip(size, fine, strict=True)]
    else:
        fine = size
        scale = [s * f for s, f in zip(size, factors, strict=True)]
    place = [(f - 1) / 2 * s for f, s in zip(factors, fine, strict=True)]
    unit = unit or next((a.unit for a in lineage if a.unit), None)
    return space_of(scale, place, [unit] * 3 if isinstance(unit, str) else unit)


def _resolution(
    attributes: N5Attributes, axes: Sequence[str]
) -> tuple[list[float], Any] | None:
    """Return (voxel size along zyx, unit) that one folder states, or None."""
    stated = attributes.voxel_size
    size = None if stated is None else _zyx(stated[0], axes)
    if stated is None or size is None or min(size) <= 0:
        return None
    return size, stated[1]


def _factors(
    lineage: Sequence[N5Attributes],
    axes: Sequence[str],
    level: int,
    finest: N5Attributes | None,
) -> list[float]:
    for attributes in lineage:
        for value in attributes.factors(level):
            factors = _zyx(value, axes)
            if factors is not None and min(factors) > 0:
                return factors
    ours = _zyx(lineage[0].dimensions, axes)
    theirs = None if finest is None else _zyx(finest.dimensions, axes)
    if ours and theirs:
        return [factor_between(n, m) for n, m in zip(theirs, ours, strict=True)]
    return [1.0, 1.0, 1.0]


def _transformed(stated: N5Transform, axes: Sequence[str]) -> Space | None:
    if stated.names is None:
        return None
    letters = [letter_of(name) for name in stated.names] or list(axes)
    if any(letters.count(name) != 1 for name in "zyx"):
        return None
    places = [letters.index(name) for name in "zyx"]
    units = stated.units
    units = [units] * len(letters) if isinstance(units, str) else units
    try:
        return space_of(
            [float(stated.scale[i]) for i in places],
            [float(stated.place[i]) for i in places] if stated.place else [0.0] * 3,
            [units[i] for i in places] if units else None,
        )
    except (TypeError, ValueError, IndexError, OverflowError):
        return Space(problem=f"its N5 attributes hold a transform {stated.text}")


def _zyx(value: object, axes: Sequence[str]) -> list[float] | None:
    """Return the entries for z, y and x of a list that counts x first."""
    if not isinstance(value, list) or len(value) not in (3, len(axes)):
        return None
    try:
        numbers = [float(number) for number in reversed(value)]
    except (TypeError, ValueError, OverflowError):
        return None
    if not all(math.isfinite(number) for number in numbers):
        return None
    if len(numbers) == len(axes):
        return [numbers[list(axes).index(name)] for name in "zyx"]
    return numbers

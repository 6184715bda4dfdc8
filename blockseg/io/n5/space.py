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
from blockseg.io.zarr.ome import space_of

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["n5_space"]

_Attributes = dict[str, Any]


def n5_space(
    lineage: Sequence[_Attributes],
    axes: Sequence[str],
    level: int,
    finest: _Attributes,
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
        Attributes of the level 0 beside it; empty if it is level 0 itself.

    Returns
    -------
    In micrometres where a unit is stated; voxels of size 1 where nothing is.
    """
    if any(list(axes).count(name) != 1 for name in "zyx"):
        return Space()
    own = lineage[0]
    stated = _transform(own.get("transform") or _listed(lineage, level), axes)
    if stated is not None:
        return stated
    nearest = next((a for a in lineage if _statement(a) is not None), None)
    if nearest is None:
        return Space()
    found = _resolution(nearest, axes)
    if found is None:
        value, _ = _statement(nearest) or (None, None)
        return Space(problem=f"its N5 attributes state a voxel size of {value!r}")
    size, unit = found
    factors = _factors(lineage, axes, level, finest)
    ours, theirs = _resolution(own, axes), _resolution(finest, axes)
    if ours and theirs and ours[0] != theirs[0]:
        fine = theirs[0]  # this writer states each level's own voxel size
        scale = size
        factors = [s / f for s, f in zip(size, fine, strict=True)]
    else:
        fine = size
        scale = [s * f for s, f in zip(size, factors, strict=True)]
    place = [(f - 1) / 2 * s for f, s in zip(factors, fine, strict=True)]
    unit = unit or next((u for u in map(_unit, lineage) if u), None)
    return space_of(scale, place, [unit] * 3 if isinstance(unit, str) else unit)


def _statement(attributes: _Attributes) -> tuple[Any, Any] | None:
    """Return (voxel size, unit) as one folder states them, or None."""
    for key in ("pixelResolution", "resolution"):
        value, unit = attributes.get(key), None
        if isinstance(value, dict):
            unit = value.get("unit")
            value = value.get("dimensions") or value
        if value is not None:
            return value, unit
    return None


def _resolution(attributes: _Attributes, axes: Sequence[str]) -> Any:
    """Return (voxel size along zyx, unit) that one folder states, or None."""
    stated = _statement(attributes)
    size = None if stated is None else _zyx(stated[0], axes)
    if stated is None or size is None or min(size) <= 0:
        return None
    return size, stated[1]


def _factors(
    lineage: Sequence[_Attributes],
    axes: Sequence[str],
    level: int,
    finest: _Attributes,
) -> list[float]:
    for attributes in lineage:
        for key in ("downsamplingFactors", "scales"):
            value = attributes.get(key)
            if isinstance(value, list) and value and isinstance(value[0], list):
                value = value[level] if level < len(value) else None
            factors = _zyx(value, axes)
            if factors is not None and min(factors) > 0:
                return factors
    ours, theirs = (_zyx(a.get("dimensions"), axes) for a in (lineage[0], finest))
    if ours and theirs:
        return [factor_between(n, m) for n, m in zip(theirs, ours, strict=True)]
    return [1.0, 1.0, 1.0]


def _transform(value: Any, axes: Sequence[str]) -> Space | None:
    if not isinstance(value, dict):
        return None
    names = value.get("axes") or list(axes)
    scale, place = value.get("scale"), value.get("translate")
    units = value.get("units")
    if not isinstance(names, list):
        return None
    letters = [letter_of(str(name)) for name in names]
    if any(letters.count(name) != 1 for name in "zyx"):
        return None
    places = [letters.index(name) for name in "zyx"]
    units = [units] * len(names) if isinstance(units, str) else units
    try:
        return space_of(
            [float(scale[i]) for i in places],  # type: ignore[index]
            [float(place[i]) for i in places] if place else [0.0] * 3,
            [units[i] for i in places] if units else None,
        )
    except (TypeError, ValueError, IndexError, OverflowError):
        return Space(problem=f"its N5 attributes hold a transform {value!r}")


def _listed(lineage: Sequence[_Attributes], level: int) -> Any:
    """Return the transform that the group of a dataset lists for it (COSEM)."""
    multiscales = lineage[1].get("multiscales") if len(lineage) > 1 else None
    try:
        datasets = multiscales[0]["datasets"]  # type: ignore[index]
        named = [d for d in datasets if str(d["path"]).strip("/") == f"s{level}"]
        return named[0].get("transform")
    except (TypeError, KeyError, IndexError, AttributeError):
        return None


def _zyx(value: Any, axes: Sequence[str]) -> list[float] | None:
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


def _unit(attributes: _Attributes) -> Any:
    for key in ("units", "unit", "pixelResolutionUnit"):
        value = attributes.get(key)
        if isinstance(value, str):
            return value
        if isinstance(value, list) and len(value) == 3:
            return value[::-1]
    return None

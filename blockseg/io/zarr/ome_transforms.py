"""Scales and translations out of the transformations of OME-NGFF, 0.4 to 0.6.

A list of numbers for each axis is all that a voxel size can come from. Whatever else a
transformation may do (rotate, shear, permute axes, look coordinates up) raises
:class:`NoScaleError`, which says what it is.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

_ARRAY_AXIS = re.compile(r"dim_(\d+)")
_STORED = " (--axes says in which order they are stored)"
_TINY = 1e-9  # of the largest entry of a matrix: rounding, and no shear


class NoScaleError(Exception):
    """Transformations of which no voxel size can be read; says which and why."""


@dataclass(frozen=True, slots=True)
class ScaleLike:
    """Factors and shifts of the index on each axis."""

    scale: tuple[float, ...]
    """Factor of each axis."""

    place: tuple[float, ...]
    """Shift of each axis."""

    stated: bool = True
    """Whether there was a scale; where there was none its factors are 1."""

    @classmethod
    def identity(cls, ndim: int, *, stated: bool = True) -> Self:
        """Return the identity of all axes."""
        return cls((1.0,) * ndim, (0.0,) * ndim, stated)

    def then(self, other: ScaleLike) -> ScaleLike:
        """Return this, followed by another."""
        return ScaleLike(
            tuple(a * b for a, b in zip(self.scale, other.scale, strict=True)),
            tuple(
                p * b + q
                for p, b, q in zip(self.place, other.scale, other.place, strict=True)
            ),
            self.stated or other.stated,
        )


@dataclass(frozen=True, slots=True)
class Transformation:
    """One entry of the metadata, from a coordinate system to another."""

    source: str
    """Name of the system that it starts from; empty if none is named."""

    target: str
    """Name of the system that it leads to; empty if none is named."""

    linked: bool
    """Whether both ends are stated."""

    _stated: object

    @classmethod
    def from_plain(cls, stated: object) -> Self:
        """Take an entry as JSON has it."""
        entry = stated if isinstance(stated, dict) else {}
        linked = {"input", "output"} <= entry.keys()
        return cls(
            _name(entry.get("input")), _name(entry.get("output")), linked, stated
        )

    def scale_like(self, axes: Sequence[str]) -> ScaleLike:
        """Return the effect on the axes, named as the metadata spell them.

        Raises
        ------
        NoScaleError
            If it is more than a scale and a translation.
        """
        return _read(self._stated, axes)


def compose(
    transformations: Iterable[Transformation], axes: Sequence[str]
) -> ScaleLike:
    """Apply transformations one after the other; as :meth:`Transformation.scale_like`."""
    return _composed((one.scale_like(axes) for one in transformations), len(axes))


def _composed(parts: Iterable[ScaleLike], ndim: int) -> ScaleLike:
    return reduce(ScaleLike.then, parts, ScaleLike.identity(ndim, stated=False))


def _name(system: object) -> str:
    if isinstance(system, dict):
        system = system.get("name") or system.get("path")
    return system if isinstance(system, str) else ""


def _read(transformation: object, axes: Sequence[str]) -> ScaleLike:
    if not isinstance(transformation, dict):
        message = f"a transformation that is no object ({transformation!r})"
        raise NoScaleError(message)
    kind = transformation.get("type")
    if transformation.get("path") is not None and kind != "identity":
        message = f"a transformation {kind!r} whose numbers are stored in an array"
        raise NoScaleError(message)
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        message = f"a transformation {kind!r}"
        raise NoScaleError(message)
    return reader(transformation, axes)


def _identity(_: Mapping[str, Any], axes: Sequence[str]) -> ScaleLike:
    return ScaleLike.identity(len(axes))


def _scale(transformation: Mapping[str, Any], axes: Sequence[str]) -> ScaleLike:
    scale = _numbers(transformation, "scale", len(axes))
    return ScaleLike(scale, (0.0,) * len(axes))


def _translation(transformation: Mapping[str, Any], axes: Sequence[str]) -> ScaleLike:
    place = _numbers(transformation, "translation", len(axes))
    return ScaleLike((1.0,) * len(axes), place, stated=False)


def _sequence(transformation: Mapping[str, Any], axes: Sequence[str]) -> ScaleLike:
    parts = (_read(part, axes) for part in _parts(transformation))
    return _composed(parts, len(axes))


def _bijection(transformation: Mapping[str, Any], axes: Sequence[str]) -> ScaleLike:
    return _read(transformation.get("forward") or {}, axes)


def _matrix(transformation: Mapping[str, Any], axes: Sequence[str]) -> ScaleLike:
    """Read a matrix of rows an output axis, with or without a column of shifts."""
    kind, ndim = str(transformation["type"]), len(axes)
    rows: Any = transformation.get(kind)
    if isinstance(rows, list) and rows and not isinstance(rows[0], list):
        width = ndim + 1 if len(rows) % (ndim + 1) == 0 else ndim
        rows = [rows[i : i + width] for i in range(0, len(rows), width)]
    shaped = isinstance(rows, list) and len(rows) in (ndim, ndim + 1)
    if (
        not shaped
        or not all(isinstance(row, list) for row in rows)
        or {len(row) for row in rows} not in ({ndim}, {ndim + 1})
    ):
        message = f"a transformation {kind!r} that does not fit {ndim} axes"
        raise NoScaleError(message)
    numbers = [_floats(row, kind) for row in rows[:ndim]]
    largest = max(abs(n) for row in numbers for n in row[:ndim])
    turned = any(
        abs(n) > _TINY * largest
        for i, row in enumerate(numbers)
        for j, n in enumerate(row[:ndim])
        if i != j
    )
    if turned:
        message = (
            f"a transformation {kind!r} that turns, shears or permutes axes{_STORED}"
        )
        raise NoScaleError(message)
    return ScaleLike(
        tuple(row[i] for i, row in enumerate(numbers)),
        tuple(row[ndim] if len(row) > ndim else 0.0 for row in numbers),
    )


def _map_axis(transformation: Mapping[str, Any], axes: Sequence[str]) -> ScaleLike:
    mapping = transformation.get("mapAxis")
    if isinstance(mapping, dict):
        pairs = [(_position(a, axes), _position(b, axes)) for a, b in mapping.items()]
    elif isinstance(mapping, list) and len(mapping) == len(axes):
        pairs = [(i, _position(b, axes)) for i, b in enumerate(mapping)]
    else:
        pairs = [(0, None)]
    if any(a is None or a != b for a, b in pairs):
        message = f"a transformation 'mapAxis' that permutes axes{_STORED}"
        raise NoScaleError(message)
    return ScaleLike.identity(len(axes), stated=False)


def _by_dimension(transformation: Mapping[str, Any], axes: Sequence[str]) -> ScaleLike:
    scale: dict[int, float] = {}
    place: dict[int, float] = {}
    for part in _parts(transformation):
        if not isinstance(part, dict):
            message = "a transformation 'byDimension' of a wrong form"
            raise NoScaleError(message)
        inner = part.get("transformation", part)
        ends = [
            [_position(name, axes) for name in _listed(part, *keys)]
            for keys in (("input_axes", "input"), ("output_axes", "output"))
        ]
        if ends[0] != ends[1] or not ends[0] or None in ends[0]:
            message = f"a transformation 'byDimension' that permutes axes{_STORED}"
            raise NoScaleError(message)
        positions = [position for position in ends[0] if position is not None]
        found = _read(inner, [axes[position] for position in positions])
        if found.stated:
            scale |= dict(zip(positions, found.scale, strict=True))
        place |= dict(zip(positions, found.place, strict=True))
    left = [name for i, name in enumerate(axes) if i not in scale]
    if left:
        message = f"a transformation 'byDimension' without a scale of {', '.join(left)}"
        raise NoScaleError(message)
    return ScaleLike(
        tuple(scale[i] for i in range(len(axes))),
        tuple(place.get(i, 0.0) for i in range(len(axes))),
    )


_READERS: dict[str, Callable[[Mapping[str, Any], Sequence[str]], ScaleLike]] = {
    "identity": _identity,
    "scale": _scale,
    "translation": _translation,
    "sequence": _sequence,
    "affine": _matrix,
    "rotation": _matrix,
    "mapAxis": _map_axis,
    "byDimension": _by_dimension,
    "bijection": _bijection,
}


def _parts(transformation: Mapping[str, Any]) -> list[Any]:
    parts = transformation.get("transformations")
    if not isinstance(parts, list):
        message = f"a transformation {transformation['type']!r} without parts"
        raise NoScaleError(message)
    return parts


def _numbers(
    transformation: Mapping[str, Any], key: str, ndim: int
) -> tuple[float, ...]:
    values = transformation.get(key)
    if not isinstance(values, list) or len(values) != ndim:
        message = f"a {key} {values!r} that does not fit {ndim} axes"
        raise NoScaleError(message)
    return tuple(_floats(values, key))


def _floats(values: Sequence[object], key: str) -> list[float]:
    """Return numbers of JSON as they are, not what may be read as some."""
    found = []
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            message = f"a {key} {list(values)!r} that holds no numbers"
            raise NoScaleError(message)
        try:
            found.append(float(value))
        except OverflowError:  # JSON's integers have no end
            found.append(math.inf)
    return found


def _listed(part: Mapping[str, Any], *keys: str) -> list[object]:
    value = next((part[key] for key in keys if key in part), None)
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def _position(name: object, axes: Sequence[str]) -> int | None:
    if isinstance(name, int) and not isinstance(name, bool):
        return name if 0 <= name < len(axes) else None
    if isinstance(name, str) and name in axes:
        return list(axes).index(name)
    match = _ARRAY_AXIS.fullmatch(name) if isinstance(name, str) else None
    return int(match[1]) if match and int(match[1]) < len(axes) else None

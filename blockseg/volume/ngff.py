"""Read the ``multiscales`` of OME-NGFF images, versions 0.1 to 0.5."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from blockseg.core.errors import VolumeError
from blockseg.core.space import Space, Vector
from blockseg.volume.axes import default_axes
from blockseg.volume.units import micrometres

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Dataset", "read_multiscales", "space_of"]

_KNOWN = ("t", "c", "z", "y", "x")
_LETTERS = {"time": "t", "channel": "c"}


@dataclass(frozen=True, slots=True)
class Dataset:
    """One resolution level of an OME-NGFF image."""

    path: str
    """Array, relative to the image's group."""

    axes: tuple[str, ...]
    """One letter for each axis of the array."""

    space: Space
    """Voxel size and place, in micrometres where the three axes state a unit."""


def read_multiscales(
    attributes: Mapping[str, Any], where: str
) -> tuple[Dataset, ...] | None:
    """Return the levels of the first image that a group's attributes describe.

    Parameters
    ----------
    attributes
        Of the group; version 0.5 keeps its own under ``ome``.
    where
        How to call the group in messages.

    Returns
    -------
    The levels, finest first; None if the group is no OME-NGFF image.

    Raises
    ------
    VolumeError
        If the metadata are incomplete or of a wrong form.
    """
    ome = attributes.get("ome")
    holder = ome if isinstance(ome, dict) and "multiscales" in ome else attributes
    if "multiscales" not in holder:
        return None
    try:
        return _datasets(holder["multiscales"][0])
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        message = f"{where}: its OME-NGFF metadata cannot be understood ({error!r})"
        raise VolumeError(message) from error


def space_of(scale: Sequence[float], place: Sequence[float], units: object) -> Space:
    """Return a space from numbers along (z, y, x), whatever their unit.

    Parameters
    ----------
    scale
        Voxel size; numbers that no voxel can have count as not stated.
    place
        Centre of the first voxel.
    units
        Three names of units, or anything else if there are none.
    """
    if not all(math.isfinite(s) and s > 0 for s in scale):
        return Space()
    if not all(math.isfinite(t) for t in place):
        place = (0.0, 0.0, 0.0)
    named = list(units) if isinstance(units, (list, tuple)) else [None] * 3
    factors = [micrometres(unit) for unit in named]
    known = [factor for factor in factors if factor is not None]
    if len(known) != 3:
        return Space(_vector(scale), None, _vector(place))
    return Space(
        _vector(s * f for s, f in zip(scale, known, strict=True)),
        "micrometer",
        _vector(t * f for t, f in zip(place, known, strict=True)),
    )


def _datasets(multiscale: dict[str, Any]) -> tuple[Dataset, ...]:
    entries = multiscale.get("axes")
    if entries is None:  # versions 0.1 and 0.2: always five axes
        entries = list(default_axes(5))
    axes = tuple(_letter(entry) for entry in entries)
    units = [
        entry.get("unit") if isinstance(entry, dict) else None for entry in entries
    ]
    outer = multiscale.get("coordinateTransformations")
    found = []
    for dataset in multiscale["datasets"]:
        inner = dataset.get("coordinateTransformations")
        scale, place = _compose([*(inner or []), *(outer or [])], len(axes))
        space = Space()
        if all(axes.count(name) == 1 for name in "zyx"):
            zyx = [axes.index(name) for name in "zyx"]
            space = space_of(
                [scale[i] for i in zyx],
                [place[i] for i in zyx],
                [units[i] for i in zyx],
            )
        found.append(Dataset(str(dataset["path"]).strip("/"), axes, space))
    if not found:
        message = "no datasets"
        raise ValueError(message)
    return tuple(found)


def _letter(entry: dict[str, str] | str) -> str:
    if isinstance(entry, str):
        return entry.lower()
    name = entry["name"].lower()
    return name if name in _KNOWN else _LETTERS.get(entry.get("type", ""), name)


def _compose(
    transformations: Sequence[dict[str, Any]], ndim: int
) -> tuple[list[float], list[float]]:
    """Apply scales and translations one after the other."""
    scale, place = [1.0] * ndim, [0.0] * ndim
    for transformation in transformations:
        if transformation["type"] == "scale":
            by = [float(s) for s in transformation["scale"]]
            scale = [a * b for a, b in zip(scale, by, strict=True)]
            place = [a * b for a, b in zip(place, by, strict=True)]
        elif transformation["type"] == "translation":
            by = [float(t) for t in transformation["translation"]]
            place = [a + b for a, b in zip(place, by, strict=True)]
    return scale, place


def _vector(values: Any) -> Vector:
    z, y, x = (float(value) for value in values)
    return (z, y, x)

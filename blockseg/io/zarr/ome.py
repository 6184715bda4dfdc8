"""Metadata ``multiscales`` of OME-NGFF images, versions 0.1 to 0.6."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from blockseg.core.errors import VolumeError
from blockseg.core.space import Space
from blockseg.core.untrusted.json_text import MALFORMED, shortened
from blockseg.io.axes import default_axes
from blockseg.io.axis_names import letter_of
from blockseg.io.layout import MOST_LEVELS, inner_path
from blockseg.io.units import micrometres, space_of
from blockseg.io.zarr.ome_transforms import NoScaleError, Transformation, compose

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LETTERS = {"time": "t", "channel": "c"}
_MOST = 256  # axes, systems, transformations of a list


@dataclass(frozen=True, slots=True)
class Dataset:
    """One resolution level of an OME-NGFF image."""

    path: str
    """Array, relative to the image's group."""

    axes: tuple[str, ...]
    """One letter for each axis of the array."""

    space: Space
    """Voxel size and place, in micrometres where the three axes state a unit."""

    named: bool = True
    """Whether the axes are stated, and not the five that versions 0.1 and 0.2 imply."""


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
        multiscale = holder["multiscales"][0]
        version = multiscale.get("version") or holder.get("version") or ""
        return _datasets(multiscale, str(version))
    except MALFORMED as error:
        message = (
            f"{where}: its OME-NGFF metadata cannot be understood ({shortened(error)}); "
            "correct them"
        )
        raise VolumeError(message) from error


def _datasets(multiscale: dict[str, Any], version: str) -> tuple[Dataset, ...]:
    systems = _systems(multiscale)
    outer = _transformations(multiscale, "coordinateTransformations")
    found = []
    if len(multiscale["datasets"]) > MOST_LEVELS:
        message = (
            f"{len(multiscale['datasets'])} resolution levels, more than {MOST_LEVELS}"
        )
        raise ValueError(message)
    for dataset in multiscale["datasets"]:
        inner = _transformations(
            dataset, "coordinateTransformations", "transformations"
        )
        chain = _chain(inner)
        entries = _axes(multiscale, systems, chain)
        if systems:
            chain, entries = _onwards(chain, entries, outer, systems)
        else:
            chain = [*chain, *outer]
        names = [_name(entry) for entry in entries]
        axes = tuple(_letter(entry) for entry in entries)
        units = [_unit(entry) for entry in entries]
        space = Space()
        if all(axes.count(name) == 1 for name in "zyx"):
            zyx = [axes.index(name) for name in "zyx"]
            space = _space(chain, names, zyx, units, version)
        path = inner_path(dataset["path"])
        found.append(
            Dataset(path, axes, space, bool(systems or multiscale.get("axes")))
        )
    if not found:
        message = "no datasets"
        raise ValueError(message)
    return tuple(found)


def _space(
    chain: Sequence[Transformation],
    names: Sequence[str],
    zyx: Sequence[int],
    units: Sequence[Any],
    version: str,
) -> Space:
    along = [units[i] for i in zyx]
    ones, nowhere = (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)
    try:
        whole = compose(chain, names)
    except NoScaleError as error:
        problem = f"its OME-NGFF{version and ' '}{version} metadata hold {error}"
        return space_of(ones, nowhere, along, problem)
    if not whole.stated and any(along):
        problem = "its OME-NGFF metadata state a unit, but no scale"
        return space_of(ones, nowhere, along, problem)
    return space_of([whole.scale[i] for i in zyx], [whole.place[i] for i in zyx], along)


def _systems(multiscale: dict[str, Any]) -> dict[str, list[Any]]:
    """Return the axes of each coordinate system (0.6), by its name."""
    return {
        str(system["name"]): list(system["axes"])
        for system in _list_of(multiscale, "coordinateSystems")
    }


def _axes(
    multiscale: dict[str, Any],
    systems: dict[str, list[Any]],
    chain: Sequence[Transformation],
) -> list[Any]:
    if systems:
        target = systems.get(_end(chain))
        first = next(iter(systems.values()))
        return target or next(filter(_measures, systems.values()), first)
    entries = multiscale.get("axes")
    # Versions 0.1 and 0.2: always five axes.
    return list(default_axes(5)) if entries is None else _few(entries)


def _chain(entries: Sequence[Transformation]) -> list[Transformation]:
    """Return the transformations from the array to its first coordinate system."""
    if not all(entry.linked for entry in entries):
        return list(entries)  # up to 0.5: one after the other
    chain: list[Transformation] = []
    for entry in entries:
        if not chain or entry.source == chain[-1].target:
            chain.append(entry)
    return chain


def _onwards(
    chain: list[Transformation],
    entries: list[Any],
    outer: Sequence[Transformation],
    systems: dict[str, list[Any]],
) -> tuple[list[Transformation], list[Any]]:
    """Go on to a system that measures, where the array's first one does not.

    Returns
    -------
    The transformations from the array, and the axes of the system to which they lead.
    """
    if _measures(entries):
        return chain, entries
    ways, seen = [(chain, entries)], {_end(chain)}
    for way, _ in ways:
        for entry in outer:
            axes = systems.get(entry.target, [])
            if entry.source != _end(way) or entry.target in seen:
                continue
            if len(axes) == len(entries):
                seen.add(entry.target)
                ways.append(([*way, entry], axes))
    return next((way for way in ways if _measures(way[1])), ways[0])


def _measures(entries: Sequence[Any]) -> bool:
    """Say whether axes are z, y and x among others, in units of length."""
    of = {_letter(entry): micrometres(_unit(entry)) for entry in entries}
    return all(of.get(name) is not None for name in "zyx")


def _end(chain: Sequence[Transformation]) -> str:
    return chain[-1].target if chain else ""


def _transformations(holder: dict[str, Any], *keys: str) -> list[Transformation]:
    return list(map(Transformation.from_plain, _list_of(holder, *keys)))


def _list_of(holder: dict[str, Any], *keys: str) -> list[Any]:
    return _few(next((holder[key] for key in keys if holder.get(key)), ()))


def _few(entries: Any) -> list[Any]:
    if len(entries) > _MOST:
        message = f"a list of {len(entries)} entries, where {_MOST} are too many"
        raise ValueError(message)
    return list(entries)


def _name(entry: dict[str, str] | str) -> str:
    return entry if isinstance(entry, str) else entry["name"]


def _letter(entry: dict[str, str] | str) -> str:
    kind = "" if isinstance(entry, str) else str(entry.get("type") or "")
    name = _name(entry).lower()
    return letter_of(name) or _LETTERS.get(kind, name)


def _unit(entry: dict[str, str] | str) -> Any:
    return entry.get("unit") if isinstance(entry, dict) else None

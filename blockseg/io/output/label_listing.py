"""The list of label images in ``OUT/labels``, to which derived jobs add their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blockseg.core.untrusted.files import METADATA_BYTES, read_text
from blockseg.core.untrusted.json_text import parse_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from blockseg.io.stores.location import Location

FOLDER = "labels"
"""Group of the label images, in the image's own."""


def listed_labels(labels: Location) -> tuple[str, ...]:
    """Return the listed names of the group that exist, in their order."""
    for name in ("zarr.json", ".zattrs"):
        names = _names(labels / name)
        if names is not None:
            return tuple(name for name in names if (labels / name).is_dir())
    return ()


def with_labels(labels: Location, names: Iterable[str]) -> tuple[str, ...]:
    """Return the names that the group lists, and after them those that it lacks."""
    known = listed_labels(labels)
    return known + tuple(name for name in names if name not in known)


def is_whole_listing(path: Location) -> bool:
    """Return whether a file lists label images, all of which exist.

    Derived jobs add to the list, and so may other software: then it is not as it was
    written, and undamaged.
    """
    if path.parent.name != FOLDER:
        return False
    names = _names(path)
    return bool(names) and all(
        (path.parent / str(name)).is_dir() for name in names or ()
    )


def _names(path: Location) -> list[str] | None:
    try:
        document = parse_json(read_text(path, METADATA_BYTES))
        attributes = document.get("attributes", document)
        names = attributes.get("ome", attributes).get("labels")
    except (OSError, ValueError, AttributeError, RecursionError):
        return None
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        return None
    return names

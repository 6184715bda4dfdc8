"""Multiscale images as they lie in an output, described by their own metadata."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from blockseg.core.geometry import Zyx, to_zyx
from blockseg.core.untrusted.files import METADATA_BYTES, read_text
from blockseg.core.untrusted.json_text import MALFORMED, parse_json
from blockseg.io.layout import inner_path
from blockseg.io.stores.location import inner_of

if TYPE_CHECKING:
    from blockseg.io.output.pyramid import Reduction
    from blockseg.io.stores.location import Location


@dataclass(frozen=True, slots=True)
class StoredLevel:
    """One level of an image on disk."""

    path: str
    """Array, below the output, '/'-separated."""

    shape: Zyx
    """Voxels along (z, y, x)."""

    file_shape: Zyx
    """Voxels that one file holds."""

    prefix: str
    """First part of the names of its files, below the array: ``c/``, or nothing."""

    def index_of(self, file: str) -> Zyx | None:
        """Return the position of a file in the level's grid of files.

        Parameters
        ----------
        file
            Path below the output, '/'-separated.

        Returns
        -------
        Zyx or None
            None if it is no file with voxels of this level.
        """
        parts = file.removeprefix(f"{self.path}/{self.prefix}").split("/")
        if not file.startswith(f"{self.path}/{self.prefix}") or len(parts) != 3:
            return None
        # What int() takes beside digits is no name that a writer gives.
        if not all(p.isascii() and p.isdigit() and str(int(p)) == p for p in parts):
            return None
        index = to_zyx(int(part) for part in parts)
        pairs = zip(index, self.shape, self.file_shape, strict=True)
        return index if all(i * s < n for i, n, s in pairs) else None


@dataclass(frozen=True, slots=True)
class StoredImage:
    """A multiscale image on disk."""

    within: str
    """Path of the image in the output; empty for the output itself."""

    name: str
    """Name of what it shows, which the passes over its coarse levels bear."""

    reduce: Reduction
    """Reduction to a coarse voxel."""

    levels: tuple[StoredLevel, ...]
    """Levels, the finest first."""


def stored_image(root: Location, within: str) -> StoredImage | None:
    """Return an image of an output; None if there is none that can be understood.

    Parameters
    ----------
    root
        The output.
    within
        Where in it the image lies, '/'-separated; empty for the output itself.
    """
    group = root / within
    try:
        attributes = _attributes(group)
        multiscale = attributes["multiscales"][0]
        levels = tuple(
            _level(group / inner_path(dataset["path"]), root)
            for dataset in multiscale["datasets"]
        )
        reduce: Reduction = "mean" if multiscale.get("type") == "mean" else "max"
        return StoredImage(within, str(multiscale["name"]), reduce, levels)
    except (OSError, *MALFORMED):
        return None


def _attributes(group: Location) -> dict[str, Any]:
    if (group / "zarr.json").is_file():
        document = _document(group / "zarr.json")
    else:
        document = {"attributes": {"ome": _document(group / ".zattrs")}}
    attributes: dict[str, Any] = document["attributes"]["ome"]
    return attributes


def _document(file: Location) -> Any:
    return parse_json(read_text(file, METADATA_BYTES))


def _level(folder: Location, root: Location) -> StoredLevel:
    path = inner_of(folder, root)
    if (folder / "zarr.json").is_file():
        document = _document(folder / "zarr.json")
        shape = document["chunk_grid"]["configuration"]["chunk_shape"]
        return StoredLevel(path, to_zyx(document["shape"]), to_zyx(shape), "c/")
    document = _document(folder / ".zarray")
    return StoredLevel(path, to_zyx(document["shape"]), to_zyx(document["chunks"]), "")

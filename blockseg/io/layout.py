"""Metadata of a stored array, whatever the format, known without its voxels."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from blockseg.core.errors import VolumeError
from blockseg.core.space import Space
from blockseg.core.text import first_line
from blockseg.core.untrusted.files import METADATA_BYTES, read_bytes
from blockseg.core.untrusted.json_text import parse_json
from blockseg.core.untrusted.sizes import why_no_pieces, why_no_shape
from blockseg.io.axes import AxisSelection, named_axes, renamed_space
from blockseg.io.formats.zipped import ZipPath
from blockseg.io.stores.location import RemotePath

if TYPE_CHECKING:
    import numpy as np

    from blockseg.core.specs import Format, VolumeSpec
    from blockseg.io.axis_names import AxisNames
    from blockseg.io.stores.location import Location

LABEL_MULTISET = "Paintera label multiset"
"""Stored type of arrays whose blocks list several labels a voxel, in bytes that their
metadata call uint8."""


@dataclass(frozen=True, slots=True)
class KeyStyle:
    """Spelling of chunk keys of an array."""

    order: tuple[int, ...]
    """Axis, in C order, of each number."""

    prefix: str = ""
    """Beginning of each."""

    separator: str = "/"
    """Separator between the numbers."""

    @property
    def listed(self) -> bool:
        """Whether the files of an array are found by listing folders, part by part."""
        return True

    def key(self, place: tuple[int, ...]) -> str:
        """Return the key of the chunk at a place of the grid."""
        return self.prefix + self.separator.join(
            str(place[axis]) for axis in self.order
        )

    def place(self, key: str) -> tuple[int, ...] | None:
        """Return the place of the chunk with a key; None if it is spelled otherwise."""
        if not key.startswith(self.prefix):
            return None
        numbers = key.removeprefix(self.prefix).split(self.separator)
        if len(numbers) != len(self.order) or not all(map(_is_plain, numbers)):
            return None
        along = dict(zip(self.order, map(int, numbers), strict=True))
        return tuple(along[axis] for axis in range(len(numbers)))


@dataclass(frozen=True, slots=True)
class ArrayLayout:
    """One chunked array; all axes in C order."""

    container: Location
    """Folder of the outermost group, or of the array itself; or the file that holds it."""

    path: str
    """Array inside the container, '/'-separated; empty if they are the same."""

    format: Format
    """Format of the array."""

    shape: tuple[int, ...]
    """Voxels along each axis."""

    dtype: np.dtype[Any] | None
    """Type of a voxel in native byte order; None if NumPy has none for it."""

    stored_dtype: str
    """Type as the metadata spell it."""

    chunks: tuple[int, ...]
    """Voxels that are decoded as a whole."""

    files: tuple[int, ...]
    """Voxels in one file: a shard, or a chunk where there are no shards."""

    codecs: tuple[str, ...]
    """Names of the codecs, first to last in encoding."""

    axes: tuple[str, ...]
    """One letter for each axis."""

    keys: KeyStyle
    """Naming of its chunks, by its metadata."""

    axis_names: AxisNames | None = None
    """Names of axes by the array itself; None where an image says them for it."""

    space: Space = field(default_factory=Space)
    """Voxel size and place."""

    level: int = 0
    """Resolution level that the array is of its image."""

    metadata_files: tuple[Location, ...] = ()
    """Files that the above was read from."""

    fill: str = "0"
    """Value that missing chunks read as, for people."""

    together: tuple[Location, ...] = ()
    """Files that hold all voxels in no order of boxes, where that is so: an archive, an
    HDF5 file, shards by hash."""

    def __post_init__(self) -> None:
        itemsize = 1 if self.dtype is None else self.dtype.itemsize
        why = (
            why_no_shape(self.shape)
            or why_no_pieces(self.files, self.shape, 0)
            or why_no_pieces(self.chunks, self.shape, itemsize)
        )
        if why:
            message = f"{self.name} cannot be read: {why}; correct its metadata"
            raise VolumeError(message)

    @property
    def folder(self) -> Location:
        """Folder of the array."""
        return self.container / self.path

    @property
    def name(self) -> str:
        """Name of the array in messages."""
        return str(self.folder)

    @property
    def chunk_bytes(self) -> int:
        """Bytes of a chunk once it is decoded."""
        return math.prod(self.chunks) * (
            1 if self.dtype is None else self.dtype.itemsize
        )

    @property
    def file_counts(self) -> tuple[int, ...]:
        """Files along each axis, if none is missing."""
        pairs = zip(self.shape, self.files, strict=True)
        return tuple(math.ceil(n / f) for n, f in pairs)

    def renamed(self, axes: str) -> ArrayLayout:
        """Return the layout with the axes that a user named; empty for its own.

        Raises
        ------
        VolumeError
            If there are not as many as the array has axes.
        """
        given = named_axes(axes, self.axes, self.name)
        space = renamed_space(self.space, self.axes, given)
        return replace(self, axes=given, space=space)

    def selection(self, spec: VolumeSpec) -> AxisSelection:
        """Return which part of the array a volume is.

        Raises
        ------
        VolumeError
            If the array has no such axes.
        """
        return AxisSelection.choose(
            named_axes(spec.axes, self.axes, self.name),
            self.shape,
            channel=spec.channel,
            timepoint=spec.timepoint,
            where=self.name,
        )

    def chunk_file(self, position: tuple[int, ...]) -> Location:
        """Return the path of the chunk file (the shard) at ``position`` of its grid."""
        if self.together:
            return self.together[0]
        return self.folder / self.keys.key(position)

    def file_of_chunk(self, position: tuple[int, ...]) -> Location:
        """Return the file that holds the chunk at ``position`` of the chunk grid."""
        triples = zip(position, self.chunks, self.files, strict=True)
        return self.chunk_file(tuple(p * c // f for p, c, f in triples))


@dataclass(frozen=True, slots=True)
class AbsentLevel:
    """A resolution level that an image declares and that is not on disk."""

    level: int
    """Its number, 0 the finest."""

    reason: str
    """Places where it was looked for, in one line."""


@dataclass(frozen=True, slots=True)
class ImageLayout:
    """An image with its resolution levels."""

    path: str
    """Group or array inside the container."""

    levels: tuple[ArrayLayout, ...]
    """Finest first; at least one."""

    absent: tuple[AbsentLevel, ...] = ()
    """Levels that are declared, but not on disk."""


def _is_plain(number: str) -> bool:
    return number.isdecimal() and (number == "0" or number[0] != "0")


_LARGE = 2**18  # bytes of a document that is parsed once, however often it is asked for

MOST_LEVELS = 100
"""Resolution levels of an image; a brain has ten."""


class SearchBudget:
    """Bound of a search for images, beyond which a container is too large to look through.

    Parameters
    ----------
    where
        How to call what is searched.
    """

    def __init__(self, where: Location) -> None:
        self._where = where
        self._folders = 4_000

    def spend(self) -> None:
        """Count a folder that is looked into.

        Raises
        ------
        VolumeError
            If there were too many.
        """
        self._folders -= 1
        if self._folders < 0:
            message = (
                f"{self._where} holds too many folders to look for images in all of "
                "them; give the path of the image itself"
            )
            raise VolumeError(message)


def child_folders(folder: Location) -> list[str]:
    """Return the names of the folders in a group, hidden ones left out.

    Raises
    ------
    VolumeError
        If it cannot be listed.
    """
    try:
        if isinstance(folder, RemotePath):
            names = folder.folders()
        else:
            names = [path.name for path in folder.iterdir() if path.is_dir()]
    except OSError as error:
        message = f"{folder} cannot be looked through: {error.strerror or error}"
        raise VolumeError(message) from error
    return sorted(name for name in names if not name.startswith("."))


def joined(*parts: str) -> str:
    """Return a path inside a container from its parts, of which some may be empty."""
    return "/".join(filter(None, parts))


def inner_path(stated: object) -> str:
    """Return a path inside a container, as metadata or a user state it.

    Raises
    ------
    ValueError
        If it leads out of the container.
    """
    text = str(stated)
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if ".." in parts or "\0" in text:
        message = f"the path {text[:80]!r} leads out of its container"
        raise ValueError(message)
    return "/".join(parts)


@lru_cache(maxsize=1)
def _parsed(file: str, size: int, changed: int) -> Any:  # noqa: ARG001 - of its state
    return parse_json(read_bytes(file, METADATA_BYTES))


def _content(file: Location) -> Any:
    if isinstance(file, ZipPath):
        return parse_json(file.read_bytes())
    if isinstance(file, RemotePath):
        return parse_json(read_bytes(file, METADATA_BYTES))
    state = file.stat()
    if state.st_size > _LARGE:
        return _parsed(str(file), state.st_size, state.st_mtime_ns)
    return parse_json(read_bytes(file, METADATA_BYTES))


def load_json(file: Location) -> dict[str, Any] | None:
    """Return the object in a JSON file, or None if there is no such file.

    Raises
    ------
    VolumeError
        If the file cannot be read or holds no JSON object.
    """
    try:
        content = _content(file)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        if isinstance(file, RemotePath):
            return None  # so a store calls what is missing to those who may not list
        message = f"{file} cannot be read: {error.strerror or error}"
        raise VolumeError(message) from error
    except OSError as error:
        message = f"{file} cannot be read: {error.strerror or error}"
        raise VolumeError(message) from error
    except ValueError as error:
        message = f"{file} is damaged: it is not valid JSON ({first_line(error)})"
        raise VolumeError(message) from error
    if not isinstance(content, dict):
        message = f"{file} is damaged: it holds no JSON object"
        raise VolumeError(message)
    return content

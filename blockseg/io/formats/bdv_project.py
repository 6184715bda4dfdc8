"""Projects of BigDataViewer: the XML that says what its HDF5 or N5 holds, and where."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal
from xml.etree import ElementTree as ET

import numpy as np

from blockseg.core.errors import VolumeError
from blockseg.core.untrusted.files import RECORD_BYTES, kind_of_file, read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_LOADERS: dict[str, Literal["hdf5", "n5"]] = {"bdv.hdf5": "hdf5", "bdv.n5": "n5"}
_MOST = 1_000_000  # views, time points
_NUMBERS = re.compile(r"\s*(\d{1,9})\s*(?:-\s*(\d{1,9})\s*(?::\s*(\d{1,9})\s*)?)?")


@dataclass(frozen=True, slots=True)
class Setup:
    """One view setup: a channel, tile, angle or illumination."""

    number: int
    """Number by which its voxels are stored."""

    label: str = ""
    """Name and attributes, for people."""

    voxel_size: tuple[float, ...] = ()
    """Along (z, y, x), in ``unit``; empty if not stated."""

    unit: str = ""
    """Unit as the project calls it."""


@dataclass(frozen=True, slots=True)
class Project:
    """All that a project states."""

    file: Path
    """XML, or the HDF5 file where there is none."""

    stored: Literal["hdf5", "n5"]
    """Format of the voxels."""

    data: Path
    """File or folder that holds them."""

    setups: dict[int, Setup] = field(default_factory=dict)
    """Setups by their numbers; empty where no XML lists them."""

    times: tuple[int, ...] = ()
    """Numbers of the time points, in their order; empty where no XML lists them."""

    affines: dict[tuple[int, int], NDArray[np.float64]] = field(default_factory=dict)
    """From voxels (x, y, z) to the world, 4×4, of each (time point, setup)."""


def read_project(file: Path) -> Project:
    """Read an XML, or find the one beside an HDF5 file.

    Raises
    ------
    VolumeError
        If it is damaged, or its images are stored otherwise than as HDF5 or N5.
    """
    if file.suffix.lower() in (".h5", ".hdf5"):
        beside = file.with_suffix(".xml")
        if beside.is_file() and is_bdv_xml(_start(beside)):
            found = read_project(beside)
            if found.data == file:
                return found
        return Project(file, "hdf5", file)
    state = os.stat(file)  # noqa: PTH116 - follows links, as the cache's key must
    return _parsed(str(file), state.st_size, state.st_mtime_ns)


def is_bdv_xml(start: bytes) -> bool:
    """Return whether a file begins like a project's XML."""
    return (
        start.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<") and b"<SpimData" in start
    )


def _start(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(512)


@lru_cache(maxsize=2)
def _parsed(path: str, size: int, changed: int) -> Project:  # noqa: ARG001 - of its state
    file = Path(path)
    try:
        text = read_bytes(file, RECORD_BYTES)
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror or error}"
        raise VolumeError(message, path) from error
    if b"<!ENTITY" in text or b"<!DOCTYPE" in text:
        message = f"{path} is damaged: it declares entities, which no project does"
        raise VolumeError(message, path)
    try:
        root = ET.fromstring(text)
        stored, data = _loader(file, root)
        return Project(
            file, stored, data, _setups(root), _times(root), _registrations(root)
        )
    except (ET.ParseError, ValueError, OverflowError) as error:
        message = f"{path} is a damaged BigDataViewer project: {' '.join(str(error).split())[:200]}"
        raise VolumeError(message, path) from error


def _loader(file: Path, root: ET.Element) -> tuple[Literal["hdf5", "n5"], Path]:
    loader = root.find("SequenceDescription/ImageLoader")
    named = "" if loader is None else loader.get("format", "")
    if loader is None or named not in _LOADERS:
        message = (
            f"{file} is a BigDataViewer project whose images are stored as {named or 'nothing'!r}; "
            "give what it names, if it can be read, or fuse it in BigStitcher to OME-Zarr"
        )
        raise VolumeError(message, str(file))
    stored = _LOADERS[named]
    stated = loader.find(stored)
    text = "" if stated is None else (stated.text or "").strip()
    if not text or "\0" in text:
        message = "its ImageLoader names no file"
        raise ValueError(message)
    base = (root.findtext("BasePath") or "").strip() or "."
    inner = PurePosixPath(base) / text
    if inner.is_absolute() or ".." in inner.parts:
        message = (
            f"{file} names {str(inner)[:80]!r}, which lies outside of its folder; put the XML "
            "beside it, and name it there"
        )
        raise VolumeError(message, str(file))
    data = file.parent / inner
    try:
        kind = kind_of_file(data.stat().st_mode)
    except OSError as error:
        message = (
            f"{file} names {data}, which cannot be read ({error.strerror}); bring it back, or "
            "correct the XML"
        )
        raise VolumeError(message, str(file)) from error
    if kind != ("a folder" if stored == "n5" else ""):
        message = f"{file} names {data}, which is {kind or 'a file'}; correct the XML"
        raise VolumeError(message, str(file))
    return stored, data


def _setups(root: ET.Element) -> dict[int, Setup]:
    found = {}
    for element in root.findall("SequenceDescription/ViewSetups/ViewSetup"):
        number = int(element.findtext("id", ""))
        attributes = element.find("attributes")
        parts = [(element.findtext("name") or "").strip()]
        if attributes is not None:
            parts += [f"{one.tag} {(one.text or '').strip()}" for one in attributes]
        size = _numbers(element.findtext("voxelSize/size") or "")
        found[number] = Setup(
            number,
            ", ".join(filter(None, parts))[:80],
            tuple(reversed(size)) if len(size) == 3 else (),
            (element.findtext("voxelSize/unit") or "").strip(),
        )
    return found


def _times(root: ET.Element) -> tuple[int, ...]:
    element = root.find("SequenceDescription/Timepoints")
    if element is None:
        return (0,)
    if element.get("type") == "range":
        first = int(element.findtext("first", "0"))
        last = int(element.findtext("last", "0"))
        return tuple(range(first, _bounded(first, last) + 1))
    if element.get("type") == "pattern":
        return tuple(sorted(set(_pattern(element.findtext("integerpattern", "")))))
    listed = [int(one.findtext("id", "")) for one in element.findall("Timepoint")]
    return tuple(sorted(listed)) or (0,)


def _pattern(text: str) -> Iterator[int]:
    """Yield the numbers of ``0-9:3, 12``."""
    for part in text.split(","):
        match = _NUMBERS.fullmatch(part)
        if match is None:
            if part.strip():
                message = f"{part[:40]!r} is no pattern of time points"
                raise ValueError(message)
            continue
        first = int(match[1])
        last = _bounded(first, int(match[2] or first))
        yield from range(first, last + 1, max(1, int(match[3] or 1)))


def _bounded(first: int, last: int) -> int:
    if last - first > _MOST:
        message = f"it states {last - first} time points"
        raise ValueError(message)
    return last


def _registrations(root: ET.Element) -> dict[tuple[int, int], NDArray[np.float64]]:
    found = {}
    for element in root.findall("ViewRegistrations/ViewRegistration"):
        view = int(element.get("timepoint", "")), int(element.get("setup", ""))
        whole = np.eye(4)
        for one in element.findall("ViewTransform"):
            numbers = _numbers(one.findtext("affine") or "")
            if len(numbers) != 12:
                message = f"the transform of setup {view[1]} has {len(numbers)} numbers"
                raise ValueError(message)
            # The first of the list is applied last.
            whole = whole @ np.vstack([np.reshape(numbers, (3, 4)), [0, 0, 0, 1]])
        found[view] = whole
    return found


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.split()]

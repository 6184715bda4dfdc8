"""Planes that the description of a TIFF file announces, counted before they are believed.

Readers lay out a list of all planes that OME-XML states, whether they are there or not.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from blockseg.core.errors import VolumeError
from blockseg.io.chunks.stored_files import MISSING, why_no_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    import tifffile

_MOST_PLANES = 2_000_000
_MOST_TEXT = 2**26  # characters; of a million planes a writer says so much
_COUNTS = ("IFD", "PlaneCount", "NumPlanes", "FirstZ", "FirstC", "FirstT")


def require_modest(tif: tifffile.TiffFile, path: str) -> None:
    """Refuse a file whose OME-XML announces more planes than there can be.

    Parameters
    ----------
    tif
        The file, of which nothing but the first page is known yet.
    path
        Of the file, for messages.

    Raises
    ------
    VolumeError
        If it does.
    """
    text = tif.ome_metadata if tif.is_ome else None
    if not text:
        return
    if len(text) > _MOST_TEXT:
        message = f"{path} is damaged: its OME-XML has {len(text)} characters"
        raise VolumeError(message, path)
    if "<!ENTITY" in text:
        message = f"{path} is damaged: its OME-XML declares entities, which none does"
        raise VolumeError(message, path)
    page = tif.pages.first
    area = max(1, page.imagewidth * page.imagelength)
    try:
        root = ET.fromstring(text)
        most = max(_planes(root, area), default=0)
    except (ET.ParseError, ValueError):
        return  # what is no OME-XML announces nothing
    _refuse_files(root, path)
    if most > _MOST_PLANES:
        message = (
            f"{path} is damaged: its OME-XML announces {most:.3g} planes, more than "
            f"{_MOST_PLANES}; correct it"
        )
        raise VolumeError(message, path)


def _refuse_files(root: ET.Element, path: str) -> None:
    """Refuse OME-XML that names files which are none, or lie elsewhere."""
    for element in root.iter():
        name = element.get("FileName")
        if name is None or element.tag.rpartition("}")[2] != "UUID":
            continue
        if name != Path(name).name:
            message = (
                f"{path}: its OME-XML names the file {name[:80]!r} in another folder"
            )
            raise VolumeError(message, path)
        what = why_no_file(Path(path).with_name(name))
        if what not in ("", MISSING):
            message = f"{path}: its OME-XML names {name[:80]!r}, which is {what}"
            raise VolumeError(message, path)


def _planes(root: ET.Element, area: int) -> Iterator[float]:
    """Yield how many planes each image announces, and how far their numbers go."""
    for element in root.iter():
        kind = element.tag.rpartition("}")[2]
        if kind == "Pixels":
            stated = [float(element.get(f"Size{axis}", 1)) for axis in "XYZCT"]
            yield math.prod(map(abs, stated)) / area
        elif kind == "TiffData":
            yield math.fsum(abs(float(element.get(name, 0))) for name in _COUNTS)

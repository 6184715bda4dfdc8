"""Voxel sizes in TIFF files: OME-XML and ImageJ's metadata.

TIFF's own resolution tags say nothing of z and often hold a screen's 72 dots an
inch, so they count only with ImageJ's unit beside them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from blockseg.core.space import Space
from blockseg.io.units import micrometres, space_of

if TYPE_CHECKING:
    import tifffile

_NOWHERE = (0.0, 0.0, 0.0)


def tiff_space(tif: tifffile.TiffFile, image: int) -> Space:
    """Return the space of the finest level of an image in an open file.

    Parameters
    ----------
    tif
        The file.
    image
        Number of the image (series).
    """
    if tif.is_ome and tif.ome_metadata:
        return _ome(tif.ome_metadata, image)
    if tif.is_imagej:
        return _imagej(tif)
    return Space()


def _ome(text: str, image: int) -> Space:
    try:
        pixels = [
            element
            for element in ET.fromstring(text).iter()
            if element.tag.rpartition("}")[2] == "Pixels"
        ]
        stated = pixels[image].attrib
        sizes = [stated[f"PhysicalSize{axis}"] for axis in "ZYX"]
    except (ET.ParseError, IndexError, KeyError):
        return Space()
    units = [stated.get(f"PhysicalSize{axis}Unit", "µm") for axis in "ZYX"]
    try:
        return space_of([float(size) for size in sizes], _NOWHERE, units)
    except ValueError:
        return Space(
            problem=f"its OME-XML states a voxel size of {','.join(sizes)} (z,y,x)"
        )


def _imagej(tif: tifffile.TiffFile) -> Space:
    metadata: dict[str, Any] = tif.imagej_metadata or {}
    tags = tif.pages.first.tags
    unit = metadata.get("unit")
    if micrometres(unit) is None and "spacing" not in metadata:
        return Space()
    stated = [tags.valueof(code) for code in (283, 282)]
    # ImageJ leaves the spacing out where it is 1.
    spacing = metadata.get("spacing", 1.0)
    if any(pair is None for pair in stated) and micrometres(unit) is None:
        return Space()
    try:
        y, x = (_length(pair) for pair in stated)
        along = [metadata.get("zunit", unit), metadata.get("yunit", unit), unit]
        return space_of([float(spacing), y, x], _NOWHERE, along)
    except (TypeError, ValueError, ZeroDivisionError):
        odd = f"spacing {spacing!r} and resolution {stated[0]}, {stated[1]}"
        return Space(problem=f"its ImageJ metadata state {odd}")


def _length(resolution: Any) -> float:
    """Return the size of a pixel from TIFF's pixels a unit, a pair of integers."""
    numerator, denominator = resolution
    return float(denominator) / float(numerator)

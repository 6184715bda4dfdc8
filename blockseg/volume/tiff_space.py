"""Voxel sizes in TIFF files: OME-XML and ImageJ's metadata.

TIFF's own resolution tags say nothing of z and often hold a screen's 72 dots an
inch, so they count only with ImageJ's unit beside them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from blockseg.core.space import Space
from blockseg.volume.ngff import space_of
from blockseg.volume.units import micrometres

if TYPE_CHECKING:
    import tifffile

__all__ = ["tiff_space"]


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
        size = [float(stated[f"PhysicalSize{axis}"]) for axis in "ZYX"]
    except (ET.ParseError, IndexError, KeyError, ValueError):
        return Space()
    units = [stated.get(f"PhysicalSize{axis}Unit", "µm") for axis in "ZYX"]
    return space_of(size, (0.0, 0.0, 0.0), units)


def _imagej(tif: tifffile.TiffFile) -> Space:
    metadata: dict[str, Any] = tif.imagej_metadata or {}
    tags = tif.pages.first.tags
    try:
        y, x = (_length(tags.valueof(code)) for code in (283, 282))
        # ImageJ leaves the spacing out where it is 1.
        size = [float(metadata.get("spacing", 1.0)), y, x]
    except (TypeError, ValueError, ZeroDivisionError):
        return Space()
    unit = metadata.get("unit")
    if micrometres(unit) is None and "spacing" not in metadata:
        return Space()
    return space_of(size, (0.0, 0.0, 0.0), [unit] * 3)


def _length(resolution: Any) -> float:
    """Return the size of a pixel from TIFF's pixels a unit, a pair of integers."""
    numerator, denominator = resolution
    return float(denominator) / float(numerator)

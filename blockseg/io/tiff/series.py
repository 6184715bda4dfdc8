"""Pages of a TIFF file that make a volume, in their order."""

from __future__ import annotations

import logging
import struct
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from blockseg.core.errors import BlocksegError, VolumeError
from blockseg.core.untrusted.json_text import shortened
from blockseg.io.axes import default_axes, named_axes, renamed_space
from blockseg.io.axis_names import AxisNames
from blockseg.io.factors import factor_between
from blockseg.io.tiff.announced import require_modest
from blockseg.io.tiff.pages import Page
from blockseg.io.tiff.space import tiff_space

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blockseg.core.space import Space


@dataclass(frozen=True, slots=True)
class TiffImage:
    """One resolution level of an image in a TIFF file."""

    axes: tuple[str, ...]
    """One letter for each axis, tczyx where it can be said."""

    shape: tuple[int, ...]
    """Length of each axis."""

    dtype: np.dtype[Any]
    """Type of a voxel, in the file's byte order."""

    space: Space
    """Voxel size and place."""

    levels: int
    """Number of resolution levels."""

    pages: tuple[Page, ...] = field(repr=False)
    """Pages in the order of the leading axes."""

    offset: int | None
    """Offset of the voxels if they all lie in one piece, not encoded."""

    axis_names: AxisNames
    """Names of axes by the file itself."""

    def renamed(self, axes: str, path: str) -> TiffImage:
        """Return the image with the axes that a user named; empty for its own.

        Raises
        ------
        VolumeError
            If there are not as many as the image has axes.
        """
        given = named_axes(axes, self.axes, path)
        space = renamed_space(self.space, self.axes, given)
        return replace(self, axes=given, space=space)


# What it logs of odd files is said by our own errors, if it matters; whoever wants
# its log still gets it.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

# What tifffile raises on files that are damaged in one way or another.
_NOT_TIFF = (
    ValueError, LookupError, TypeError, ArithmeticError, RuntimeError,
    AssertionError, AttributeError, SyntaxError, MemoryError, struct.error,
)  # fmt: skip
_STACKED = "qit"  # a lone axis of one of these names can only be z
_COLOURS = 4  # a lone channel axis that is longer holds slices


@contextmanager
def open_tiff_file(path: str) -> Iterator[tifffile.TiffFile]:
    """Open a TIFF file read-only; errors are VolumeErrors that name it."""
    try:
        with tifffile.TiffFile(path, mode="r") as tif:
            require_modest(tif, path)
            yield tif
    except BlocksegError:
        raise
    except _NOT_TIFF as error:
        message = f"{path} cannot be read as TIFF: {shortened(error)}"
        raise VolumeError(message, path) from error
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror or error}"
        raise VolumeError(message, path) from error


def image_series(tif: tifffile.TiffFile, path: str, image: str) -> Any:
    """Return the series of pages that make the image; see tifffile's page series.

    Parameters
    ----------
    tif
        The file.
    path
        Of the file, for messages.
    image
        Number of the image; empty if there is but one.

    Raises
    ------
    VolumeError
        If there are several and none is chosen, or pages are missing.
    """
    series = tif.series
    if not image and len(series) > 1:
        kinds = ", ".join(
            f"{i}: {s.axes} {s.shape} {s.dtype}" for i, s in enumerate(series)
        )
        message = (
            f"{path} holds {len(series)} images of different shape or type ({kinds}); "
            "choose one with --dataset"
        )
        raise VolumeError(message)
    if image and not (image.isdecimal() and int(image) < len(series)):
        message = f"{path} has no image {image!r}; it holds {len(series)}"
        raise VolumeError(message)
    return series[int(image or 0)]


def read_image(tif: tifffile.TiffFile, path: str, image: str, level: int) -> TiffImage:
    """Return a description of one image of an open file.

    Parameters
    ----------
    tif
        The file.
    path
        Of the file, for messages.
    image
        Number of the image; empty if there is but one.
    level
        Resolution level, 0 the finest.

    Raises
    ------
    VolumeError
        If there is no such image or level, its pages are incomplete, or it is
        of colour.
    """
    chosen = image_series(tif, path, image)
    if level >= len(chosen.levels):
        message = (
            f"{path} has {len(chosen.levels)} resolution levels; "
            f"--level {level} is not one of them"
        )
        raise VolumeError(message)
    series = chosen.levels[level]
    raw_pages = list(series.pages)
    if any(page is None for page in raw_pages):
        message = (
            f"{path} lacks {raw_pages.count(None)} of the {len(raw_pages)} pages that "
            "its metadata announce; the copy is incomplete"
        )
        raise VolumeError(message)
    if any(page.parent is not tif for page in raw_pages):
        message = (
            f"{path} is one of several files of an OME-TIFF; give their folder or a "
            "glob if they are 2-D slices, else convert them"
        )
        raise VolumeError(message)
    pages = tuple(Page.of(path, page) for page in raw_pages)
    offset = series.dataoffset if all(map(_in_one_piece, pages)) else None
    if series.dtype is None:
        message = f"{path} holds voxels of a type that NumPy lacks"
        raise VolumeError(message)
    shape = tuple(int(n) for n in series.shape)
    finest = tiff_space(tif, int(image or 0))
    axes = series_axes(series.axes, shape, path)
    return TiffImage(
        axes=axes,
        shape=shape,
        dtype=np.dtype(series.dtype).newbyteorder(tif.byteorder),
        space=_coarser(finest, axes, chosen.shape, shape) if level else finest,
        levels=len(chosen.levels),
        pages=pages,
        offset=offset,
        axis_names=_names(series.axes.lower(), axes),
    )


def series_axes(axes: str, shape: tuple[int, ...], path: str) -> tuple[str, ...]:
    """Return one of the letters tczyx for each axis of a series, where it can be said.

    A lone stack of planes is z, though many writers call it time or, if they
    were not told, channels; up to four channels are taken to be what they say.

    Parameters
    ----------
    axes
        As tifffile names them.
    shape
        Length of each axis.
    path
        Of the file, for messages.

    Raises
    ------
    VolumeError
        If pixels have several samples, such as red, green and blue.
    """
    letters = axes.lower()
    if "s" in letters and shape[letters.index("s")] > 1:
        message = (
            f"{path} has colour pixels of {shape[letters.index('s')]} samples; "
            "convert it to one grey channel"
        )
        raise VolumeError(message)
    leading = [name for name in letters if name not in "yxs"]
    if leading and set(leading) <= {"q", "i"} and 2 < len(axes) <= 5:
        return default_axes(len(axes))
    long = [n for n, length in zip(letters, shape, strict=True) if length > 1]
    others = [name for name in long if name not in "yx"]
    if "z" not in letters and len(others) == 1:
        (name,) = others
        many = shape[letters.index(name)] > _COLOURS
        if name in _STACKED or (name == "c" and many):
            letters = letters.replace(name, "z")
    return tuple(letters)


def _names(stated: str, axes: tuple[str, ...]) -> AxisNames:
    """Say which axes are guessed: of an array that was just dumped, all of them."""
    dumped = any(name in "qi" for name in stated)
    pairs = zip(stated, axes, strict=True)
    return AxisNames(axes, tuple(dumped or name != letter for name, letter in pairs))


def _in_one_piece(page: Page) -> bool:
    """Say whether each strip or tile of a page begins where the last one ends."""
    ends = (a + n for a, n in zip(page.offsets, page.counts, strict=True))
    return all(end == start for end, start in zip(ends, page.offsets[1:], strict=False))


def _coarser(
    space: Space, axes: tuple[str, ...], fine: tuple[int, ...], coarse: tuple[int, ...]
) -> Space:
    """Return the space of a level that covers the same extent with fewer voxels."""
    if any(axes.count(name) != 1 for name in "zyx"):
        return space
    places = [axes.index(name) for name in "zyx"]
    by = [factor_between(fine[i], coarse[i]) for i in places]
    sizes = [s * f for s, f in zip(space.voxel_size, by, strict=True)]
    place = [(f - 1) / 2 * s for s, f in zip(space.voxel_size, by, strict=True)]
    sz, sy, sx = sizes
    tz, ty, tx = place
    return replace(space, voxel_size=(sz, sy, sx), translation=(tz, ty, tx))

"""Formats of chunked arrays, a row each: how images are found and their arrays opened."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from blockseg.io.formats.zipped import ZipPath, is_zip
from blockseg.io.stores.address import is_remote
from blockseg.io.stores.location import location

if TYPE_CHECKING:
    from blockseg.core.specs import VolumeSpec
    from blockseg.io.chunks.tensorstores import ReadLimits
    from blockseg.io.layout import ImageLayout
    from blockseg.io.protocol import Volume
    from blockseg.io.stores.location import Location

ArrayKind: TypeAlias = Literal[
    "zarr", "n5", "imaris", "bdv", "precomputed", "v3draw", "pictures"
]
"""Kinds of containers of chunked arrays."""


@dataclass(frozen=True, slots=True)
class FormatRow:
    """One kind of container."""

    title: str
    """Name of the format as its makers spell it."""

    image: str
    """``module:function`` that returns one image by its path, None for other groups."""

    images: str
    """``module:function`` that returns the paths of all images in a group."""

    opener: str
    """``module:function`` that opens an array as a volume."""


def _row(title: str, module: str, name: str) -> FormatRow:
    place = f"{_IO}.{module}"
    functions = (f"{name}_image", f"{name}_images", f"open_{name}")
    return FormatRow(title, *(f"{place}:{function}" for function in functions))


_IO = "blockseg.io"
ROWS: dict[ArrayKind, FormatRow] = {
    "zarr": FormatRow(
        "Zarr",
        f"{_IO}.zarr.layout:zarr_image",
        f"{_IO}.zarr.layout:zarr_images",
        f"{_IO}.zarr.volume:open_zarr",
    ),
    "n5": FormatRow(
        "N5",
        f"{_IO}.n5.layout:n5_image",
        f"{_IO}.n5.layout:n5_images",
        f"{_IO}.n5.volume:open_n5",
    ),
    "imaris": _row("Imaris", "formats.imaris", "imaris"),
    "bdv": _row("BigDataViewer", "formats.bigdataviewer", "bdv"),
    "precomputed": _row(
        "Neuroglancer precomputed", "formats.precomputed", "precomputed"
    ),
    "v3draw": _row("Vaa3D raw", "formats.v3draw", "v3draw"),
    "pictures": _row("slices of JPEG 2000 or JPEG XL", "formats.pictures", "pictures"),
}
"""Rows by their kind. Modules are imported when they are needed: each has libraries."""

_VERSIONS = {"zarr2": "Zarr v2", "zarr3": "Zarr v3"}


def kind_of(name: str) -> ArrayKind | None:
    """Return the kind of container of a format; None for TIFF and for what is not stored."""
    kind: Any = "zarr" if name in _VERSIONS else name
    return kind if kind in ROWS else None


def title_of(name: str) -> str:
    """Return the name of a format of chunked arrays, in words."""
    kind = kind_of(name)
    return _VERSIONS.get(name) or (name if kind is None else ROWS[kind].title)


def image_in(
    kind: ArrayKind,
    uri: str,
    path: str,
    *,
    allow_gaps: bool | None = None,
    checked: bool = True,
) -> ImageLayout | None:
    """Return the image at a path of a container, with its levels; None for other groups.

    Parameters
    ----------
    kind
        Of the container.
    uri
        Where it lies.
    path
        Image or array inside it.
    allow_gaps
        Whether slices may be missing; None where the user has no option to say so.
    checked
        Whether every slice is looked at, and not only the first.

    Raises
    ------
    VolumeError
        If there is nothing at the path, or its metadata are damaged.
    MissingExtraError
        If the library that reads it is not installed.
    """
    image_at = _loaded(ROWS[kind].image)
    if kind == "pictures":
        image_at = partial(image_at, allow_gaps=allow_gaps, checked=checked)
    found: ImageLayout | None = image_at(_container(kind, uri), path)
    return found


def images_in(kind: ArrayKind, uri: str, path: str = "") -> list[str]:
    """Return the paths of all images in a group of a container, sorted.

    Raises
    ------
    VolumeError, MissingExtraError
        As :func:`image_in`.
    """
    found: list[str] = _loaded(ROWS[kind].images)(_container(kind, uri), path)
    return found


def image_of(spec: VolumeSpec, path: str | None = None) -> ImageLayout | None:
    """Return the image at a path of a volume's container; None where that is none.

    Parameters
    ----------
    spec
        A volume, of any format.
    path
        Image or array inside its container; the volume's own array if not given.

    Raises
    ------
    VolumeError, MissingExtraError
        As :func:`image_in`.
    """
    kind = kind_of(spec.format)
    if kind is None:
        return None
    inner = spec.path if path is None else path
    gaps = spec.allow_gaps
    return image_in(kind, spec.uri, inner, allow_gaps=gaps, checked=False)


def open_array(spec: VolumeSpec, limits: ReadLimits) -> Volume:
    """Open a volume of chunked arrays read-only.

    Raises
    ------
    VolumeError, MissingExtraError
        As :func:`image_in`; or if it is encoded as no library here can read.
    """
    kind = kind_of(spec.format)
    if kind is None:
        message = f"{spec.format} is no format of arrays"
        raise AssertionError(message)
    volume: Volume = _loaded(ROWS[kind].opener)(spec, limits)
    return volume


def _container(kind: ArrayKind, uri: str) -> Location:
    if is_remote(uri):
        return location(uri)
    return ZipPath(uri) if kind == "zarr" and is_zip(uri) else Path(uri)


def _loaded(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)

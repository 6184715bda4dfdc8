"""Layout of Zarr v2 and v3 arrays and OME-NGFF images, from their JSON alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from blockseg.core.errors import VolumeError
from blockseg.core.untrusted.json_text import MALFORMED, shortened
from blockseg.core.untrusted.sizes import whole_numbers
from blockseg.io.axis_names import AxisNames
from blockseg.io.formats.zipped import ZipPath
from blockseg.io.layout import (
    LABEL_MULTISET,
    AbsentLevel,
    ArrayLayout,
    ImageLayout,
    KeyStyle,
    SearchBudget,
    joined,
    load_json,
)
from blockseg.io.zarr.ome import read_multiscales

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blockseg.core.specs import VolumeSpec
    from blockseg.io.zarr.ome import Dataset

_XARRAY = "_ARRAY_DIMENSIONS"  # attribute in which xarray names axes
_DEPTH = 5  # groups below the root in which images are looked for


@dataclass(frozen=True, slots=True)
class _Node:
    kind: Literal["array", "group"]
    version: Literal[2, 3]
    metadata: dict[str, Any]
    attributes: dict[str, Any]
    files: tuple[Path, ...]


def zarr_kind(folder: Path) -> Literal["array", "group"] | None:
    """Say what a folder is to Zarr; None if it is nothing."""
    node = _node(folder)
    return None if node is None else node.kind


def zarr_container(path: Path) -> tuple[Path, str] | None:
    """Return the outermost Zarr group around a path, and the path inside it.

    Returns
    -------
    None if neither the path nor any folder around it belongs to Zarr.
    """
    inside = [path, *path.parents]
    first = next((i for i, p in enumerate(inside) if _is_node(p)), None)
    if first is None:
        return None
    container = inside[first]
    for parent in container.parents:
        if not _is_node(parent):
            break
        container = parent
    return container, path.relative_to(container).as_posix().removeprefix(".")


def zarr_image(container: Path, path: str) -> ImageLayout | None:
    """Return the image or bare array at ``path``; None for a group of other things.

    An array that an OME-NGFF group above it lists is that image's level, with
    its axes and voxel size.

    Raises
    ------
    VolumeError
        If there is nothing at the path, or its metadata are damaged.
    """
    node = _node(container / path)
    if node is None:
        message = f"{container / path} is neither a Zarr array nor a group"
        raise VolumeError(message)
    if node.kind == "array":
        return ImageLayout(path, (_as_level(_array(container, path, node)),))
    levels = read_multiscales(node.attributes, str(container / path))
    if levels is None:
        return None
    arrays, absent = [], []
    for number, dataset in enumerate(levels):
        inner = joined(path, dataset.path)
        child = _node(container / inner)
        if child is None or child.kind != "array":
            reason = (
                f"{container / path} lists level {number} at {dataset.path!r}, "
                "where no Zarr array is; the copy is incomplete"
            )
            absent.append(AbsentLevel(number, reason))
            continue
        array = _array(container, inner, child)
        arrays.append(_placed(array, dataset, number, node))
    if not arrays:
        raise VolumeError(absent[0].reason)
    return ImageLayout(path, tuple(arrays), tuple(absent))


def zarr_images(container: Path, path: str = "") -> list[str]:
    """Return the paths of all images and bare arrays in a group, sorted.

    The levels and the labels of an OME-NGFF image are not listed by themselves.
    """
    return sorted(_search(container, path, _DEPTH, SearchBudget(container)))


def label_paths(image: VolumeSpec) -> dict[str, str]:
    """Return the label images of an image: their paths in its container, by name.

    Parameters
    ----------
    image
        From :func:`blockseg.io.find`; the labels lie in ``labels/`` of the nearest
        group around it that has one.

    Raises
    ------
    VolumeError
        If metadata are damaged.
    """
    if image.format not in ("zarr2", "zarr3"):
        return {}
    for group in PurePosixPath("/", image.path).parents or (PurePosixPath("/"),):
        labels = str(group / "labels").lstrip("/")
        if (Path(image.uri) / labels).is_dir():
            found = zarr_images(Path(image.uri), labels)
            return {path.removeprefix(f"{labels}/"): path for path in found}
    return {}


def _search(
    container: Path, path: str, depth: int, budget: SearchBudget
) -> Iterator[str]:
    budget.spend()
    node = _node(container / path)
    if node is None:
        return
    if node.kind == "array" or read_multiscales(node.attributes, path) is not None:
        yield path
        return
    if depth:
        for child in sorted(p for p in (container / path).iterdir() if p.is_dir()):
            if not child.name.startswith("."):
                inner = joined(path, child.name)
                yield from _search(container, inner, depth - 1, budget)


def _is_node(folder: Path) -> bool:
    names = ("zarr.json", ".zarray", ".zgroup")
    return any((folder / name).is_file() for name in names)


def _node(folder: Path) -> _Node | None:
    file = folder / "zarr.json"
    metadata = load_json(file)
    if metadata is not None and metadata.get("node_type") in ("array", "group"):
        attributes = _attributes(metadata, file)
        return _Node(metadata["node_type"], 3, metadata, attributes, (file,))
    kinds: tuple[tuple[str, Literal["array", "group"]], ...]
    kinds = ((".zarray", "array"), (".zgroup", "group"))
    for name, kind in kinds:
        metadata = load_json(folder / name)
        if metadata is not None:
            beside = load_json(folder / ".zattrs")
            files = [folder / name]
            if beside is not None:
                files.append(folder / ".zattrs")
            return _Node(kind, 2, metadata, beside or {}, tuple(files))
    return None


def _attributes(metadata: dict[str, Any], file: Path) -> dict[str, Any]:
    stated = metadata.get("attributes") or {}
    if not isinstance(stated, dict):
        message = f"{file} is damaged: its attributes are no JSON object"
        raise VolumeError(message)
    return stated


def _array(container: Path, path: str, node: _Node) -> ArrayLayout:
    try:
        read = _array_v2 if node.version == 2 else _array_v3
        array = read(container, path, node)
    except MALFORMED as error:
        message = f"{node.files[0]} cannot be understood ({shortened(error)})"
        raise VolumeError(message) from error
    if isinstance(container, ZipPath):
        return replace(array, together=(container.archive,))
    return array


def _array_v2(container: Path, path: str, node: _Node) -> ArrayLayout:
    metadata = node.metadata
    compressor = metadata.get("compressor")
    codecs = [str(entry["id"]) for entry in metadata.get("filters") or []]
    if compressor is not None:
        inner = compressor.get("cname")
        codecs.append("-".join(filter(None, [str(compressor["id"]), inner])))
    stored = _stored_type(metadata["dtype"], node)
    shape = whole_numbers(metadata["shape"])
    chunks = whole_numbers(metadata["chunks"])
    names = AxisNames.of(node.attributes.get(_XARRAY), len(shape))
    return ArrayLayout(
        container=container,
        path=path,
        format="zarr2",
        shape=shape,
        dtype=_numpy_dtype(stored),
        stored_dtype=str(stored),
        chunks=chunks,
        files=chunks,
        codecs=tuple(codecs),
        axes=names.letters,
        axis_names=names,
        keys=KeyStyle(
            tuple(range(len(shape))),
            separator=_separator(metadata.get("dimension_separator") or "."),
        ),
        metadata_files=node.files,
        fill=_fill(metadata),
    )


def _array_v3(container: Path, path: str, node: _Node) -> ArrayLayout:
    metadata = node.metadata
    grid = metadata["chunk_grid"]
    if grid["name"] != "regular":
        message = (
            f"{container / path} has a chunk grid {grid['name']!r}; "
            "only regular ones can be read"
        )
        raise VolumeError(message)
    shape = whole_numbers(metadata["shape"])
    files = whole_numbers(grid["configuration"]["chunk_shape"])
    chunks, names = files, []
    codecs = list(metadata["codecs"])
    while codecs:
        codec = codecs.pop(0)
        codec = {"name": codec} if isinstance(codec, str) else codec
        names.append(str(codec["name"]))
        if codec["name"] == "sharding_indexed":
            chunks = whole_numbers(codec["configuration"]["chunk_shape"])
            codecs = list(codec["configuration"]["codecs"])
    encoding = metadata.get("chunk_key_encoding") or {"name": "default"}
    settings = encoding.get("configuration") or {}
    default = encoding["name"] == "default"
    separator = _separator(settings.get("separator") or ("/" if default else "."))
    stored = _stored_type(metadata["data_type"], node)
    dimensions = metadata.get("dimension_names") or node.attributes.get(_XARRAY)
    axes = AxisNames.of(dimensions, len(shape))
    return ArrayLayout(
        container=container,
        path=path,
        format="zarr3",
        shape=shape,
        dtype=_numpy_dtype(stored),
        stored_dtype=str(stored),
        chunks=chunks,
        files=files,
        codecs=tuple(names),
        axes=axes.letters,
        axis_names=axes,
        keys=KeyStyle(
            tuple(range(len(shape))), f"c{separator}" if default else "", separator
        ),
        metadata_files=node.files,
        fill=_fill(metadata),
    )


def _as_level(array: ArrayLayout) -> ArrayLayout:
    """Return a bare array with what an OME-NGFF group above it says of it."""
    group = array.folder
    while group != array.container:
        group = group.parent
        node = _node(group)
        levels = None if node is None else read_multiscales(node.attributes, str(group))
        for number, dataset in enumerate(levels or ()):
            if node is not None and group / dataset.path == array.folder:
                return _placed(array, dataset, number, node)
    return array


def _placed(
    array: ArrayLayout, dataset: Dataset, level: int, group: _Node
) -> ArrayLayout:
    axes = dataset.axes
    fits = len(axes) == len(array.shape)
    if dataset.named and not fits:
        message = (
            f"{array.name} has {len(array.shape)} axes, but its OME-NGFF metadata "
            f"name {len(axes)} ({''.join(axes)}); correct them"
        )
        raise VolumeError(message)
    placed = replace(
        array,
        level=level,
        space=dataset.space,
        metadata_files=(*group.files, *array.metadata_files),
    )
    return replace(placed, axes=axes, axis_names=None) if fits else placed


def _separator(stated: Any) -> str:
    if stated not in (".", "/"):
        message = f"the separator {str(stated)[:40]!r} of its chunks is neither . nor /"
        raise ValueError(message)
    return str(stated)


def _stored_type(stated: Any, node: _Node) -> Any:
    return LABEL_MULTISET if node.attributes.get("isLabelMultiset") is True else stated


def _fill(metadata: dict[str, Any]) -> str:
    value = metadata.get("fill_value")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value or 0)


def _numpy_dtype(stored: Any) -> np.dtype[Any] | None:
    try:
        dtype = np.dtype(stored) if isinstance(stored, str) else None
    except TypeError:
        return None
    return None if dtype is None else dtype.newbyteorder("=")

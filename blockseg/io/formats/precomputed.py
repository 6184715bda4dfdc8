"""Neuroglancer's precomputed volumes, read with tensorstore.

Its axes count x first and its voxel sizes are nanometres. cloud-volume writes chunks on a
disk under names that end in ``.gz``, ``.br`` or ``.zstd``, which tensorstore takes for
missing: those are unpacked here, and decoded by tensorstore out of memory.
"""

from __future__ import annotations

import itertools
import math
import os
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import tensorstore as ts

from blockseg.core.errors import CorruptDataError, VolumeError
from blockseg.core.untrusted.files import read_bytes
from blockseg.core.untrusted.json_text import MALFORMED, shortened
from blockseg.core.untrusted.sizes import whole_numbers
from blockseg.io.chunks.read_again import read_again
from blockseg.io.chunks.tensorstores import (
    OPENING_ERRORS,
    ReadLimits,
    begin_reads,
    context_of,
)
from blockseg.io.chunks.volume import ChunkedVolume, one_line
from blockseg.io.layout import (
    MOST_LEVELS,
    ArrayLayout,
    ImageLayout,
    KeyStyle,
    inner_path,
    load_json,
)
from blockseg.io.units import space_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from blockseg.core.specs import VolumeSpec
    from blockseg.io.axes import Index
    from blockseg.io.chunks.tensorstores import BeginRead

_AXES = ("c", "z", "y", "x")
_KINDS = ("image", "segmentation")
_TYPES = frozenset({"uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64",
                    "int64", "float32"})  # fmt: skip
_SUFFIXES = ("", ".gz", ".br", ".zstd")
_NAME = re.compile(r"(\d+)-(\d+)_(\d+)-(\d+)_(\d+)-(\d+)(\.gz|\.br|\.zstd)?", re.ASCII)
_LOOKED_AT = 64  # entries of a folder, to see how chunks are named
_MOST_SHARDS = 2_000_000
_SPARE = 2**20  # bytes that an encoded chunk may take beyond its voxels


@dataclass(frozen=True, slots=True)
class _RangeKeys(KeyStyle):
    """Chunks named by the voxels that they hold, ``0-64_64-128_0-40``, x first."""

    folder: str = ""
    shape: tuple[int, ...] = ()
    """Voxels along (z, y, x)."""

    chunks: tuple[int, ...] = ()
    first: tuple[int, ...] = ()
    """Place of the first voxel along (z, y, x)."""

    suffix: str = ""
    """Ending that most of the names have."""

    @property
    def listed(self) -> bool:
        return False

    def key(self, place: tuple[int, ...]) -> str:
        name = self._plain(place)
        if not self.suffix or os.path.lexists(f"{self.folder}/{name}{self.suffix}"):
            return f"{name}{self.suffix}"
        return name

    def place(self, key: str) -> tuple[int, ...] | None:
        match = _NAME.fullmatch(key)
        if match is None:
            return None
        starts = [int(match[i]) for i in (5, 3, 1)]
        offsets = [s - f for s, f in zip(starts, self.first, strict=True)]
        place = tuple(o // c for o, c in zip(offsets, self.chunks, strict=True))
        at = (0, *place)
        fits = min(place) >= 0 and key.startswith(self._plain(at))
        return at if fits else None

    def _plain(self, place: tuple[int, ...]) -> str:
        spans = []
        for p, c, n, f in zip(
            place[1:], self.chunks, self.shape, self.first, strict=True
        ):
            spans.append(f"{f + p * c}-{f + min(n, (p + 1) * c)}")
        return "_".join(reversed(spans))


def is_precomputed(folder: Path) -> bool:
    """Return whether a folder holds the ``info`` of a volume."""
    file = folder / "info"
    if not file.is_file():
        return False
    try:
        stated = load_json(file)
    except VolumeError:
        return False
    return stated is not None and isinstance(stated.get("scales"), list)


def precomputed_image(container: Path, path: str) -> ImageLayout | None:
    """Return the volume in a folder, or one of its scales by its key.

    Raises
    ------
    VolumeError
        If ``info`` is damaged, states what no volume can have, or lacks the scale.
    """
    file = container / "info"
    stated = load_json(file)
    if stated is None:
        message = f"{container} has no file info; it is no precomputed volume"
        raise VolumeError(message)
    try:
        if stated.get("type") not in _KINDS or stated["data_type"] not in _TYPES:
            message = (
                f"{file} states a type {str(stated.get('type'))[:40]!r} of "
                f"{str(stated.get('data_type'))[:40]!r}, which is no precomputed volume"
            )
            raise VolumeError(message)
        scales = stated["scales"][:MOST_LEVELS]
        levels = [
            _scale(container, stated, one, number)
            for number, one in enumerate(scales)
            if not path or inner_path(one["key"]) == path
        ]
    except MALFORMED as error:
        message = f"{file} cannot be understood ({shortened(error)}); correct it"
        raise VolumeError(message) from error
    if not levels:
        known = ", ".join(str(one.get("key"))[:40] for one in scales[:12])
        message = f"{container} has no scale {path!r}; it has {known or 'none'}"
        raise VolumeError(message)
    return ImageLayout(path, tuple(levels))


def precomputed_images(container: Path, path: str = "") -> list[str]:  # noqa: ARG001
    """Return the only volume of a folder."""
    return [path]


def open_precomputed(spec: VolumeSpec, limits: ReadLimits) -> ChunkedVolume:
    """Open one scale of a volume read-only.

    Raises
    ------
    VolumeError
        If it is gone, damaged, or encoded as tensorstore cannot read.
    """
    image = precomputed_image(Path(spec.uri), spec.path)
    if image is None or not spec.path:
        message = f"{spec.uri} is no longer the precomputed volume that it was"
        raise VolumeError(message)
    return ChunkedVolume(spec, image.levels[0], _begin, _reopened, limits)


def _reopened(spec: VolumeSpec) -> ChunkedVolume:
    return open_precomputed(spec, ReadLimits())


def _scale(
    container: Path, info: dict[str, Any], scale: dict[str, Any], level: int
) -> ArrayLayout:
    key = inner_path(scale["key"])
    channels = whole_numbers([info.get("num_channels", 1)])
    shape = whole_numbers(scale["size"])[::-1]
    chunks = whole_numbers(scale["chunk_sizes"][0])[::-1]
    first = whole_numbers(scale.get("voxel_offset", [0, 0, 0]))[::-1]
    resolution = [float(n) for n in reversed(scale["resolution"])]
    finest = [float(n) for n in reversed(info["scales"][0]["resolution"])]
    if not key or {
        len(shape),
        len(chunks),
        len(first),
        len(resolution),
        len(finest),
    } != {3}:
        message = f"scale {level} states no key, or not three numbers an axis"
        raise ValueError(message)
    place = [
        n * f + (n - fine) / 2
        for n, f, fine in zip(resolution, first, finest, strict=True)
    ]
    if max(map(abs, first)) > 2**40:
        message = f"scale {level} begins at {first}"
        raise ValueError(message)
    dtype = np.dtype(str(info["data_type"]))
    sharded = scale.get("sharding") is not None
    folder = container / key
    whole = (*channels, *shape)
    one = (*channels, *(min(n, max(1, c)) if c > 0 else c for n, c in zip(shape, chunks, strict=True)))  # fmt: skip
    keys: KeyStyle = KeyStyle((0, 1, 2, 3))
    if not sharded:
        keys = _RangeKeys(
            (0, 1, 2, 3), folder=str(folder), shape=shape, chunks=one[1:], first=first,
            suffix=_suffix(folder),
        )  # fmt: skip
    return ArrayLayout(
        container=container,
        path=key,
        format="precomputed",
        shape=whole,
        dtype=dtype,
        stored_dtype=dtype.name,
        chunks=one,
        files=whole if sharded else one,
        codecs=(str(scale.get("encoding"))[:40],),
        axes=_AXES,
        keys=keys,
        space=space_of(resolution, place, ["nm"] * 3),
        level=level,
        metadata_files=(container / "info",),
        together=_shards(folder) if sharded else (),
    )


def _suffix(folder: Path) -> str:
    """Return the ending of the names of chunks, by the first ones found."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in itertools.islice(entries, _LOOKED_AT)]
    except OSError:
        return ""
    found = [m[7] or "" for m in map(_NAME.fullmatch, names) if m]
    return max(set(found), key=found.count, default="")


def _shards(folder: Path) -> tuple[Path, ...]:
    try:
        with os.scandir(folder) as entries:
            names = [
                entry.name
                for entry in itertools.islice(entries, _MOST_SHARDS)
                if entry.name.endswith((".shard", ".data", ".index"))
            ]
    except OSError:
        names = []
    # Where no shard is, one is missing.
    return tuple(folder / name for name in sorted(names) or ["0.shard"])


def _begin(layout: ArrayLayout, limits: ReadLimits) -> BeginRead:
    keys = layout.keys
    if isinstance(keys, _RangeKeys) and keys.suffix:
        return _packed(layout, limits)
    kvstore = {"driver": "file", "path": f"{layout.container}/"}
    try:
        return begin_reads(_opened(kvstore, layout.level, limits))
    except OPENING_ERRORS as error:
        message = f"{layout.name} cannot be opened: {one_line(error)}"
        raise VolumeError(message) from error


def _opened(kvstore: Any, level: int, limits: ReadLimits) -> ts.TensorStore:
    store = ts.open(
        {
            "driver": "neuroglancer_precomputed",
            "kvstore": kvstore,
            "scale_index": level,
            "recheck_cached_data": False,
            "recheck_cached_metadata": False,
        },
        open=True,
        read=True,
        write=False,
        context=context_of(limits),
    ).result()
    ordered = store[ts.d["channel", "z", "y", "x"].transpose[0, 1, 2, 3]]
    return ordered[ts.d[:].translate_to[0]]


def _packed(layout: ArrayLayout, limits: ReadLimits) -> BeginRead:
    """Return reads of chunks that are compressed once more, as files."""
    info = read_bytes(layout.container / "info", 16 * 2**20)
    itemsize = 1 if layout.dtype is None else layout.dtype.itemsize
    most = 2 * math.prod(layout.chunks) * itemsize + _SPARE

    def decoded(place: tuple[int, ...]) -> NDArray[Any]:
        file = layout.chunk_file(place)
        name = file.name
        suffix = os.path.splitext(name)[1] if name.endswith(_SUFFIXES[1:]) else ""  # noqa: PTH122
        box = tuple(
            slice(p * c, min(n, (p + 1) * c))
            for p, c, n in zip(place, layout.chunks, layout.shape, strict=True)
        )
        context = context_of(limits)
        held = ts.KvStore.open({"driver": "memory"}, context=context).result()
        held["info"] = info
        if file.is_file():
            content = _unpacked(read_bytes(file, most), suffix, most, str(file))
            held[f"{layout.path}/{name.removesuffix(suffix)}"] = content
        store = ts.open(
            {
                "driver": "neuroglancer_precomputed",
                "kvstore": {"driver": "memory"},
                "scale_index": layout.level,
            },
            open=True,
            read=True,
            context=context,
        ).result()
        ordered = store[ts.d["channel", "z", "y", "x"].transpose[0, 1, 2, 3]]
        return np.asarray(ordered[ts.d[:].translate_to[0]][box].read().result())

    def begin(index: Index) -> Callable[[], NDArray[Any]]:
        return lambda: read_again(lambda: _assembled(layout, index, decoded))

    return begin


def _assembled(
    layout: ArrayLayout,
    index: Index,
    decoded: Callable[[tuple[int, ...]], NDArray[Any]],
) -> NDArray[Any]:
    out = np.empty([part.stop - part.start for part in index], layout.dtype)
    spans = [
        range(part.start // c, -(-part.stop // c))
        for part, c in zip(index, layout.chunks, strict=True)
    ]
    for place in itertools.product(*spans):
        first = [p * c for p, c in zip(place, layout.chunks, strict=True)]
        chunk = decoded(place)
        bounds = [
            (max(part.start, f), min(part.stop, f + n))
            for part, f, n in zip(index, first, chunk.shape, strict=True)
        ]
        to = tuple(
            slice(a - part.start, z - part.start)
            for (a, z), part in zip(bounds, index, strict=True)
        )
        of = tuple(slice(a - f, z - f) for (a, z), f in zip(bounds, first, strict=True))
        out[to] = chunk[of]
    return out


def _unpacked(data: bytes, suffix: str, most: int, file: str) -> bytes:
    """Return the content of a file without the compression that its name tells."""
    if not suffix:
        return data
    try:
        if suffix == ".gz":
            return _gunzipped(data, most)
        if suffix == ".br":
            return bytes(imagecodecs.brotli_decode(data, out=most))
        return bytes(imagecodecs.zstd_decode(data, out=most))
    except (ValueError, RuntimeError, zlib.error) as error:
        message = f"chunk {file} cannot be unpacked ({one_line(error)}); restore it from a copy"
        raise CorruptDataError(message, file) from error


def _gunzipped(data: bytes, most: int) -> bytes:
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    content = unpacker.decompress(data, most)
    if not unpacker.eof:
        message = f"it is cut off, or unpacks to more than {most} bytes"
        raise ValueError(message)
    return content

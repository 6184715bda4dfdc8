"""Compressed chunks that expand to far more than their metadata state.

300 MB of zeros each: enough to be measured, and nothing that a machine would mind.
"""

from __future__ import annotations

import gzip
from functools import cache, partial
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import tifffile
from numcodecs import BZ2, Zlib, Zstd

from tests.hostile.case import Case
from tests.hostile.corpus.volumes import EDGE, n5, v2, v3
from tests.hostile.readers import READERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.hostile.case import Stock, Words

_BYTES = 300_000_000


@cache
def packed(codec: str) -> bytes:
    """Return the zeros, compressed."""
    zeros = bytes(_BYTES)
    if codec == "gzip":
        return gzip.compress(zeros)
    encoder = {"zlib": Zlib(9), "zstd": Zstd(3), "bz2": BZ2(9)}[codec]
    return bytes(encoder.encode(zeros))


def zarr2(codec: str, folder: Path) -> Path:
    v2(folder, compressor={"id": codec, "level": 1})
    (folder / "0.0.0").write_bytes(packed(codec))
    return folder


def zarr3(codec: str, folder: Path) -> Path:
    settings = {"level": 1, **({"checksum": False} if codec == "zstd" else {})}
    v3(folder, codecs=[{"name": "bytes"}, {"name": codec, "configuration": settings}])
    (folder / "c/0/0/0").write_bytes(packed(codec))
    return folder


def n5_block(folder: Path) -> Path:
    n5(folder, compression={"type": "gzip", "level": 1})
    head = (folder / "0/0/0").read_bytes()[:16]
    (folder / "0/0/0").write_bytes(head + packed("gzip"))
    return folder


def tiff_page(path: Path) -> Path:
    """Write a page whose one strip is exchanged for the zeros."""
    stream = BytesIO()
    page = np.ones((EDGE, EDGE), np.uint8)
    tifffile.imwrite(stream, page, compression="zlib", photometric="minisblack")
    stream.seek(0)
    with tifffile.TiffFile(stream) as tif:
        tags = tif.pages.first.tags
        places = tags["StripOffsets"].valueoffset, tags["StripByteCounts"].valueoffset
        sizes = tags["StripOffsets"].dtype, tags["StripByteCounts"].dtype
    content = bytearray(stream.getvalue())
    strip = packed("zlib")
    for at, kind, value in zip(places, sizes, (len(content), len(strip)), strict=True):
        width = {3: 2, 4: 4}[int(kind)]
        content[at : at + width] = value.to_bytes(width, "little")
    path.with_suffix(".tif").write_bytes(bytes(content) + strip)
    return path.with_suffix(".tif")


EXPANDING: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "a chunk of gzip that expands to 300 MB": ("Zarr v2", partial(zarr2, "gzip")),
    "a chunk of zlib that expands to 300 MB": ("Zarr v2", partial(zarr2, "zlib")),
    "a chunk of bz2 that expands to 300 MB": ("Zarr v2", partial(zarr2, "bz2")),
    "a chunk of zstd that expands to 300 MB": ("Zarr v2", partial(zarr2, "zstd")),
    "a gzipped chunk that expands to 300 MB": ("Zarr v3", partial(zarr3, "gzip")),
    "a zstd chunk that expands to 300 MB": ("Zarr v3", partial(zarr3, "zstd")),
    "a block that expands to 300 MB": ("N5", n5_block),
    "a strip that expands to 300 MB": ("TIFF", tiff_page),
}


def cases() -> Iterator[Case]:
    for title, (area, make) in EXPANDING.items():
        yield Case(area, title, partial(_run, make))


def _run(make: Callable[[Path], Path], stock: Stock) -> Words:
    return READERS["run"](stock, make(stock.folder / "hostile"))

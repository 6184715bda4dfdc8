"""TIFF files and folders of slices whose directories say what cannot be."""

from __future__ import annotations

import json
import os
import struct
from typing import TYPE_CHECKING, Any

from tests.hostile.readers import read_by_commands

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.hostile.case import Case, Stock

EDGE = 32


def tiff(
    path: Path,
    pages: int = EDGE,
    description: str = "",
    drop: tuple[int, ...] = (),
    loop: bool = False,
    cut: int = 0,
    **changed: int,
) -> Path:
    """Write a TIFF of one strip a page, with some tags changed.

    ``width=2**31`` and the like replace the tag's value.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    body, offsets = bytearray(b"II*\0\0\0\0\0"), []
    strip = EDGE * EDGE
    for number in range(pages):
        at = len(body)
        body += bytes([number % 251 + 1]) * strip
        tags: dict[str, tuple[int, Any]] = {
            "width": (256, EDGE), "length": (257, EDGE), "bits": (258, 8),
            "compression": (259, 1), "photometric": (262, 1),
            "offset": (273, at), "samples": (277, 1), "rows": (278, EDGE),
            "count": (279, strip), "format": (339, 1),
        }  # fmt: skip
        entries = []
        for name, (code, value) in sorted(tags.items(), key=lambda item: item[1]):
            if code not in drop:
                stated = changed.get(name, value)
                entries.append(struct.pack("<HHII", code, 4, 1, stated))
        if description and not number:
            text = description.encode() + b"\0"
            place = len(body)
            body += text + b"\0" * (len(text) % 2)
            entries.append(struct.pack("<HHII", 270, 2, len(text), place))
            entries.sort(key=lambda entry: struct.unpack("<H", entry[:2])[0])
        offsets.append(len(body))
        body += struct.pack("<H", len(entries)) + b"".join(entries) + b"\0\0\0\0"
    ends = [*offsets[1:], offsets[0] if loop else 0] if offsets else []
    for at, following in zip(offsets, ends, strict=True):
        (count,) = struct.unpack_from("<H", body, at)
        struct.pack_into("<I", body, at + 2 + 12 * count, following)
    struct.pack_into("<I", body, 4, offsets[0] if offsets else 0)
    path.write_bytes(bytes(body[: len(body) - cut]))
    return path


def ome(size_z: int = EDGE, **attributes: Any) -> str:
    said = {
        "DimensionOrder": "XYZCT", "Type": "uint8", "SizeX": EDGE, "SizeY": EDGE,
        "SizeZ": size_z, "SizeC": 1, "SizeT": 1, "ID": "Pixels:0",
    } | attributes  # fmt: skip
    text = " ".join(f'{name}="{value}"' for name, value in said.items())
    return (
        '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/'
        f'Schemas/OME/2016-06"><Image ID="Image:0"><Pixels {text}><TiffData/></Pixels>'
        "</Image></OME>"
    )


def entities() -> str:
    """OME-XML whose entities would expand to a billion characters."""
    lines = ['<!ENTITY a0 "aaaaaaaaaa">']
    lines += [f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 9)]
    sized = ome().split("?>", 1)[1].replace("<TiffData/>", "<TiffData/>&a8;")
    return f'<?xml version="1.0"?><!DOCTYPE OME [{"".join(lines)}]>{sized}'


def others(path: Path, name: str) -> Path:
    """Write one of several files of an OME-TIFF, which names another."""
    os.mkfifo(path.with_name("pipe"))
    data = f'<TiffData IFD="0"><UUID FileName="{name}">urn:uuid:a</UUID></TiffData>'
    return tiff(path, description=ome().replace("<TiffData/>", data))


def slices(folder: Path, last: Callable[[Path], object]) -> Path:
    """Write a folder of slices, the last one made otherwise."""
    for number in range(8):
        tiff(folder / f"img_{number:03}.tif", 1)
    path = folder / "img_007.tif"
    path.unlink()
    last(path)
    return folder


TIFF: dict[str, Callable[[Path, Stock], Path]] = {
    "a width of 2³¹": lambda at, _: tiff(at, width=2**31),
    "a length of 2³²−1": lambda at, _: tiff(at, length=2**32 - 1, rows=2**32 - 1),
    "a width of 0": lambda at, _: tiff(at, width=0),
    "pages of 2²³ × 2²³ pixels": lambda at, _: tiff(at, width=2**23, length=2**23),
    "strips of 0 rows": lambda at, _: tiff(at, rows=0),
    "strips of 2³¹ bytes": lambda at, _: tiff(at, count=2**31),
    "strips beyond the file": lambda at, _: tiff(at, offset=2**31),
    "no place of its strips": lambda at, _: tiff(at, drop=(273,)),
    "no size of its pages": lambda at, _: tiff(at, drop=(256,)),
    "an unknown compression": lambda at, _: tiff(at, compression=61234),
    "voxels of 60,000 bits": lambda at, _: tiff(at, bits=60000),
    "voxels of 50,000 colours": lambda at, _: tiff(at, samples=50000),
    "pages that loop": lambda at, _: tiff(at, loop=True),
    "half of its last page": lambda at, _: tiff(at, cut=40),
    "no page": lambda at, _: tiff(at, 0),
    "a directory of 65,535 tags": lambda at, _: raw(at, b"II*\0\x08\0\0\0\xff\xff"),
    "a directory beyond the file": lambda at, _: raw(at, b"II*\0\xff\xff\xff\x7f"),
    "a header and no more": lambda at, _: raw(at, b"II*\0"),
    "a BigTIFF of 2⁶⁴ tags": lambda at, _: raw(
        at, b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 2**64 - 1)
    ),
    "OME-XML with 10⁹ planes": lambda at, _: tiff(at, description=ome(10**9)),
    "OME-XML whose entities expand": lambda at, _: tiff(at, description=entities()),
    "OME-XML with a plane of number 10¹²": lambda at, _: tiff(
        at, description=ome().replace("<TiffData/>", '<TiffData IFD="1000000000000"/>')
    ),
    "OME-XML that names ../other.tif": lambda at, _: others(at, "../other.tif"),
    "OME-XML that names a pipe": lambda at, _: others(at, "pipe"),
    "a shape of 10¹⁸ in its description": lambda at, _: tiff(
        at, description=json.dumps({"shape": [10**18, EDGE, EDGE]})
    ),
    "10⁹ images by ImageJ": lambda at, _: tiff(
        at, 1, description="ImageJ=1.53\nimages=1000000000\nslices=1000000000\n"
    ),
}  # fmt: skip

TIFF_HANDLED: dict[str, Callable[[Path, Stock], Path]] = {
    "OME-XML with −1 planes, of which the pages count": lambda at, _: tiff(
        at, description=ome(-1)
    ),
    "a description nested 20,000 deep": lambda at, _: tiff(
        at, description='{"shape": ' + "[" * 20_000
    ),
}  # fmt: skip

SLICES: dict[str, Callable[[Path, Stock], Path]] = {
    "a pipe for a slice": lambda at, _: slices(at, os.mkfifo),
    "a device for a slice": lambda at, _: slices(
        at, lambda path: path.symlink_to("/dev/zero")
    ),
    "a slice of 2³¹ pixels": lambda at, _: slices(
        at, lambda path: tiff(path, 1, width=2**31)
    ),
    "a slice that is a header": lambda at, _: slices(
        at, lambda path: path.write_bytes(b"II*\0")
    ),
    "slices all of 2³¹ pixels": lambda at, _: all_slices(at, width=2**31),
    "a link that loops": lambda at, _: slices(at, lambda path: path.symlink_to(path)),
}  # fmt: skip

SLICES_HANDLED: dict[str, Callable[[Path, Stock], Path]] = {
    "numbers of 200 digits": lambda at, _: renamed(at, "9" * 199),
}

FILES: dict[str, Callable[[Path, Stock], Path]] = {
    "a pipe": lambda at, _: fifo(at),
    "a device": lambda at, _: link(at, "/dev/zero"),
    "a device without an end": lambda at, _: link(at, "/dev/urandom"),
    "a link that loops": lambda at, _: link(at, str(at)),
    "an empty file": lambda at, _: raw(at, b""),
    "a name of 300 characters": lambda at, _: at / ("x" * 300),
    "a path of 5,000 characters": lambda at, _: at / ("x/" * 2500),
    "a name of half a character": lambda at, _: at.with_name("\udcff.zarr"),
    "a ZIP archive of nothing": lambda at, _: raw(at, b"PK\x03\x04" + b"\0" * 400),
    "a file of 1 TB without content": lambda at, _: sparse(at, 2**40),
}  # fmt: skip


def raw(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def sparse(path: Path, size: int) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
    return path


def fifo(path: Path) -> Path:
    os.mkfifo(path)
    return path


def link(path: Path, to: str) -> Path:
    path.symlink_to(to)
    return path


def all_slices(folder: Path, **changed: Any) -> Path:
    for number in range(8):
        tiff(folder / f"img_{number:03}.tif", 1, **changed)
    return folder


def renamed(folder: Path, digits: str) -> Path:
    for number in (1, 2):
        tiff(folder / f"a{digits}{number}.tif", 1)
    return folder


def cases() -> Iterator[Case]:
    yield from read_by_commands("TIFF", TIFF)
    yield from read_by_commands("TIFF", TIFF_HANDLED, "handled")
    yield from read_by_commands("TIFF slices", SLICES)
    yield from read_by_commands("TIFF slices", SLICES_HANDLED, "handled")
    yield from read_by_commands("paths", FILES)

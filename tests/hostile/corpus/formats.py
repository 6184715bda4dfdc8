"""HDF5, precomputed volumes, raw stacks, archives and pictures that lie about what they hold."""

from __future__ import annotations

import gzip
import json
import os
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

import h5py
import imagecodecs
import numpy as np

from tests.hostile.corpus.volumes import EDGE, HUGE, nested
from tests.hostile.readers import read_by_commands
from tests.written import formats as written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.hostile.case import Case, Stock

LEVEL = "DataSet/ResolutionLevel 0/TimePoint 0/Channel 0"
DATA = f"{LEVEL}/Data"
BOMB = 2**28  # bytes that a few kilobytes unpack to


def voxels() -> np.ndarray:
    return (np.arange(EDGE**3) % 250 + 1).astype("u1").reshape((EDGE,) * 3)


def ims(at: Path, change: Callable[[h5py.File], object]) -> Path:
    """Write a sound Imaris file, and change it."""
    path = written.write_imaris(at.with_suffix(".ims"), voxels(), levels=1)
    with h5py.File(path, "a") as file:
        change(file)
    return path


def attribute(place: str, name: str, value: object) -> Callable[[Path, Stock], Path]:
    def change(file: h5py.File) -> None:
        file[place].attrs[name] = value

    return lambda at, _: ims(at, change)


def replaced(make: Callable[[h5py.File], object]) -> Callable[[Path, Stock], Path]:
    """Return what puts another thing in the place of the voxels."""

    def change(file: h5py.File) -> None:
        del file[DATA]
        made = make(file)
        if made is not None:
            file[DATA] = made

    return lambda at, _: ims(at, change)


def _virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((32, 32, 32), "u1")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (32, 32, 32))
    file.create_virtual_dataset(DATA, layout)


def _huge(file: h5py.File) -> None:
    file.create_dataset(DATA, (2**60, 32, 32), "u1", chunks=(8, 8, 8))
    file[LEVEL].attrs["ImageSizeZ"] = written.characters(2**60)


def _bomb(file: h5py.File) -> None:
    dataset = file.create_dataset(
        DATA, (32, 32, 32), "u1", chunks=(32, 32, 32), compression="gzip"
    )
    dataset.id.write_direct_chunk((0, 0, 0), zlib.compress(bytes(BOMB)))


def _cut(at: Path, share: float) -> Path:
    path = ims(at, lambda _: None)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    return path


def _size(value: object) -> Callable[[Path, Stock], Path]:
    return attribute(LEVEL, "ImageSizeX", written.characters(value))


IMARIS: dict[str, Callable[[Path, Stock], Path]] = {
    "an image of 10¹⁸ voxels a line": _size(HUGE),
    "an image that is longer than what is stored": _size(48),
    "an image of -5 voxels a line": attribute(LEVEL, "ImageSizeX", [-1.0, 2.0]),
    "an attribute of 10⁶ characters": _size("9" * 60_000),
    "an array of 10¹⁸ voxels a line": replaced(_huge),
    "an array of texts": replaced(
        lambda file: file.create_dataset(DATA, (8, 8, 8), h5py.string_dtype()) and None
    ),
    "an array of one axis": replaced(lambda _: np.ones(100, "u1")),
    "no array": replaced(lambda _: None),
    "a link to another file": replaced(lambda _: h5py.ExternalLink("/etc/passwd", "/")),
    "a link to itself": replaced(lambda _: h5py.SoftLink(f"/{DATA}")),
    "voxels in another file": replaced(
        lambda file: file.create_dataset(
            DATA, (32, 32, 32), "u1", external=[("/etc/passwd", 0, 32**3)]
        )
        and None
    ),
    "a view of another file": replaced(_virtual),
    "a chunk that unpacks to 256 MiB": replaced(_bomb),
    "a file of its first bytes": lambda at, _: _cut(at, 0.01),
    "a file that lacks its end": lambda at, _: _cut(at, 0.6),
}  # fmt: skip

IMARIS_PLACED: dict[str, Callable[[Path, Stock], Path]] = {
    "extents of 10³⁰⁸": attribute(
        "DataSetInfo/Image", "ExtMax0", written.characters(1e308)
    ),
    "extents that are no numbers": attribute("DataSetInfo/Image", "ExtMax0", "wide"),
    "extents the wrong way round": attribute("DataSetInfo/Image", "ExtMax0", "-5"),
    "extents of nothing": attribute("DataSetInfo/Image", "ExtMax0", "0"),
}


def bdv(at: Path, before: str = "", after: str = "", **options: Any) -> Path:
    """Write a sound project, and replace a text of its XML."""
    path = written.write_bdv(at.with_suffix(".xml"), voxels(), **options)
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")
    return path


def _entities(at: Path) -> Path:
    lines = "".join(
        f'<!ENTITY x{i} "{f"&x{i - 1};" * 10 if i else "lol"}">' for i in range(12)
    )
    start = '<?xml version="1.0" encoding="UTF-8"?>'
    return bdv(
        at, f"{start}\n<SpimData", f"{start}<!DOCTYPE SpimData [{lines}]>\n<SpimData"
    )


def _pipe(at: Path) -> Path:
    os.mkfifo(at.with_suffix(".pipe"))
    return bdv(at, f"{at.stem}.h5", f"{at.stem}.pipe")


def _resolutions(at: Path, table: Any) -> Path:
    path = bdv(at)
    with h5py.File(path.with_suffix(".h5"), "a") as file:
        del file["s00/resolutions"]
        file["s00/resolutions"] = table
    return path


BDV: dict[str, Callable[[Path, Stock], Path]] = {
    "entities that unfold a billion times": lambda at, _: _entities(at),
    "voxels in /etc/passwd": lambda at, _: bdv(at, f"{at.stem}.h5", "/etc/passwd"),
    "voxels in ../elsewhere": lambda at, _: bdv(at, f"{at.stem}.h5", "../elsewhere.h5"),
    "voxels in a pipe": lambda at, _: _pipe(at),
    "voxels in the XML itself": lambda at, _: bdv(at, f"{at.stem}.h5", f"{at.stem}.xml"),
    "voxels nowhere": lambda at, _: bdv(at, f"{at.stem}.h5", ""),
    "10⁹ time points": lambda at, _: bdv(at, "<last>0", "<last>999999999"),
    "time points from 0 to no number": lambda at, _: bdv(at, "<last>0", "<last>many"),
    "a setup that is no number": lambda at, _: bdv(at, "<id>0", "<id>zero"),
    "a matrix of three numbers": lambda at, _: bdv(at, affine="1 2 3"),
    "XML that ends in its middle": lambda at, _: bdv(at, "</ViewSetups>", "<"),
    "resolutions that are not finite": lambda at, _: _resolutions(at, [[np.nan] * 3]),
    "resolutions of two axes": lambda at, _: _resolutions(at, [[1.0, 1.0]]),
    "10⁵ resolutions": lambda at, _: _resolutions(at, np.ones((10**5, 3))),
}  # fmt: skip


def precomputed(at: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Write a sound volume, and change its info."""
    written.write_precomputed(at, voxels())
    info = json.loads((at / "info").read_text())
    change(info)
    (at / "info").write_text(json.dumps(info))
    return at


def scale(**changed: Any) -> Callable[[Path, Stock], Path]:
    return lambda at, _: precomputed(at, lambda info: info["scales"][0].update(changed))


def info(**changed: Any) -> Callable[[Path, Stock], Path]:
    return lambda at, _: precomputed(at, lambda stated: stated.update(changed))


def _packed(at: Path, content: bytes) -> Path:
    written.packed_like_cloud_volume(written.write_precomputed(at, voxels()))
    for file in at.glob("*/*.gz"):
        file.write_bytes(content)
    return at


def _info(at: Path, text: str) -> Path:
    written.write_precomputed(at, voxels())
    (at / "info").write_text(text)
    return at


PRECOMPUTED: dict[str, Callable[[Path, Stock], Path]] = {
    "a size of 10¹⁸": scale(size=[HUGE] * 3),
    "a size of -5": scale(size=[-5, 32, 32]),
    "a size of fractions": scale(size=[31.5, 32, 32]),
    "a size of two axes": scale(size=[32, 32]),
    "chunks of 0": scale(chunk_sizes=[[0, 32, 32]]),
    "chunks of terabytes": scale(size=[2**15] * 3, chunk_sizes=[[2**15] * 3]),
    "no chunks": scale(chunk_sizes=[]),
    "a key of ../elsewhere": scale(key="../elsewhere"),
    "a key of the folder itself": scale(key="."),
    "a key with a zero byte": scale(key="a\0"),
    "an offset of 10¹⁸": scale(voxel_offset=[HUGE] * 3),
    "an offset of texts": scale(voxel_offset=["0"] * 3),
    "an encoding of another kind": scale(encoding="no-such"),
    "an encoding that is a list": scale(encoding=["raw"]),
    "shards by no rule": scale(sharding={"@type": "no-such"}),
    "shards of 2⁶⁴ bits": scale(sharding={**written.SHARDING, "shard_bits": HUGE}),
    "10¹⁸ channels": info(num_channels=HUGE),
    "no channels": info(num_channels=0),
    "a type that is a list": info(data_type=["uint8"]),
    "a type of another kind": info(type="mesh"),
    "no scales": info(scales=[]),
    "scales that are numbers": info(scales=[1, 2]),
    "10⁵ scales": lambda at, _: precomputed(
        at, lambda stated: stated.update(scales=[{"key": "x"}] * 10**5)
    ),
    "info nested 20,000 deep": lambda at, _: _info(at, nested()),
}  # fmt: skip

PRECOMPUTED_DAMAGED: dict[str, Callable[[Path, Stock], Path]] = {
    "chunks that unpack to 256 MiB": lambda at, _: _packed(
        at, gzip.compress(bytes(BOMB))
    ),
    "chunks that are no gzip": lambda at, _: _packed(at, b"none"),
}

PRECOMPUTED_PLACED: dict[str, Callable[[Path, Stock], Path]] = {
    "a resolution of 0": scale(resolution=[0, 0, 0]),
    "a resolution of 10³⁰⁸": scale(resolution=[1e308] * 3),
}


def v3draw(at: Path, header: bytes, order: bytes = b"L") -> Path:
    path = at.with_suffix(".v3draw")
    path.write_bytes(b"raw_image_stack_by_hpeng" + order + header + bytes(1000))
    return path


VAA3D: dict[str, Callable[[Path, Stock], Path]] = {
    "a header that promises more": lambda at, _: v3draw(
        at, struct.pack("<h4i", 1, 100, 100, 100, 1)
    ),
    "a header that promises 2⁶² voxels": lambda at, _: v3draw(
        at, struct.pack("<h4i", 2, 2**31 - 1, 2**31 - 1, 1, 1)
    ),
    "lengths of -5": lambda at, _: v3draw(at, struct.pack("<h4i", 1, -5, -20, 10, 1)),
    "lengths of 0": lambda at, _: v3draw(at, struct.pack("<h4i", 1, 0, 10, 10, 10)),
    "a type of 7": lambda at, _: v3draw(at, struct.pack("<h4i", 7, 10, 10, 10, 1)),
    "no byte order": lambda at, _: v3draw(at, bytes(18), b"X"),
}  # fmt: skip


def archive(
    at: Path,
    names: dict[str, bytes],
    how: int = zipfile.ZIP_STORED,
    cut: float = 1.0,
) -> Path:
    path = at.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", how) as made:
        for name, content in names.items():
            made.writestr(name, content)
    content = path.read_bytes()
    path.write_bytes(content[: int(cut * len(content))])
    return path


def zarray(**changed: Any) -> bytes:
    stated = {
        "zarr_format": 2, "shape": [EDGE] * 3, "chunks": [EDGE] * 3, "dtype": "|u1",
        "compressor": None, "fill_value": 0, "order": "C", "filters": None,
    }  # fmt: skip
    return json.dumps(stated | changed).encode()


def _encrypted(at: Path) -> Path:
    path = archive(at, {".zarray": zarray(), "0.0.0": voxels().tobytes()})
    content = bytearray(path.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.find(mark)
        content[place + flags] |= 1
    path.write_bytes(content)
    return path


ZIP: dict[str, Callable[[Path, Stock], Path]] = {
    "a member that is ../elsewhere": lambda at, _: archive(
        at, {".zarray": zarray(), "../elsewhere/0.0.0": b"1"}
    ),
    "a member that is /etc/passwd": lambda at, _: archive(
        at, {".zarray": zarray(), "/etc/passwd": b"1"}
    ),
    "metadata that unpack to 256 MiB": lambda at, _: archive(
        at, {".zarray": bytes(BOMB)}, zipfile.ZIP_DEFLATED
    ),
    "a chunk that unpacks to 256 MiB": lambda at, _: archive(
        at, {".zarray": zarray(), "0.0.0": bytes(BOMB)}, zipfile.ZIP_DEFLATED
    ),
    "5000 arrays": lambda at, _: archive(
        at, {f"{i}/.zarray": zarray() for i in range(5000)}
    ),
    "an archive that lacks its end": lambda at, _: archive(
        at, {".zarray": zarray(), "0.0.0": voxels().tobytes()}, cut=0.7
    ),
    "an archive under a password": lambda at, _: _encrypted(at),
    "an array of 10¹⁸ voxels a line": lambda at, _: archive(
        at, {".zarray": zarray(shape=[HUGE] * 3)}
    ),
    "metadata nested 20,000 deep": lambda at, _: archive(
        at, {".zarray": nested().encode()}
    ),
    "an archive of an archive": lambda at, _: archive(at, {"a.zip": b"PK\x03\x04"}),
}  # fmt: skip


def pictures(
    at: Path, change: Callable[[bytes], bytes | bytearray], codec: str = "jp2"
) -> Path:
    """Write sound slices, and change each."""
    written.write_slices(at, voxels(), codec)
    for file in at.iterdir():
        file.write_bytes(change(file.read_bytes()))
    return at


def _large(content: bytes) -> bytes:
    place = content.find(b"\xff\x4f\xff\x51") + 8
    return content[:place] + struct.pack(">2I", 2**31, 2**31) + content[place + 8 :]


PICTURES: dict[str, Callable[[Path, Stock], Path]] = {
    "JPEG 2000 of 2³¹ pixels a line": lambda at, _: pictures(at, _large),
    "JPEG 2000 that is cut off in its header": lambda at, _: pictures(
        at, lambda content: content[:20]
    ),
    "JPEG 2000 that is cut off in its pixels": lambda at, _: pictures(
        at, lambda content: content[:120]
    ),
    "JPEG 2000 in colour": lambda at, _: pictures(
        at, lambda _: imagecodecs.jpeg2k_encode(np.zeros((8, 8, 3), "u1"), level=0)
    ),
    "JPEG XL of 2³⁰ pixels a line": lambda at, _: pictures(
        at, lambda _: b"\xff\x0a" + bytes([0xFE]) + b"\xff" * 40, "jxl"
    ),
    "JPEG XL that is cut off": lambda at, _: pictures(
        at, lambda content: content[:4], "jxl"
    ),
    "slices of text": lambda at, _: pictures(at, lambda _: b"none"),
}  # fmt: skip

BY_BLOCKS = ("convert", "metrics", "export", "info")
"""Commands that read no voxel, or find out in a block and end with exit code 3."""

SIZED = ("--mask", "--atlas", "evaluate", "truth")
"""Commands that say a voxel size which cannot be read, and do without it."""


def cases() -> Iterator[Case]:
    yield from read_by_commands("Imaris", IMARIS)
    yield from read_by_commands("Imaris", IMARIS_PLACED, but=SIZED)
    yield from read_by_commands("BigDataViewer", BDV)
    yield from read_by_commands("Neuroglancer precomputed", PRECOMPUTED)
    yield from read_by_commands(
        "Neuroglancer precomputed", PRECOMPUTED_PLACED, but=SIZED
    )
    yield from read_by_commands(
        "Neuroglancer precomputed", PRECOMPUTED_DAMAGED, but=BY_BLOCKS
    )
    yield from read_by_commands("Vaa3D", VAA3D)
    yield from read_by_commands("ZIP", ZIP)
    yield from read_by_commands("JPEG 2000 and JPEG XL", PICTURES)

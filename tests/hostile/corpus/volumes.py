"""Zarr, OME-Zarr and N5 volumes with metadata that no honest writer makes."""

from __future__ import annotations

import json
import os
from functools import partial
from typing import TYPE_CHECKING, Any

from tests.hostile.case import Case
from tests.hostile.readers import READERS, read_by_commands

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.hostile.case import Stock, Words

HUGE = 10**18
DEEP = 20_000
EDGE = 32


def nested(deep: int = DEEP, opening: str = "[", closing: str = "]") -> str:
    return opening * deep + closing * deep


def voxels(edge: int = EDGE) -> bytes:
    return bytes(range(1, 251)) * (edge**3 // 250) + bytes([7]) * (edge**3 % 250)


def v2(folder: Path, attributes: Any = None, **changed: Any) -> Path:
    """Write a Zarr v2 array of one chunk, with some keys of its metadata changed."""
    folder.mkdir(parents=True)
    metadata = {
        "zarr_format": 2, "shape": [EDGE] * 3, "chunks": [EDGE] * 3, "dtype": "|u1",
        "compressor": None, "fill_value": 0, "order": "C", "filters": None,
        "dimension_separator": ".",
    }  # fmt: skip
    document = {k: v for k, v in (metadata | changed).items() if v != "missing"}
    (folder / ".zarray").write_text(json.dumps(document))
    if attributes is not None:
        (folder / ".zattrs").write_text(json.dumps(attributes))
    (folder / "0.0.0").write_bytes(voxels())
    return folder


def v3(folder: Path, attributes: Any = None, **changed: Any) -> Path:
    """Write a Zarr v3 array of one chunk, with some keys of its metadata changed."""
    (folder / "c/0/0").mkdir(parents=True)
    metadata = {
        "zarr_format": 3, "node_type": "array", "shape": [EDGE] * 3,
        "data_type": "uint8", "fill_value": 0,
        "chunk_grid": grid([EDGE] * 3),
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "codecs": [{"name": "bytes"}], "attributes": attributes or {},
    }  # fmt: skip
    document = {k: v for k, v in (metadata | changed).items() if v != "missing"}
    (folder / "zarr.json").write_text(json.dumps(document))
    (folder / "c/0/0/0").write_bytes(voxels())
    return folder


def grid(shape: Any) -> dict[str, Any]:
    return {"name": "regular", "configuration": {"chunk_shape": shape}}


def sharded(inner: Any, codecs: Any = None) -> list[Any]:
    inside = {"chunk_shape": inner, "codecs": codecs or [{"name": "bytes"}]}
    inside["index_codecs"] = [{"name": "bytes", "configuration": {"endian": "little"}}]
    return [{"name": "sharding_indexed", "configuration": inside}]


def n5(folder: Path, **changed: Any) -> Path:
    """Write an N5 dataset of one block, with some keys of its attributes changed."""
    (folder / "0/0").mkdir(parents=True)
    metadata = {
        "dimensions": [EDGE] * 3, "blockSize": [EDGE] * 3, "dataType": "uint8",
        "compression": {"type": "raw"}, "n5": "2.5.1",
    }  # fmt: skip
    document = {k: v for k, v in (metadata | changed).items() if v != "missing"}
    (folder / "attributes.json").write_text(json.dumps(document))
    head = (0).to_bytes(2, "big") + (3).to_bytes(2, "big") + EDGE.to_bytes(4, "big") * 3
    (folder / "0/0/0").write_bytes(head + voxels())
    return folder


AXES = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]


def scale(values: Any) -> list[Any]:
    return [{"type": "scale", "scale": values}]


def image(folder: Path, version: int = 3, levels: Any = None, **changed: Any) -> Path:
    """Write an OME-Zarr image of one level, with some keys of its metadata changed."""
    datasets = [{"path": "0", "coordinateTransformations": scale([1.0, 1.0, 1.0])}]
    multiscale = {"axes": AXES, "datasets": levels or datasets} | changed
    said = {k: v for k, v in multiscale.items() if v != "missing"}
    return group(folder, [said], version)


def group(folder: Path, multiscales: Any, version: int = 3) -> Path:
    folder.mkdir(parents=True)
    if version == 2:
        (folder / ".zgroup").write_text('{"zarr_format": 2}')
        (folder / ".zattrs").write_text(json.dumps({"multiscales": multiscales}))
        v2(folder / "0")
        return folder
    attributes = {"ome": {"version": "0.5", "multiscales": multiscales}}
    document = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
    (folder / "zarr.json").write_text(json.dumps(document))
    v3(folder / "0")
    return folder


def text_of(folder: Path, name: str, text: str) -> Path:
    """Write a sound array, and another text in the place of one of its documents."""
    v3(folder) if name == "zarr.json" else v2(folder)
    (folder / name).write_text(text)
    return folder


def piped(folder: Path, name: str) -> Path:
    v3(folder) if name in ("zarr.json", "c/0/0/0") else v2(folder)
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    return folder


def device(folder: Path, name: str) -> Path:
    v3(folder) if name in ("zarr.json", "c/0/0/0") else v2(folder)
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to("/dev/zero")
    return folder


def outside(folder: Path, path: str, version: int = 3) -> Path:
    """Write an image whose level lies beside it, and not in it."""
    v3(folder.parent / "elsewhere")
    levels = [{"path": path, "coordinateTransformations": scale([1.0, 1.0, 1.0])}]
    return image(folder, version, levels)


def many_groups(folder: Path) -> Path:
    folder.mkdir()
    (folder / ".zgroup").write_text('{"zarr_format": 2}')
    for number in range(4_500):
        (folder / str(number)).mkdir()
        (folder / str(number) / ".zgroup").write_text('{"zarr_format": 2}')
    return folder


def padded(count: int) -> str:
    return '{"a": "' + "x" * count + '"}'


ZARR2: dict[str, Callable[[Path, Stock], Path]] = {
    "a shape of 10¹⁸": lambda at, _: v2(at, shape=[HUGE] * 3),
    "one axis of 10¹⁸": lambda at, _: v2(at, shape=[1, 1, HUGE]),
    "a shape of 400 digits": lambda at, _: v2(at, shape=[10**400, 1, 1]),
    "a shape beyond 64 bits": lambda at, _: v2(at, shape=[2**64, 4, 4]),
    "a shape of fractions": lambda at, _: v2(at, shape=[31.5, 32, 32]),
    "a shape of texts": lambda at, _: v2(at, shape=["32", "32", "32"]),
    "a shape of true": lambda at, _: v2(at, shape=[True, 32, 32]),
    "an infinite shape": lambda at, _: v2(at, shape=[float("inf"), 32, 32]),
    "a shape that is no number": lambda at, _: v2(at, shape=[float("nan")] * 3),
    "a negative shape": lambda at, _: v2(at, shape=[-32, 32, 32]),
    "a shape of tables": lambda at, _: v2(at, shape=[{}, [], None]),
    "no shape": lambda at, _: v2(at, shape="missing"),
    "a shape of 10⁵ axes": lambda at, _: v2(at, shape=[1] * 10**5, chunks=[1] * 10**5),
    "a shape of zeros": lambda at, _: v2(at, shape=[0, 32, 32]),
    "chunks of 0": lambda at, _: v2(at, chunks=[0, 32, 32]),
    "negative chunks": lambda at, _: v2(at, chunks=[-1, 32, 32]),
    "chunks of terabytes": lambda at, _: v2(at, chunks=[2**14] * 3, shape=[2**14] * 3),
    "chunks of 10¹⁸": lambda at, _: v2(at, chunks=[HUGE] * 3),
    "chunks of two axes": lambda at, _: v2(at, chunks=[32, 32]),
    "a voxel of a terabyte": lambda at, _: v2(at, dtype="|V1099511627776"),
    "a type that is a table": lambda at, _: v2(at, dtype={"a": 1}),
    "a type of objects": lambda at, _: v2(at, dtype="|O"),
    "a type that is no type": lambda at, _: v2(at, dtype="<u99999999999"),
    "JSON nested 20,000 deep": lambda at, _: text_of(at, ".zarray", nested()),
    "tables nested 20,000 deep": lambda at, _: text_of(
        at, ".zattrs", nested(DEEP, '{"a":', "1}")[: -DEEP * 2 + 1] + "}" * DEEP
    ),
    "attributes that are a list": lambda at, _: text_of(at, ".zattrs", "[1]"),
    "metadata of 17 MB": lambda at, _: text_of(at, ".zattrs", padded(17 * 2**20)),
    "16 MB of empty lists": lambda at, _: text_of(
        at, ".zattrs", '{"a": [' + "[]," * 5_000_000 + "1]}"
    ),
    "a key that stands twice": lambda at, _: text_of(
        at, ".zarray", json.dumps({"shape": [4]})[:-1] + ', "shape": [8]}'
    ),
    "no JSON but bytes": lambda at, _: text_of(at, ".zarray", "\x00\x01\x02"),
    "an unfinished document": lambda at, _: text_of(at, ".zarray", '{"shape": [32,'),
    "a pipe in place of .zarray": lambda at, _: piped(at, ".zarray"),
    "a pipe in place of .zattrs": lambda at, _: piped(at, ".zattrs"),
    "a device in place of .zarray": lambda at, _: device(at, ".zarray"),
    "a separator with a path": lambda at, _: v2(at, dimension_separator="/../"),
    "a compressor that is a list": lambda at, _: v2(at, compressor=[1, 2]),
    "an unknown compressor": lambda at, _: v2(at, compressor={"id": "no-such"}),
    "a fill value of 10⁵ digits": lambda at, _: text_of(
        at, ".zarray", '{"zarr_format": 2, "fill_value": ' + "9" * 10**5 + "}"
    ),
    "4,500 groups without an image": lambda at, _: many_groups(at),
}  # fmt: skip

ZARR3: dict[str, Callable[[Path, Stock], Path]] = {
    "a shape of 10¹⁸": lambda at, _: v3(at, shape=[HUGE] * 3),
    "a shape of fractions": lambda at, _: v3(at, shape=[31.5, 32, 32]),
    "chunks of 0": lambda at, _: v3(at, chunk_grid=grid([0, 32, 32])),
    "chunks of terabytes": lambda at, _: v3(
        at, shape=[2**14] * 3, chunk_grid=grid([2**14] * 3)
    ),
    "inner chunks of 0": lambda at, _: v3(at, codecs=sharded([0, 8, 8])),
    "inner chunks of terabytes": lambda at, _: v3(
        at, shape=[2**14] * 3, chunk_grid=grid([2**14] * 3), codecs=sharded([2**14] * 3)
    ),
    "inner chunks of one axis": lambda at, _: v3(at, codecs=sharded([8])),
    "shards in shards, 50 deep": lambda at, _: v3(at, codecs=deep_shards(50)),
    "shards in shards, 5,000 deep": lambda at, _: text_of(
        at, "zarr.json", '{"codecs":[{"configuration":' * 5000 + "1" + "}]}" * 5000
    ),
    "an irregular grid": lambda at, _: v3(at, chunk_grid={"name": "rectilinear"}),
    "a grid that is a number": lambda at, _: v3(at, chunk_grid=7),
    "no codecs": lambda at, _: v3(at, codecs="missing"),
    "codecs that are a table": lambda at, _: v3(at, codecs={"name": "bytes"}),
    "an unknown codec": lambda at, _: v3(at, codecs=[{"name": "no-such-codec"}]),
    "a codec without a name": lambda at, _: v3(at, codecs=[{"configuration": 7}]),
    "settings of a codec that are a list": lambda at, _: v3(
        at, codecs=[{"name": "bytes", "configuration": [1, 2]}]
    ),
    "attributes that are a list": lambda at, _: v3(at, attributes=[1, 2]),
    "a separator with a path": lambda at, _: v3(
        at,
        chunk_key_encoding={"name": "v2", "configuration": {"separator": "/../../"}},
    ),
    "a type of 10⁵ characters": lambda at, _: v3(at, data_type="u" * 10**5),
    "a node of no kind": lambda at, _: v3(at, node_type=["array"]),
    "a pipe in place of zarr.json": lambda at, _: piped(at, "zarr.json"),
    "a device in place of zarr.json": lambda at, _: device(at, "zarr.json"),
    "180 MB of JSON": lambda at, _: text_of(at, "zarr.json", padded(180 * 2**20)),
}  # fmt: skip

UNREADABLE: dict[str, Callable[[Path, Stock], Path]] = {
    "a pipe in place of its chunk": lambda at, _: piped(at, "c/0/0/0"),
    "a device in place of its chunk": lambda at, _: device(at, "c/0/0/0"),
}


def deep_shards(count: int) -> list[Any]:
    found: list[Any] = [{"name": "bytes"}]
    for _ in range(count):
        found = sharded([8, 8, 8], found)
    return found


def levels(count: int) -> list[Any]:
    return [
        {"path": str(n), "coordinateTransformations": scale([1.0] * 3)}
        for n in range(count)
    ]


def transformed(*entries: Any) -> list[Any]:
    return [{"path": "0", "coordinateTransformations": list(entries)}]


def sequences(count: int) -> Any:
    found: Any = {"type": "scale", "scale": [1.0] * 3}
    for _ in range(count):
        found = {"type": "sequence", "transformations": [found]}
    return found


OME: dict[str, Callable[[Path, Stock], Path]] = {
    "a scale of 10³⁰⁸": lambda at, _: image(at, levels=transformed(*scale([1e308] * 3))),
    "a scale beyond a float": lambda at, _: image(
        at, levels=transformed(*scale([10**400] * 3))
    ),
    "a scale of 10⁻³⁰⁰": lambda at, _: image(
        at, levels=transformed(*scale([1e-300] * 3))
    ),
    "a scale of 0": lambda at, _: image(at, levels=transformed(*scale([0, 1, 1]))),
    "a negative scale": lambda at, _: image(at, levels=transformed(*scale([-1, 1, 1]))),
    "a scale that is no number": lambda at, _: image(
        at, levels=transformed(*scale([float("nan")] * 3))
    ),
    "a scale of texts": lambda at, _: image(at, levels=transformed(*scale(["1"] * 3))),
    "a scale of two axes": lambda at, _: image(at, levels=transformed(*scale([1, 1]))),
    "a place of 10³⁰⁸": lambda at, _: image(
        at, levels=transformed(*scale([1] * 3), {"type": "translation", "translation": [1e308] * 3})
    ),
    "transformations 40 deep that scale nothing": lambda at, _: image(
        at, levels=transformed({"type": "sequence", "transformations": [sequences(40)] * 3}, {"type": "x"})
    ),
    "10⁵ levels": lambda at, _: image(at, levels=levels(10**5)),
    "10⁵ axes": lambda at, _: image(at, axes=AXES * 33_000),
    "10⁵ transformations": lambda at, _: image(
        at, levels=transformed(*scale([1.0] * 3) * 10**5)
    ),
    "no levels": lambda at, _: image(at, datasets=[]),
    "levels that are a table": lambda at, _: image(at, datasets={"path": "0"}),
    "multiscales that are a number": lambda at, _: group(at, 7),
    "multiscales that are an empty list": lambda at, _: group(at, []),
    "a level without a path": lambda at, _: image(at, levels=[{}]),
    "a level at ../elsewhere": lambda at, _: outside(at, "../elsewhere"),
    "a level at 0/../../elsewhere": lambda at, _: outside(at, "0/../../elsewhere"),
    "a level at /../elsewhere": lambda at, _: outside(at, "/../elsewhere"),
    "a level at a path of 10⁵ characters": lambda at, _: outside(at, "x" * 10**5),
    "a level at a path with a zero byte": lambda at, _: outside(at, "0\0"),
    "a level that is a number of 400 digits": lambda at, _: outside(at, 10**400),  # type: ignore[arg-type]
    "axes that are numbers": lambda at, _: image(at, axes=[1, 2, 3]),
    "axes that all are z": lambda at, _: image(at, axes=[AXES[0]] * 3),
    "axes that do not fit": lambda at, _: image(at, axes=AXES[:2]),
    "coordinate systems without names": lambda at, _: image(
        at, coordinateSystems=[{"axes": AXES}]
    ),
}  # fmt: skip

OME2: dict[str, Callable[[Path, Stock], Path]] = {
    "a level at ../elsewhere": lambda at, _: outside(at, "../elsewhere", 2),
    "a scale of 10³⁰⁸": lambda at, _: image(at, 2, transformed(*scale([1e308] * 3))),
    "10⁵ levels": lambda at, _: image(at, 2, levels(10**5)),
    "no axes of this meaning": lambda at, _: image(at, 2, axes=["a", "b", "c"]),
}

OME_HANDLED: dict[str, Callable[[Path, Stock], Path]] = {
    "10⁵ multiscales, of which the first counts": lambda at, _: group(
        at,
        [{"axes": AXES, "datasets": levels(1)}] + [{"axes": AXES}] * (10**5 - 1),
    ),
    "transformations 20 deep": lambda at, _: image(at, levels=transformed(sequences(20))),
}  # fmt: skip

N5: dict[str, Callable[[Path, Stock], Path]] = {
    "dimensions of 10¹⁸": lambda at, _: n5(at, dimensions=[HUGE] * 3),
    "dimensions of fractions": lambda at, _: n5(at, dimensions=[31.5, 32, 32]),
    "dimensions of texts": lambda at, _: n5(at, dimensions=["32"] * 3),
    "dimensions of true": lambda at, _: n5(at, dimensions=[True, 32, 32]),
    "dimensions that are a table": lambda at, _: n5(at, dimensions={"x": 32}),
    "negative dimensions": lambda at, _: n5(at, dimensions=[-32, 32, 32]),
    "blocks of 0": lambda at, _: n5(at, blockSize=[0, 32, 32]),
    "blocks of terabytes": lambda at, _: n5(
        at, dimensions=[2**14] * 3, blockSize=[2**14] * 3
    ),
    "blocks of two axes": lambda at, _: n5(at, blockSize=[32, 32]),
    "a resolution of 10³⁰⁸": lambda at, _: n5(
        at, pixelResolution={"unit": "mm", "dimensions": [1e308] * 3}
    ),
    "a compression that is a list": lambda at, _: n5(at, compression=["gzip"]),
    "an unknown compression": lambda at, _: n5(at, compression={"type": "no-such"}),
    "a type that is a list": lambda at, _: n5(at, dataType=["uint8"]),
    "attributes nested 20,000 deep": lambda at, _: with_attributes(at, nested()),
    "attributes that are a pipe": lambda at, _: with_attributes(at, None),
}  # fmt: skip


MEASURED_OTHERWISE = ("--mask", "--atlas", "evaluate", "truth")
"""Commands that say a voxel size which cannot be read, and do without it."""


def with_attributes(folder: Path, text: str | None) -> Path:
    n5(folder)
    (folder / "attributes.json").unlink()
    if text is None:
        os.mkfifo(folder / "attributes.json")
    else:
        (folder / "attributes.json").write_text(text)
    return folder


def cases() -> Iterator[Case]:
    yield from read_by_commands("Zarr v2", ZARR2)
    yield from read_by_commands("Zarr v3", ZARR3)
    yield from read_by_commands("OME-Zarr 0.5", OME, but=MEASURED_OTHERWISE)
    yield from read_by_commands("OME-Zarr 0.4", OME2, but=MEASURED_OTHERWISE)
    yield from read_by_commands("OME-Zarr 0.5", OME_HANDLED, "handled")
    yield from read_by_commands("N5", N5)
    for title, make in UNREADABLE.items():
        yield Case("Zarr v3", title, partial(_run, make))


def _run(make: Callable[[Path, Stock], Path], stock: Stock) -> Words:
    return READERS["run"](stock, make(stock.folder / "hostile", stock))

"""Parsers of ours, each as a function of bytes that lets nothing but our errors pass.

What a parser takes or refuses is right either way; another exception is a fault.
"""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import tifffile
from safetensors.numpy import save

from blockseg.annotation.swc_edit import SwcTree
from blockseg.atlas.affine import read_affine
from blockseg.atlas.names import read_names
from blockseg.blockwise.logs.reading import read_logs
from blockseg.blockwise.record.record import RunRecord
from blockseg.config.merging import read_settings
from blockseg.config.settings import RunSettings
from blockseg.config.yaml_text import parse_yaml
from blockseg.core.errors import BlocksegError
from blockseg.core.geometry import Roi
from blockseg.core.untrusted.json_text import parse_json
from blockseg.evaluation.snr import read_snr_table
from blockseg.inference.backends.tensorrt.file import read_engine
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.io.slice_names.order import arrange
from blockseg.networks.weights_info import load_info
from blockseg.proposals.folder import earlier_rows
from blockseg.regions.somata import read_somata
from blockseg.synthetic.neurons.reconstruction import read_reconstruction
from blockseg.training.record import TrainRecord
from tests.hostile.corpus import volumes
from tests.written import formats

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Target:
    """A parser and what it is begun with."""

    parse: Callable[[bytes, Path], None]
    """Given bytes and an empty folder; raises whatever is a fault."""

    seeds: tuple[bytes, ...]
    """Sound input, which a fuzzer changes."""


TARGETS: dict[str, Target] = {}


def target(name: str, *seeds: bytes) -> Callable[[Any], Any]:
    def entered(parse: Callable[[bytes, Path], None]) -> Callable[[bytes, Path], None]:
        TARGETS[name] = Target(parse, seeds)
        return parse

    return entered


def of_file(name: str, file: str, read: Callable[[Any], Any], *seeds: bytes) -> None:
    """Enter a parser that takes the path of a file."""

    def parse(data: bytes, folder: Path) -> None:
        path = folder / file
        path.write_bytes(data)
        try:
            read(path)
        except BlocksegError as error:
            assert_one_line(error)

    TARGETS[name] = Target(parse, seeds)


def assert_says(error: Exception) -> None:
    assert str(error), f"an {type(error).__name__} that says nothing"


def assert_one_line(error: BlocksegError) -> None:
    assert_says(error)
    assert "\n" not in str(error), str(error)


@target("json", b'{"a": [1, 2.5e3, "\\u00b5", null, true]}', b"[[[]]]")
def json_text(data: bytes, _folder: Path) -> None:
    try:
        value = parse_json(data)
    except ValueError:
        return
    assert json.dumps(value) == json.dumps(json.loads(data))


@target("yaml", b"block: 64\nvoxel-size: 1,0.5,0.5\n", b"threads: 2 # two\nmask: 'a'\n")
def yaml_text(data: bytes, _folder: Path) -> None:
    try:
        values = parse_yaml(data.decode(errors="replace"))
        if isinstance(values, dict):
            read_settings(RunSettings, values)
    except (BlocksegError, ValueError) as error:
        assert_says(error)


@target("names of slices", b"a_z001.tif\na_z002.tif", b"1.tif\n2.tif\n10.tif")
def slice_names(data: bytes, _folder: Path) -> None:
    lines = dict.fromkeys(data.decode(errors="replace").split("\n")[:50])
    # As long as file systems allow.
    names = [line for line in lines if 0 < len(line.encode()) < 256 and "/" not in line]
    if not names:
        return
    try:
        arranged = arrange(names, "slices")
    except BlocksegError as error:
        assert_one_line(error)
        return
    assert sorted(i for i in arranged.order if i is not None) == list(range(len(names)))


@target("record of a run", b'{"format": 1, "sessions": []}')
def run_record(data: bytes, folder: Path) -> None:
    try:
        RunRecord.from_text(data.decode(errors="replace"), folder / "run.json")
    except BlocksegError as error:
        assert_one_line(error)


@target("logs", b'{"time": 1.0, "event": "begun", "session": 1, "block": [0, 1, 2]}\n')
def logs(data: bytes, folder: Path) -> None:
    (folder / ".blockseg" / "logs").mkdir(parents=True)
    (folder / ".blockseg" / "logs" / "0001.jsonl").write_bytes(data)
    try:
        list(read_logs(str(folder)))
    except BlocksegError as error:
        assert_one_line(error)


@target("picks", b'{"format": 1, "picks": [{"name": "a"}]}')
def picks(data: bytes, folder: Path) -> None:
    (folder / "manifest.json").write_bytes(data)
    try:
        earlier_rows(folder)
    except BlocksegError as error:
        assert_one_line(error)


_SWC = b"# a\n1 1 0 0 0 2 -1\n2 2 1.5 0 0 .5 1\n3 2 3 0 1e1 .5 2\n"
of_file("swc", "a.swc", read_reconstruction, _SWC)
of_file("swc to edit", "a.swc", SwcTree.read, _SWC)
of_file("snr table", "a.csv", read_snr_table, b"label,snr\n1,4.5\n2,7\n")
of_file(
    "names of regions",
    "a.csv",
    lambda path: read_names(str(path)),
    b"id,acronym,name,structure_id_path\n1,r,root,/1/\n2,c,cortex,/1/2/\n",
)
of_file(
    "affine map",
    "a.txt",
    read_affine,
    b"1 0 0 5\n0 1 0 0\n0 0 1 0\n0 0 0 1\n",
    b'{"matrix": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 2, 0]]}',
)
of_file("somata", "a.csv", read_somata, b"z_um,y_um,x_um,size\n1,2,3,4\n5.5,6,7,8\n")
of_file("weights", "a.safetensors", load_info, save({"a": np.zeros(3, np.float32)}))
of_file(
    "engine",
    "a.engine",
    read_engine,
    b'blockseg engine 1\n{"key": {}, "size": 1, "sha256": ""}\n0',
)
of_file("record of a training", "train.json", TrainRecord.load, b'{"format": 1}')


def of_volume(name: str, write: Callable[[Path], Any], *files: str) -> None:
    """Enter the metadata of a format: bytes in the place of each file in turn."""

    def parse(data: bytes, folder: Path) -> None:
        for number, file in enumerate(files):
            volume = folder / f"{number}"
            write(volume)
            (volume / file).write_bytes(data)
            read_corner(volume)
            shutil.rmtree(volume)

    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "volume"
        write(written)
        seeds = tuple((written / file).read_bytes() for file in files)
    TARGETS[name] = Target(parse, seeds)


def read_corner(path: Path) -> None:
    """Read the first voxels of a volume, if it is one."""
    try:
        volume = open_volume(find(path))
        a, b, c = (min(length, 4) for length in volume.shape)
        voxels = volume.read(Roi((0, 0, 0), (a, b, c)))
    except BlocksegError as error:
        assert_one_line(error)
        return
    assert voxels.shape == (a, b, c)
    size = volume.space.voxel_size
    assert volume.space.problem or all(math.isfinite(s) and s > 0 for s in size)


of_volume("zarr 2", lambda at: volumes.v2(at, {"a": 1}), ".zarray", ".zattrs")
of_volume("zarr 3", volumes.v3, "zarr.json")
of_volume(
    "zarr 3, sharded",
    lambda at: volumes.v3(at, codecs=volumes.sharded([8] * 3)),
    "zarr.json",
    "c/0/0/0",
)
of_volume("ome-zarr", volumes.image, "zarr.json")
of_volume("n5", volumes.n5, "attributes.json", "0/0/0")


def _tiff() -> bytes:
    stream = BytesIO()
    stack = np.ones((2, 16, 16), np.uint8)
    tifffile.imwrite(stream, stack, imagej=True, metadata={"axes": "ZYX", "spacing": 2})
    return stream.getvalue()


of_file("tiff", "a.tif", read_corner, _tiff())


_CUBE = np.arange(1, 217, dtype=np.uint8).reshape(6, 6, 6)


def _bytes_of(write: Callable[[Path, Any], Path], name: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return write(Path(folder) / name, _CUBE).read_bytes()


of_volume("precomputed", lambda at: formats.write_precomputed(at, _CUBE), "info")
of_file("vaa3d", "a.v3draw", read_corner, _bytes_of(formats.write_v3draw, "a.v3draw"))
of_file("zip", "a.zip", read_corner, _bytes_of(formats.write_zip, "a.zip"))


@target("bigdataviewer", _bytes_of(formats.write_bdv, "a.xml"))
def bigdataviewer(data: bytes, folder: Path) -> None:
    formats.write_bdv(folder / "a.xml", _CUBE).write_bytes(data)
    read_corner(folder / "a.xml")


def _pictures(data: bytes, folder: Path, codec: str) -> None:
    for number in range(6):
        (folder / f"z{number}.{codec}").write_bytes(data)
    read_corner(folder)


@target("jpeg 2000", bytes(imagecodecs.jpeg2k_encode(_CUBE[0], level=0)))
def jpeg_2000(data: bytes, folder: Path) -> None:
    _pictures(data, folder, "jp2")


@target("jpeg xl", bytes(imagecodecs.jpegxl_encode(_CUBE[0], lossless=True)))
def jpeg_xl(data: bytes, folder: Path) -> None:
    _pictures(data, folder, "jxl")

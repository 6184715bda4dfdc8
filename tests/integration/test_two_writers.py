"""Two processes that write the same files at once."""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor, wait

import numpy as np
import pytest

from blockseg.core.geometry import Roi
from blockseg.io.output.create import create_output
from blockseg.io.output.pyramid import PyramidSpec
from blockseg.io.output.writer import PyramidWriter

SHAPE = (64, 64, 128)
BLOCK = Roi((0, 0, 0), (64, 64, 64))
TIMES = 40


def voxels():
    data = np.random.default_rng(5).integers(0, 256, BLOCK.shape, np.uint8)
    data[:8] = 0
    return data


def write_often(writer):
    return {writer.write_block(BLOCK, voxels()) for _ in range(TIMES)}


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_readers_see_the_block_whole_while_two_processes_write_it(
    tmp_path, zarr_format
):
    spec = PyramidSpec(
        str(tmp_path / "out.zarr"),
        shape=SHAPE,
        block=BLOCK.shape,
        zarr_format=zarr_format,
    )
    create_output(spec)
    writer = PyramidWriter(spec)
    first = writer.write_block(BLOCK, voxels())
    before = {path: path.read_bytes() for path in files(tmp_path)}
    reads = 0
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=spawn) as pool:
        writing = [pool.submit(write_often, writer) for _ in range(2)]
        while wait(writing, timeout=0).not_done or not reads:
            assert np.array_equal(writer.read_level(0, BLOCK), voxels())
            reads += 1
        for future in writing:
            assert future.result() == {first}
    # No temporary file is left, and none is of other bytes.
    assert {path: path.read_bytes() for path in files(tmp_path)} == before


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_driver_makes_the_output_while_another_is_amid_each_of_its_files(
    tmp_path, zarr_format, monkeypatch
):
    image, alone = (
        PyramidSpec(str(tmp_path / name), SHAPE, BLOCK.shape, zarr_format=zarr_format)
        for name in ("out.zarr", "alone.zarr")
    )
    create_output(alone)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as other:
        sync = os.fsync

        def interrupted(handle):
            other.submit(create_output, image, shared=True).result()
            sync(handle)

        monkeypatch.setattr(os, "fsync", interrupted)
        create_output(image, shared=True)

    def texts(name):
        folder = tmp_path / name
        return {path.relative_to(folder): path.read_text() for path in files(folder)}

    assert texts("out.zarr") == texts("alone.zarr")


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())

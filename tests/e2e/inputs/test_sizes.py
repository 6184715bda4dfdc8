"""Shapes and chunks that do not fit the memory there is."""

import json

import numpy as np
import pytest
import tifffile
import zarr

EMPTY = "--allow-empty"  # nothing is stored of what is too large
SERIAL = ("--scheduler", "serial")
PLAN = ("--backend", "fake", "--block", "64", "--workers", "1")


def one_chunk(path, shape):
    """Return an array of zeros of which nothing is stored, and one chunk would be all."""
    zarr.create_array(path, shape=shape, chunks=shape, dtype="u2", zarr_format=2)
    return path


def large_strips(path):
    """Return pages of which each is one compressed strip, all of the same page's bytes."""
    page = np.zeros((6000, 6000), np.uint16)
    page[::7, ::5] = 300
    tifffile.imwrite(
        path, (page for _ in range(6)), shape=(6, *page.shape), dtype=np.uint16,
        compression="zlib", rowsperstrip=6000,
    )  # fmt: skip
    return path


def bytes_planned(blockseg, source, *more):
    words = (
        "plan",
        source,
        blockseg.folder / "out.zarr",
        *PLAN,
        *more,
        EMPTY,
        "--json",
    )
    return json.loads(blockseg(*words).stdout)["worker_bytes"]


@pytest.mark.parametrize(
    ("make", "chunk"),
    [
        (lambda path: one_chunk(path, (256, 512, 512)), 2 * 256 * 512**2),
        (large_strips, 2 * 6000**2),
    ],
)
def test_what_decoding_large_chunks_takes_is_planned(tmp_path, blockseg, make, chunk):
    # Of each the source is read without a sample, and nothing is kept of it.
    small = tmp_path / "small.zarr"
    zarr.create_array(
        small, shape=(256, 512, 512), chunks=(64,) * 3, dtype="u2", zarr_format=2
    )
    more = ("--normalization", "200,10")
    few = bytes_planned(blockseg, small, *more)
    planned = bytes_planned(blockseg, make(tmp_path / "large"), *more)
    assert planned >= few + 2 * chunk


@pytest.mark.parametrize("command", ["plan", "run", "convert", "metrics"])
def test_chunks_that_do_not_fit_what_is_allowed_are_refused_before_any_is_read(
    blockseg, tmp_path, command
):
    source = one_chunk(tmp_path / "brain.zarr", (1024, 1024, 1024))
    words = [command, source, tmp_path / "written/out.zarr", "--memory", "3GB", EMPTY]
    words += {"convert": SERIAL, "metrics": SERIAL, "run": (*SERIAL, *PLAN[:2])}.get(
        command, PLAN[:2]
    )
    done = blockseg(*words, code=1)
    (error,) = (line for line in done.output.splitlines() if line.startswith("Error"))
    assert "4.0 to decode the large chunks of the source" in error
    assert "--memory" in error
    assert "smaller chunks" in error
    assert not (tmp_path / "written").exists()


def test_a_chunk_larger_than_any_memory_is_refused(tmp_path, refused):
    source = one_chunk(tmp_path / "brain.zarr", (20000, 20000, 20000))
    refused(source, "chunks of 20000×20000×20000 voxels", "smaller chunks")


def test_more_voxels_than_there_can_be_are_refused(tmp_path, refused):
    zarr.create_array(
        tmp_path / "brain.zarr", shape=(10**9,) * 3, chunks=(64,) * 3, dtype="u2"
    )
    refused(tmp_path / "brain.zarr", "1000000000×1000000000×1000000000 voxels")


@pytest.mark.parametrize("command", ["plan", "run", "convert", "metrics"])
def test_more_blocks_than_can_be_counted_are_refused(blockseg, tmp_path, command):
    source = tmp_path / "brain.zarr"
    zarr.create_array(source, shape=(10**5,) * 3, chunks=(64,) * 3, dtype="u2")
    words = [command, source, tmp_path / "written/out.zarr", "--block", "32", EMPTY]
    words += [] if command == "convert" else ["--normalization", "200,10"]
    words += [] if command in ("convert", "metrics") else PLAN[:2]
    done = blockseg(*words, code=1)
    assert "3.1e+10 blocks of 32×32×32 voxels" in done.output
    assert "larger --block" in done.output
    assert not (tmp_path / "written").exists()


def test_a_stack_that_does_not_fit_as_a_whole_is_not_predicted(blockseg, tmp_path):
    source = tmp_path / "brain.zarr"
    zarr.create_array(source, shape=(2000,) * 3, chunks=(64,) * 3, dtype="u2")
    done = blockseg(
        "predict",
        source,
        "-o",
        tmp_path / "out",
        "--memory",
        "8GB",
        EMPTY,
        *PLAN[:2],
        code=1,
    )
    assert "22.4 GiB of memory with its result" in done.output
    assert "blockseg run" in done.output
    assert not (tmp_path / "out").exists()

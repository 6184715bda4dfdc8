"""The same bytes on disk whatever the order, the name, the threads, and who is killed."""

import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from blockseg.io.output.create import create_output, remove_stale_locks
from blockseg.io.output.pyramid import PyramidSpec
from blockseg.io.output.writer import PyramidWriter

Format = Literal[2, 3]
SHAPE = (150, 200, 300)
FORMATS = pytest.mark.parametrize("zarr_format", [2, 3])


def spec_in(folder: Path, zarr_format: Format) -> PyramidSpec:
    return PyramidSpec(str(folder), SHAPE, (64, 128, 128), zarr_format=zarr_format)


def image() -> NDArray[np.uint8]:
    rng = np.random.default_rng(7)
    data = rng.integers(0, 256, SHAPE) * (rng.random(SHAPE) < 0.1)
    data[:64, 128:] = 0
    return data.astype(np.uint8)


def write(spec: PyramidSpec, order: list[int], threads: int = 1) -> None:
    create_output(spec)
    writer = PyramidWriter(spec)
    data = image()

    def write_one(block_id: int) -> None:
        roi = spec.grid.numbered(block_id).write_roi
        writer.write_block(roi, data[roi.slices()])

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(write_one, order))
    for level, grid in spec.second_pass_grids():
        for shard in grid:
            writer.write_level_block(level, shard.index)


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@FORMATS
def test_the_order_of_blocks_the_threads_and_the_name_leave_no_trace(
    tmp_path: Path, zarr_format: Format
) -> None:
    first = spec_in(tmp_path / "first.zarr", zarr_format)
    second = spec_in(tmp_path / "some" / "where" / "else", zarr_format)
    every = list(range(len(first.grid)))
    write(first, every)
    write(second, every[::-1], threads=4)
    assert files_below(Path(first.uri)) == files_below(Path(second.uri))
    assert not any(b"first.zarr" in data for data in files_below(tmp_path).values())


@FORMATS
def test_writing_all_blocks_twice_leaves_no_trace(
    tmp_path: Path, zarr_format: Format
) -> None:
    spec = spec_in(tmp_path, zarr_format)
    every = list(range(len(spec.grid)))
    write(spec, every)
    before = files_below(tmp_path)
    write(spec, every)
    assert files_below(tmp_path) == before


WRITE_FOR_EVER = """
    import sys
    import numpy as np
    from blockseg.io.output.create import create_output
    from blockseg.io.output.pyramid import PyramidSpec
    from blockseg.io.output.writer import PyramidWriter

    data = np.load(sys.argv[1])
    shape, block = data.shape, (64, 128, 128)
    spec = PyramidSpec(sys.argv[2], shape, block, zarr_format=int(sys.argv[3]))
    create_output(spec)
    writer = PyramidWriter(spec)
    while True:
        for block in spec.grid:
            roi = block.write_roi
            writer.write_block(roi, data[roi.slices()])
            print("block", flush=True)
"""


@FORMATS
def test_a_killed_writer_leaves_no_trace_once_its_blocks_are_written_again(
    tmp_path: Path, zarr_format: Format
) -> None:
    undisturbed = spec_in(tmp_path / "undisturbed", zarr_format)
    every = list(range(len(undisturbed.grid)))
    write(undisturbed, every)
    killed = spec_in(tmp_path / "killed", zarr_format)
    np.save(tmp_path / "data.npy", image())
    arguments = [str(tmp_path / "data.npy"), killed.uri, str(zarr_format)]
    for blocks in (1, 3, 11):
        with subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(WRITE_FOR_EVER), *arguments],
            stdout=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None
            for _ in range(blocks):
                assert process.stdout.readline() == b"block\n"
            time.sleep(0.002 * blocks)  # somewhere inside the next block
            process.send_signal(signal.SIGKILL)
    complete = files_below(Path(undisturbed.uri))
    for name, data in files_below(Path(killed.uri)).items():
        assert name.endswith(".__lock") or data == complete[name]
    remove_stale_locks(killed.uri)
    write(killed, every)
    assert files_below(Path(killed.uri)) == complete


@FORMATS
def test_a_leftover_lock_does_not_stop_the_next_writer(
    tmp_path: Path, zarr_format: Format
) -> None:
    spec = spec_in(tmp_path / "a", zarr_format)
    every = list(range(len(spec.grid)))
    write(spec, every)
    locked = spec_in(tmp_path / "b", zarr_format)
    create_output(locked)
    for name in files_below(Path(spec.uri)):
        path = Path(locked.uri, name)
        if path.name.isdigit():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_name(f"{path.name}.__lock").write_bytes(b"half a shard")
    write(locked, every)
    assert files_below(Path(locked.uri)) == files_below(Path(spec.uri))


FILL_THE_DISK = """
    import sys
    import numpy as np
    from pathlib import Path
    from blockseg.core.errors import NoSpaceError
    from blockseg.io.output.create import create_output
    from blockseg.io.output.pyramid import PyramidSpec
    from blockseg.io.output.writer import PyramidWriter

    folder = Path(sys.argv[1])
    spec = PyramidSpec(str(folder / "out"), (64, 64, 256), (64, 64, 64), codec="raw")
    create_output(spec)
    writer = PyramidWriter(spec)
    written = 0
    try:
        for block in spec.grid:
            data = np.ones(block.write_roi.shape, np.uint8)
            writer.write_block(block.write_roi, data)
            written += 1
    except NoSpaceError as error:
        print(error)
    shards = [path for path in (folder / "out").rglob("*") if path.name.isdigit()]
    shards = [path for path in shards if path.is_file()]
    assert 0 < written == len(shards) < len(spec.grid), (written, shards)
    (folder / "filler").write_bytes(b"")
    try:
        with (folder / "filler").open("wb") as file:
            file.write(bytes(2**20))
    except OSError:
        pass
    try:
        create_output(PyramidSpec(str(folder / "more"), (9999, 1, 1), (64, 64, 64)))
    except NoSpaceError as error:
        print(error)
"""


def in_a_small_disk(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run ``script`` where ``folder`` is a disk of 600 kB that vanishes with it."""
    mount = f'mount -t tmpfs -o size=600k none "{folder}" && exec "$@"'
    return subprocess.run(
        [
            *("unshare", "--user", "--map-root-user", "--mount"),
            *("sh", "-c", mount, "sh"),
            *(sys.executable, "-c", textwrap.dedent(script), str(folder)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )


def small_disks_work(folder: Path) -> bool:
    try:
        return in_a_small_disk(folder, "").returncode == 0
    except FileNotFoundError:
        return False


def test_a_full_disk_stops_cleanly_with_whole_shards(tmp_path: Path) -> None:
    if not small_disks_work(tmp_path):
        pytest.skip("this system lets nobody but root mount a small disk")
    result = in_a_small_disk(tmp_path, FILL_THE_DISK)
    assert result.returncode == 0, result.stderr
    writing, creating = result.stdout.splitlines()
    assert writing.startswith("no space left to write level 0, voxels 0:64,0:64,")
    assert creating.startswith("no space left to write ")

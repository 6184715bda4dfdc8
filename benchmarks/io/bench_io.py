"""Readers and writers, one beside the other: decoded MB a second, and decoded in vain.

    python -m benchmarks.io.bench_io                       # 256×512×512 voxels, 16 bits
    python -m benchmarks.io.bench_io --quick               # 64×128×128, to see it work

Each reader reads all blocks with their halo, in the order of a run, twice: the second time,
from the page cache, counts. ``asked`` is what blocks ask for, ``decoded``
what ours says it decoded, ``times`` that over the volume. Of others the decoded bytes are
not known. ``CPU MB/s`` is asked bytes a second of CPU, all threads: what reading takes from
inference. Writing is timed for level 0 alone and with the coarse levels, so that their
difference is what the pyramid costs. Writes benchmarks/io/results/io.json.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import tensorstore as ts
import tifffile
import zarr
from zarr.codecs import BloscCodec

from blockseg.blockwise.planning.decoding import decoded_voxels
from blockseg.blockwise.planning.reading import plan_reading
from blockseg.blockwise.record.record import machine_facts
from blockseg.core.geometry import Roi, to_zyx
from blockseg.core.grid import BlockGrid
from blockseg.io.chunks.tensorstores import ReadLimits
from blockseg.io.decoded_cache import counting
from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.io.output.create import create_output
from blockseg.io.output.pyramid import PyramidSpec
from blockseg.io.output.writer import PyramidWriter
from tests.written import formats as written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Read = Callable[[Roi], NDArray[Any]]

RESULTS = Path(__file__).parent / "results"
HALO = 32


def brain(shape: tuple[int, int, int]) -> NDArray[np.uint16]:
    """Noise about 100 with bright threads: compresses as images do."""
    random = np.random.default_rng(0)
    data = random.poisson(20, shape).astype(np.uint16) + 90
    for y, x in random.integers(0, min(shape[1:]), (200, 2)):
        data[:, y, x] += 300
    return data


def stores(folder: Path, data: NDArray[np.uint16], chunk: int) -> dict[str, Path]:
    """Write the same voxels in every format."""
    made = {}
    codec = BloscCodec(cname="zstd", clevel=3)
    edges = (chunk,) * 3
    shards = (2 * chunk,) * 3
    layouts: dict[str, dict[str, Any]] = {
        "zarr3": {"chunks": edges, "compressors": codec},
        "zarr3 sharded": {
            "chunks": (chunk // 2,) * 3,
            "shards": shards,
            "compressors": codec,
        },
        "zarr2": {"chunks": edges, "zarr_format": 2},
    }
    for name, options in layouts.items():
        made[name] = folder / name.replace(" ", "-")
        array = zarr.create_array(made[name], shape=data.shape, dtype="u2", **options)
        array[:] = data
    made["n5"] = folder / "n5"
    spec = {
        "driver": "n5",
        "kvstore": {"driver": "file", "path": f"{made['n5']}/"},
        "metadata": {
            "dimensions": data.shape[::-1],
            "blockSize": edges,
            "dataType": "uint16",
            "compression": {"type": "gzip"},
        },
    }
    ts.open(spec, create=True).result()[...].write(data.T).result()
    tiffs: dict[str, dict[str, Any]] = {
        "tiff in one piece": {"contiguous": True},
        "tiff in tiles": {"tile": (64, 64), "compression": "zlib"},
        "tiff in strips": {"rowsperstrip": 64, "compression": "zlib"},
    }
    axes = {"axes": "ZYX"}
    for name, options in tiffs.items():
        made[name] = folder / f"{name.replace(' ', '-')}.tif"
        tifffile.imwrite(
            made[name], data, photometric="minisblack", metadata=axes, **options
        )
    made["tiff slices"] = folder / "slices"
    made["tiff slices"].mkdir()
    for z, plane in enumerate(data):
        tifffile.imwrite(made["tiff slices"] / f"z{z:05d}.tif", plane)
    made["zip"] = written.write_zip(folder / "a.zip", data, chunks=edges)
    made["imaris"] = written.write_imaris(
        folder / "a.ims", data, levels=1, chunks=edges, compression_opts=2
    )
    made["bdv"] = written.write_bdv(folder / "a.xml", data, chunks=edges)
    made["precomputed"] = written.write_precomputed(
        folder / "precomputed", data, chunks=edges
    )
    packed = written.write_precomputed(folder / "packed", data, chunks=edges)
    made["precomputed gz"] = written.packed_like_cloud_volume(packed)
    made["v3draw"] = written.write_v3draw(folder / "a.v3draw", data)
    made["jpeg2000"] = written.write_slices(folder / "jp2", data, "jp2")
    made["jpegxl"] = written.write_slices(folder / "jxl", data, "jxl")
    return made


def readers(name: str, path: Path, limits: ReadLimits) -> Iterator[tuple[str, Read]]:
    """Yield what can read a store, ours first."""
    yield "blockseg", open_volume(find(path), limits).read
    if name.startswith("zarr") or name == "n5":
        yield "tensorstore", _tensorstore(name, path, limits.cache_bytes)
    if name.startswith("zarr"):
        yield "zarr-python", _zarr_python(path, {})
        if importlib.util.find_spec("zarrs") is not None:
            pipeline = {"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"}
            yield "zarr-python with zarrs", _zarr_python(path, pipeline)
    if name == "imaris":
        yield "h5py", _h5py(path)
    if name == "tiff in one piece":
        mapped = tifffile.memmap(path, mode="r")
        yield "memory-mapped", lambda roi: np.array(mapped[roi.slices()])
    if name.startswith("tiff") and path.is_file():
        yield "tifffile pages", lambda roi: _pages(path, roi)


def _tensorstore(name: str, path: Path, cache_bytes: int) -> Read:
    driver = {"zarr2": "zarr", "n5": "n5"}.get(name, "zarr3")
    context = {
        "cache_pool": {"total_bytes_limit": cache_bytes},
        "data_copy_concurrency": {"limit": ReadLimits().copy_threads},
    }
    spec = {
        "driver": driver,
        "kvstore": {"driver": "file", "path": f"{path}/"},
        "recheck_cached_data": False,
        "context": context,
    }
    store = ts.open(spec, open=True).result()
    store = store[ts.d[:].transpose[::-1]] if name == "n5" else store
    return lambda roi: np.asarray(store[roi.slices()].read().result())


def _zarr_python(path: Path, settings: dict[str, str]) -> Read:
    with zarr.config.set(settings):
        array: Any = zarr.open_array(path, mode="r")
    return lambda roi: np.asarray(array[roi.slices()])


def _h5py(path: Path) -> Read:
    file: Any = h5py.File(path, "r", locking=False)
    array = file["DataSet/ResolutionLevel 0/TimePoint 0/Channel 0/Data"]
    return lambda roi: np.asarray(array[roi.slices()])


def _pages(path: Path, roi: Roi) -> NDArray[Any]:
    rows = roi.slices()
    with tifffile.TiffFile(path) as tif:
        pages = tif.pages[rows[0]] if len(tif.pages) > 1 else []
        planes = [page.asarray()[rows[1:]] for page in pages]
        return np.stack(planes) if planes else np.asarray(tif.asarray()[rows])


def read_rows(
    folder: Path, data: NDArray[Any], block: int, chunk: int, only: str
) -> Iterator[dict[str, Any]]:
    grid = BlockGrid(to_zyx(data.shape), (block,) * 3, (HALO,) * 3, None, 4)
    for name, path in stores(folder, data, chunk).items():
        if only not in name:
            continue
        stored = open_volume(find(path)).chunk_shape
        plan = plan_reading(grid, stored, 2, 2**30)
        order = plan.traversal.ordered(np.arange(len(grid), dtype=np.int64)).tolist()
        regions = [grid.numbered(b).read_roi for b in order]
        limits = ReadLimits(cache_bytes=plan.cache_bytes)
        for reader, _ in readers(name, path, limits):
            for _ in range(2):  # the second time counts: files are in memory
                read = dict(readers(name, path, limits))[reader]
                cpu, wall, asked = time.process_time(), time.perf_counter(), 0
                with counting() as count:
                    for region in regions:
                        part = read(region)
                        asked += part.nbytes
                cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            last = regions[-1]
            assert np.array_equal(part, data[last.slices()])
            row: dict[str, Any] = {
                "store": name,
                "reader": reader,
                "asked_MB": round(asked / 1e6, 1),
                "MB_per_second": round(asked / wall / 1e6, 1),
                "MB_per_CPU_second": round(asked / cpu / 1e6, 1),
            }
            if reader == "blockseg":
                row["decoded_over_volume"] = round(count.total / data.nbytes, 3)
                row["planned_over_volume"] = round(
                    decoded_voxels(grid, stored, 2, plan, 1) / data.size, 3
                )
                row["cache_MB"] = round(plan.cache_bytes / 1e6, 1)
            yield row


def write_rows(folder: Path, data: NDArray[Any], block: int) -> dict[str, float]:
    """Time level 0 alone, and with the levels that come from the block in memory."""
    probability = (data > data.mean() + 3 * data.std()).astype(np.uint8) * 200
    probability += (np.arange(data.size) % 7 == 0).reshape(data.shape).astype(np.uint8)
    seconds = {}
    for name, shape in (("level 0", (block,) * 3), ("all levels", data.shape)):
        spec = PyramidSpec(
            str(folder / name.replace(" ", "-")), to_zyx(shape), (block,) * 3
        )
        create_output(spec)
        writer = PyramidWriter(spec)
        grid = BlockGrid(to_zyx(data.shape), (block,) * 3)
        only = Roi.whole((block,) * 3)
        start = time.process_time()
        for part in grid:
            voxels = np.ascontiguousarray(probability[part.write_roi.slices()])
            if voxels.shape != only.shape:
                continue
            writer.write_block(only if name == "level 0" else part.write_roi, voxels)
        seconds[name] = time.process_time() - start
    megabytes = data.size / 1e6
    return {
        "level_0_MB_per_CPU_second": round(megabytes / seconds["level 0"], 1),
        "all_levels_MB_per_CPU_second": round(megabytes / seconds["all levels"], 1),
        "pyramid_CPU_seconds_per_million_voxels": round(
            (seconds["all levels"] - seconds["level 0"]) / megabytes, 5
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--shape", default="256,512,512", help="voxels, z,y,x")
    parser.add_argument("--block", type=int, default=128)
    parser.add_argument("--chunk", type=int, default=64)
    parser.add_argument("--quick", action="store_true", help="a volume of toy size")
    parser.add_argument("--only", default="", help="part of a store's name")
    parser.add_argument("--out", type=Path, default=RESULTS / "io.json")
    given = parser.parse_args()
    shape = to_zyx(int(n) for n in given.shape.split(","))
    block, chunk = given.block, given.chunk
    if given.quick:
        shape, block, chunk = (64, 128, 128), 64, 32
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        data = brain(shape)
        rows = []
        for row in read_rows(folder, data, block, chunk, given.only):
            rows.append(row)
            times = row.get("decoded_over_volume", "")
            print(
                f"{row['store']:18} {row['reader']:24} {row['MB_per_second']:8} MB/s "
                f"{row['MB_per_CPU_second']:8} CPU MB/s  {times}",
                flush=True,
            )
        writing = write_rows(folder, data, block)
        print(json.dumps(writing, indent=2))
    result = {
        "machine": machine_facts(),
        "shape": list(shape),
        "block": block,
        "chunk": chunk,
        "halo": HALO,
        "reading": rows,
        "writing": writing,
    }
    given.out.parent.mkdir(exist_ok=True)
    given.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""What a user would do instead of ``blockseg label``: the labels of a mask, to a Zarr.

    python -m benchmarks.objects.label_rivals NAME RUN OUT [--workers 2] [--all]

``dask-image``: ``dask_image.ndmeasure.label`` of the array's chunks, stored. ``faces``: the
scheme of cellpose's ``distributed_eval``, written anew with cc3d in the place of its
network: blocks are labelled and stored, their faces go to the client, which matches them
pair by pair as dask-image does; a second pass maps every block through one table. Both have
the connectivity 26, but see no edges and corners of blocks that only ``dask-image``'s wrap
of whole faces may reach. With ``--all`` they go on to what ``blockseg label`` writes besides:
sizes, boxes, centroids, mean probability and contrast of objects (``cc3d.statistics`` and
``bincount``, block by block), the mask of those of 32 voxels or more, and the coarse levels
of both images (``dask.array.coarsen``); still no lengths, no resume. Prints what it did as
one line of JSON.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import shutil
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import cc3d
import numpy as np
import zarr
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from zarr.codecs import BloscCodec

CHUNK = 64

# Without types.
da: Any = import_module("dask.array")
distributed: Any = import_module("dask.distributed")


def stored(path: str, mode: str = "r") -> Any:
    """Return an array that is there."""
    return zarr.open_array(path, mode=mode)


def store(path: str, shape: tuple[int, ...], block: int, dtype: str) -> Any:
    """Return a new array as ``blockseg`` stores its own: sharded, Blosc with zstd 1."""
    return zarr.create_array(
        path,
        shape=shape,
        shards=(block,) * 3,
        chunks=(min(CHUNK, block),) * 3,
        dtype=dtype,
        compressors=BloscCodec(
            cname="zstd", clevel=1, typesize=np.dtype(dtype).itemsize
        ),
        overwrite=True,
    )


def dask_image(mask: str, out: str, block: int) -> int:
    label: Any = import_module("dask_image.ndmeasure").label
    array = da.from_zarr(mask, chunks=(block,) * 3)
    labels, count = label(array > 0, structure=np.ones((3, 3, 3)))
    target = store(out, array.shape, block, "int32")
    _, number = da.compute(labels.store(target, compute=False, lock=False), count)
    return int(number)


def _first(mask: str, out: str, index: tuple[int, ...], block: int) -> Any:
    where = tuple(slice(i * block, (i + 1) * block) for i in index)
    part = stored(mask)[where]
    labels, count = cc3d.connected_components(
        part > 0, return_N=True, out_dtype=np.uint32
    )
    stored(out, "r+")[where] = labels
    ends = [(labels.take(0, axis), labels.take(-1, axis)) for axis in range(3)]
    return index, count, ends


def _second(
    source: str, out: str, table: str, index: Any, base: int, block: int
) -> None:
    where = tuple(slice(i * block, (i + 1) * block) for i in index)
    part = stored(source)[where].astype(np.int64)
    part[part > 0] += base
    stored(out, "r+")[where] = np.load(table)[part]


def _grouped(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return pairs of labels that touch across a face, by labelling both planes together."""
    both = np.stack([one, other])
    common = cc3d.connected_components(both > 0, connectivity=26)
    pairs = np.unique(np.stack([common[both > 0], both[both > 0]], axis=1), axis=0)
    same = np.flatnonzero(np.diff(pairs[:, 0]) == 0)
    return np.stack([pairs[same, 1], pairs[same + 1, 1]], axis=1)


def faces(mask: str, out: str, block: int, client: Any) -> int:
    shape = stored(mask).shape
    first = f"{out}.first"
    store(first, shape, block, "uint32")
    store(out, shape, block, "uint32")
    counts = [-(-n // block) for n in shape]
    every = list(itertools.product(*map(range, counts)))
    found = {}
    futures = [client.submit(_first, mask, first, i, block, pure=False) for i in every]
    for _, (index, count, ends) in distributed.as_completed(futures, with_results=True):
        found[index] = (count, ends)
    base, total = {}, 0
    for index in every:
        base[index], total = total, total + found[index][0]

    def numbered(index: tuple[int, ...], axis: int, end: int) -> np.ndarray:
        plane = found[index][1][axis][end].astype(np.int64)
        return np.where(plane > 0, plane + base[index], 0)

    pairs = [np.zeros((0, 2), np.int64)]
    for index in every:
        for axis in range(3):
            after = tuple(i + (a == axis) for a, i in enumerate(index))
            if after in found:
                pairs.append(
                    _grouped(numbered(index, axis, 1), numbered(after, axis, 0))
                )
    one, other = np.concatenate(pairs).T
    size = total + 1
    graph = coo_array((np.ones(len(one)), (one, other)), shape=(size, size))
    number, table = connected_components(graph, directed=False)
    table = np.where(np.arange(size) == 0, 0, table).astype(np.uint32)
    np.save(f"{out}.table.npy", table)
    futures = [
        client.submit(
            _second, first, out, f"{out}.table.npy", i, base[i], block, pure=False
        )
        for i in every
    ]
    client.gather(futures)
    shutil.rmtree(first)
    return int(number) - 1


def _sums(run: str, out: str, index: tuple[int, ...], block: int) -> Any:
    where = tuple(slice(i * block, (i + 1) * block) for i in index)
    labels = stored(out)[where]
    there = np.bincount(labels.ravel())
    there[0] = 1
    ids = np.flatnonzero(there)
    table = np.zeros(len(there), np.uint32)
    table[ids] = np.arange(len(ids))
    small = table[labels]
    known = cc3d.statistics(small)
    flat, count = small.ravel(), len(ids)
    bright = stored(f"{run}/0")[where].ravel()
    probability = np.bincount(flat, bright, count)
    source = json.loads(Path(run, ".blockseg/run.json").read_text())["request"][
        "source"
    ]
    grey = stored(f"{source['spec']['uri']}/0")[where].ravel()
    contrast = np.bincount(flat, grey, count)
    boxes = np.array(
        [[(a.start, a.stop) for a in box] for box in known["bounding_boxes"]]
    )
    corner = np.array(index) * block
    voxels = known["voxel_counts"].astype(np.int64)
    centre = (known["centroids"] + corner) * voxels[:, None]
    table = (ids, voxels, boxes + corner[:, None], centre, probability, contrast)
    return tuple(column[1:] for column in table)


def _cleaned(out: str, clean: str, table: str, index: Any, block: int) -> None:
    where = tuple(slice(i * block, (i + 1) * block) for i in index)
    stored(clean, "r+")[where] = np.load(table)[stored(out)[where]]


def _coarse(path: str, block: int) -> None:
    """Write the coarse levels of an image, as many as ``blockseg`` does."""
    level = 0
    while max(stored(f"{path}{level or ''}").shape) > 128:
        array = da.from_zarr(f"{path}{level or ''}", chunks=(block,) * 3)
        level += 1
        half = da.coarsen(np.max, array, {0: 2, 1: 2, 2: 2})
        edge = min(block, *half.shape)
        target = store(f"{path}{level}", half.shape, edge, str(array.dtype))
        half.rechunk((edge,) * 3).store(target, lock=False)


def everything(run: str, out: str, block: int, client: Any) -> None:
    """Write what ``blockseg label`` writes besides the labels."""
    shape = stored(out).shape
    every = list(itertools.product(*(range(-(-n // block)) for n in shape)))
    futures = [client.submit(_sums, run, out, i, block, pure=False) for i in every]
    parts = [np.concatenate(c) for c in zip(*client.gather(futures), strict=True)]
    ids, row = np.unique(parts[0], return_inverse=True)
    voxels = np.bincount(row, parts[1])
    low, high = np.full((len(ids), 3), 2**31), np.zeros((len(ids), 3), int)
    np.minimum.at(low, row, parts[2][:, :, 0])
    np.maximum.at(high, row, parts[2][:, :, 1])
    means = [
        np.bincount(row, column) / voxels
        for column in (*parts[3].T, parts[4], parts[5])
    ]
    columns = np.stack([ids, voxels, *low.T, *high.T, *means], axis=1)
    np.savetxt(f"{out}.csv", columns, delimiter=",")
    passes = np.zeros(int(ids.max(initial=0)) + 1, np.uint8)
    passes[ids] = voxels >= 32
    np.save(f"{out}.passes.npy", passes)
    clean = f"{out}.clean"
    store(clean, shape, block, "uint8")
    client.gather(
        [
            client.submit(
                _cleaned, out, clean, f"{out}.passes.npy", i, block, pure=False
            )
            for i in every
        ]
    )
    for path in (out, clean):
        _coarse(path, block)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=("dask-image", "faces"))
    parser.add_argument("run", help="output of blockseg run")
    parser.add_argument("out")
    parser.add_argument("--block", type=int, default=128)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--all", action="store_true")
    given = parser.parse_args()
    cluster = distributed.LocalCluster(
        n_workers=given.workers,
        threads_per_worker=1,
        dashboard_address=None,
        memory_limit=0,
    )
    with cluster, distributed.Client(cluster) as client:
        begun = time.perf_counter()
        mask = f"{given.run}/labels/foreground/0"
        if given.name == "faces":
            number = faces(mask, given.out, given.block, client)
        else:
            number = dask_image(mask, given.out, given.block)
        if given.all:
            everything(given.run, given.out, given.block, client)
        seconds = time.perf_counter() - begun
        peaks = client.run(lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        json.dumps(
            {
                "seconds": seconds,
                "objects": number,
                "worker_peak_bytes": 1024 * max(peaks.values()),
                "client_peak_bytes": 1024 * own,
            }
        )
    )


if __name__ == "__main__":
    main()

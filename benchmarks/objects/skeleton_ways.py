"""Ways to skeletons of labelled objects, each in a process of its own.

    python -m benchmarks.objects.skeleton_ways WAY LABELS.npy OUT.npz

kimimaro (GPL-3) is no dependency of blockseg: `pip install kimimaro`.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.infer.infer_machine import peak_memory
from benchmarks.objects.skeleton_brains import VOXEL_SIZE
from blockseg.core.geometry import Roi, Zyx
from blockseg.core.grid import BlockGrid
from blockseg.morphology.centreline import SKELETON_HALO, skeleton
from blockseg.skeletons.block_lines import block_lines, joined
from blockseg.skeletons.forest import object_forest

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

BLOCK: Zyx = (128, 256, 256)
Graph = tuple["NDArray[np.float64]", "NDArray[np.int64]"]
"""Places (n, 3) in µm, (z, y, x); pairs of rows that are joined."""


def blockseg_blocks(labels: NDArray[np.uint32]) -> Graph:
    return _blockseg(labels, BLOCK)


def blockseg_whole(labels: NDArray[np.uint32]) -> Graph:
    return _blockseg(labels, labels.shape)


def _blockseg(labels: NDArray[np.uint32], block: Any) -> Graph:
    shape: Any = labels.shape
    grid = BlockGrid(shape, block)
    pieces = (
        block_lines(lambda roi: labels[roi.slices()], b.write_roi, shape, VOXEL_SIZE)
        for b in grid
    )
    forest = object_forest(joined(pieces), shape, VOXEL_SIZE)
    return forest.position, forest.edges


def skimage_whole(labels: NDArray[np.uint32]) -> Graph:
    """Lee's thinning by scikit-image, every pair of neighbouring voxels joined."""
    from skimage.morphology import skeletonize

    thin: Any = skeletonize
    return _voxel_graph(thin(labels > 0, method="lee") != 0)


def skimage_blocks(labels: NDArray[np.uint32]) -> Graph:
    """The same with a halo around each block, as `blockseg evaluate` does."""
    return _voxel_graph(_lee_in_blocks(labels > 0))


def _lee_in_blocks(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    out = np.zeros(mask.shape, bool)
    whole = Roi.whole(mask.shape)
    for block in BlockGrid(whole.shape, BLOCK):
        roi = block.write_roi.grown((SKELETON_HALO,) * 3).intersection(whole)
        own = block.write_roi.slices(roi.start)
        out[block.write_roi.slices()] = skeleton(mask[roi.slices()])[own]
    return out


def _voxel_graph(line: NDArray[np.bool_]) -> Graph:
    from skan.csr import skeleton_to_csgraph

    graph, places = skeleton_to_csgraph(line, spacing=VOXEL_SIZE)
    graph = graph.tocoo()
    one_way = graph.row < graph.col
    edges = np.stack([graph.row[one_way], graph.col[one_way]], axis=1)
    return np.stack(places, axis=1) * np.array(VOXEL_SIZE), edges.astype(np.int64)


def kimimaro_whole(labels: NDArray[np.uint32]) -> Graph:
    return _kimimaro_graph([_kimimaro(labels, fix_borders=False)])


def kimimaro_blocks(labels: NDArray[np.uint32]) -> Graph:
    """Blocks that overlap by one voxel and meet where `fix_borders` says."""
    found = []
    whole = Roi.whole(labels.shape)
    for block in BlockGrid(whole.shape, BLOCK):
        start, stop = block.write_roi.start, block.write_roi.stop
        z, y, x = (min(b + 1, n) for b, n in zip(stop, whole.stop, strict=True))
        part = labels[Roi(start, (z, y, x)).slices()]
        lines = _kimimaro(part, fix_borders=True)
        corner = np.array(start) * np.array(VOXEL_SIZE) * 1000
        found.append([(v + corner, e) for v, e in lines])
    return _kimimaro_graph(found)


def _kimimaro(labels: NDArray[np.uint32], *, fix_borders: bool) -> list[Graph]:
    import kimimaro

    lines = kimimaro.skeletonize(
        np.ascontiguousarray(labels),
        teasar_params={"scale": 1.5, "const": 1000},
        anisotropy=tuple(1000 * n for n in VOXEL_SIZE),
        dust_threshold=0,
        fix_borders=fix_borders,
        progress=False,
        parallel=1,
    )
    return [(line.vertices, line.edges) for line in lines.values()]


def _kimimaro_graph(parts: list[list[Graph]]) -> Graph:
    places, edges, count = [np.zeros((0, 3))], [np.zeros((0, 2), np.int64)], 0
    for vertices, pairs in (line for part in parts for line in part):
        places.append(np.asarray(vertices, float) / 1000)
        edges.append(np.asarray(pairs, np.int64) + count)
        count += len(vertices)
    position, pairs = np.concatenate(places), np.concatenate(edges)
    # Where blocks meet, both have the same voxel.
    voxel = np.rint(position / np.array(VOXEL_SIZE)).astype(np.int64)
    _, first, same = np.unique(voxel, axis=0, return_index=True, return_inverse=True)
    pairs = np.sort(same.reshape(-1)[pairs], axis=1)
    pairs = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)
    return position[first], pairs


WAYS: dict[str, Callable[[NDArray[np.uint32]], Graph]] = {
    "blockseg, blocks": blockseg_blocks,
    "blockseg, whole": blockseg_whole,
    "scikit-image, blocks": skimage_blocks,
    "scikit-image, whole": skimage_whole,
    "kimimaro, blocks": kimimaro_blocks,
    "kimimaro, whole": kimimaro_whole,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way")
    parser.add_argument("labels")
    parser.add_argument("out")
    given = parser.parse_args()
    labels = np.load(given.labels)
    WAYS[given.way](labels[:32, :64, :64])  # imports and tables
    before = peak_memory()
    wall, cpu = time.perf_counter(), time.process_time()
    places, edges = WAYS[given.way](labels)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    np.savez(
        given.out,
        places=places,
        edges=edges,
        seconds=np.array([wall, cpu]),
        peak=peak_memory(),
        before=before,
    )


if __name__ == "__main__":
    main()

"""What a user would do instead of ``blockseg run``, each in its usual form.

    python -m benchmarks.run.run_rivals NAME SOURCE OUT [--weights FILE] [--threads 2]

All run the same network, as it was trained, on torch in float32, read the same OME-Zarr,
normalise alike, and write probability and mask as Zarr v3 with the codec and the chunks
of ``blockseg run``. Prints what it did as one line of JSON.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import zarr
from zarr.codecs import BloscCodec

from blockseg.io.find import find
from blockseg.io.open import open_volume
from blockseg.networks.shipped import default_weights
from blockseg.networks.weights import load_weights
from blockseg.normalization.affine import normalize

if TYPE_CHECKING:
    from blockseg.core.specs import Affine

Slices = tuple[slice, slice, slice]

HALO = 32
CHUNK = 64


class Outputs:
    """Probability and mask, as ``blockseg run`` stores its finest level."""

    def __init__(self, folder: str, shape: tuple[int, ...] | None = None) -> None:
        names = ("probability", "foreground")
        if shape is not None:
            for name in names:
                zarr.create_array(
                    f"{folder}/{name}",
                    shape=shape,
                    chunks=(min(CHUNK, *shape),) * 3,
                    dtype="uint8",
                    compressors=BloscCodec(cname="zstd", clevel=3),
                )
        self.arrays = [zarr.open_array(f"{folder}/{name}") for name in names]

    def write(self, where: Slices, probability: np.ndarray) -> None:
        byte = np.rint(probability * 255).astype(np.uint8)
        self.arrays[0][where] = byte
        self.arrays[1][where] = (byte >= 128).astype(np.uint8)


class Model:
    """The network in evaluation mode, on torch eager."""

    def __init__(self, weights: str, threads: int) -> None:
        torch.set_num_threads(threads)
        self.network = load_weights(weights)[0].eval()

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Return the probability of a normalised image, zeros beyond it."""
        with torch.inference_mode():
            logits = self.network(torch.from_numpy(image)[None, None])
            probability: np.ndarray = logits.sigmoid()[0, 0].numpy()
        return probability


def stored(source: str) -> Any:
    """Return the finest level of an OME-Zarr, opened to read."""
    return zarr.open_array(f"{source}/0", mode="r")


def normalised(raw: np.ndarray, by: Affine) -> np.ndarray:
    out = np.empty(raw.shape, np.float32)
    normalize(raw, by, out)
    return out


def windows(
    shape: tuple[int, ...], edge: int, halo: int
) -> list[tuple[Slices, Slices, Slices]]:
    """Return what to read, what of that to keep and where to put it, for each window."""
    found = []
    starts = [range(0, n, edge) for n in shape]
    for start in itertools.product(*starts):
        read, keep, put = [], [], []
        for a, n in zip(start, shape, strict=True):
            b, low = min(a + edge, n), max(a - halo, 0)
            read.append(slice(low, min(b + halo, n)))
            keep.append(slice(a - low, b - low))
            put.append(slice(a, b))
        found.append((tuple(read), tuple(keep), tuple(put)))
    return found  # type: ignore[return-value]


def published(given: Any, by: Affine) -> dict[str, Any]:
    """Run the published script's loop: window after window, all threads in each."""
    source = stored(given.source)
    outputs = Outputs(given.out, source.shape)
    model = Model(given.weights, given.threads)
    todo = windows(source.shape, given.edge, given.halo)
    for read, keep, put in todo:
        outputs.write(put, model(normalised(source[read], by))[keep])
    return {"tasks": len(todo)}


def sliding_window(given: Any, by: Affine) -> dict[str, Any]:
    """Run MONAI's inferer on the whole array, at its default overlap."""
    from monai.inferers.inferer import SlidingWindowInferer

    source = stored(given.source)
    outputs = Outputs(given.out, source.shape)
    model = Model(given.weights, given.threads)
    image = torch.from_numpy(normalised(source[...], by))[None, None]
    inferer = SlidingWindowInferer(roi_size=(given.edge,) * 3)
    with torch.inference_mode():
        found: Any = inferer(image, lambda x: model.network(x).sigmoid())
    outputs.write((slice(None), slice(None), slice(None)), found[0, 0].numpy())
    starts = [math.ceil(n / (given.edge * 0.75)) for n in source.shape]
    return {"tasks": math.prod(starts)}


def map_overlap(given: Any, by: Affine) -> dict[str, Any]:
    """Run dask's ``map_overlap`` on threads, the network on one thread in each."""
    from dask import array as arrays
    from dask import config
    from dask.base import compute, optimize

    da: Any = arrays
    source = da.from_zarr(f"{given.source}/0").rechunk(given.edge)
    outputs = Outputs(given.out, source.shape)
    model = Model(given.weights, 1)

    def infer(block: np.ndarray) -> np.ndarray:
        byte: np.ndarray = np.rint(255 * model(normalised(block, by))).astype(np.uint8)
        return byte

    meta = np.empty((0, 0, 0), np.uint8)
    found = source.map_overlap(
        infer, depth=HALO, boundary="none", dtype=np.uint8, meta=meta
    )
    lazy = da.store(
        [found, (found >= 128).astype(np.uint8)],
        outputs.arrays,
        compute=False,
        lock=False,
    )
    parts = lazy if isinstance(lazy, tuple) else (lazy,)
    tasks: set[Any] = set()
    for part in optimize(*parts):  # type: ignore[no-untyped-call]
        tasks |= set(dict(part.__dask_graph__()))
    with config.set(scheduler="threads", num_workers=given.threads):
        compute(*parts)  # type: ignore[no-untyped-call]
    return {"tasks": len(tasks)}


def block_tasks(given: Any, by: Affine) -> dict[str, Any]:
    """Run one task a block on a local cluster, the model built in each task.

    The pattern of cellpose's distributed driver, with this network for its model.
    """
    from dask import distributed

    dask: Any = distributed
    shape = stored(given.source).shape
    Outputs(given.out, shape)
    todo = windows(shape, given.edge, HALO)
    cluster = dask.LocalCluster(
        n_workers=given.threads, threads_per_worker=1, dashboard_address=None
    )
    with cluster, dask.Client(cluster) as client:
        many = client.map(
            _one_block,
            todo,
            source=given.source,
            out=given.out,
            weights=given.weights,
            by=by,
            pure=False,
        )
        client.gather(many)
    return {"tasks": len(todo)}


def _one_block(
    window: tuple[Slices, Slices, Slices],
    source: str,
    out: str,
    weights: str,
    by: Affine,
) -> int:
    read, keep, put = window
    raw = stored(source)[read]
    model = Model(weights, 1)
    Outputs(out).write(put, model(normalised(raw, by))[keep])
    return int(np.prod(raw.shape))


RIVALS = {
    "published": published,
    "monai": sliding_window,
    "map-overlap": map_overlap,
    "cellpose-pattern": block_tasks,
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=RIVALS)
    parser.add_argument("source")
    parser.add_argument("out")
    parser.add_argument("--weights", default=str(default_weights()))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--edge", type=int, default=128, help="of a window or block")
    parser.add_argument("--halo", type=int, default=0, help="of the published loop")
    given = parser.parse_args()
    from benchmarks.infer.infer_volume import of_volume

    given.source = str(Path(given.source).absolute())
    by = of_volume(open_volume(find(given.source)), given.weights)
    done = RIVALS[given.name](given, by)
    sys.stdout.write("\n" + json.dumps(done) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What a score of tiles can leave out, at which loss, and what windows over the rest cost.

    python -m benchmarks.run.bench_scout [--brains few bright] [--shape 256,512,512]

Infers a brain of `bench_run` whole, and gives its tiles both scores of `--sparse`. For
each: million voxels a second of CPU time; the share of tiles that is left by the largest
bound at each loss (of pieces of 8 voxels or more), and the work of the cheapest windows
over these, in voxels that SDASN computes for each voxel of the volume: a window of n
voxels computes n + 22 along each axis. Beside it the same of windows over the tiles that
hold anything, of the survey's cubes, and of windows of 256 voxels over everything: what
could be gained, what looking costs, and what there is without --sparse. Prints JSON, and
keeps it in results/scout.json.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from benchmarks.infer.infer_machine import machine
from benchmarks.run.run_brains import brain
from blockseg.blockwise.sources.inputs import Inputs, memory_source, read_weights
from blockseg.config.settings import RunSettings
from blockseg.core.cubes import EDGE, TILE
from blockseg.core.geometry import Roi, Zyx, to_zyx
from blockseg.inference.components import long_components
from blockseg.inference.cover import cover
from blockseg.inference.tile_scores.choice import tile_score
from blockseg.inference.tile_scores.scout import shipped_scout
from blockseg.segmentation.decisions import decide
from blockseg.segmentation.predict import predict

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESULTS = Path(__file__).parent / "results" / "scout.json"
LOSSES = (0.0005, 0.001, 0.002, 0.005, 0.01)
EDGES = (16, 32, 64)
MARGIN = 22
SURVEYED = 24


def held_in(mask: NDArray[np.bool_], edge: int) -> NDArray[np.int64]:
    z, y, x = (n // edge for n in mask.shape)
    split = mask.reshape(z, edge, y, edge, x, edge)
    return np.asarray(split.sum(axis=(1, 3, 5), dtype=np.int64))


def computed(window: Zyx) -> int:
    return math.prod(n + MARGIN for n in window)


def work(keep: NDArray[np.bool_], voxels: int) -> dict[str, Any]:
    """Return the cheapest windows over some tiles."""
    best: tuple[float, Zyx] = (math.inf, (0, 0, 0))
    for window in map(to_zyx, product(EDGES, repeat=3)):
        spans = to_zyx(n // TILE for n in window)
        held = math.prod(spans)
        if keep.sum() / held * computed(window) / voxels > best[0]:
            continue
        needed = sum(1 for _ in cover(keep, Roi.whole(keep.shape), spans, 1))
        best = min(best, (needed * computed(window) / voxels, window))
    return {"work": round(best[0], 4), "window": best[1]}


def row(kind: str, shape: Zyx, folder: Path) -> dict[str, Any]:
    raw = np.asarray(zarr.open_array(str(brain(folder, kind, shape) / "0"))[...])
    settings = RunSettings(threads=1)
    roi = Roi.whole(raw.shape)
    weights = read_weights(settings)
    inputs = Inputs(memory_source(raw), Path(), roi, weights, None, settings)
    decisions = decide(inputs)
    foreground = predict(raw, settings) >= decisions.threshold
    pieces, _ = long_components(foreground, roi, raw.shape)
    held = held_in(pieces > 0, TILE)
    lengths = np.bincount(pieces[pieces > 0])
    found: dict[str, Any] = {
        "foreground": int(np.count_nonzero(pieces)),
        "pieces": int(np.count_nonzero(lengths)),
        "pieces_below_100_voxels": int(
            np.count_nonzero((lengths > 0) & (lengths < 100))
        ),
        "tiles_with_foreground": float((held > 0).mean()),
        "cubes_with_foreground": float((held_in(pieces > 0, EDGE) > 0).mean()),
        "over_everything": computed((256, 256, 256)) / 256**3,
        "over_tiles_with_foreground": work(held > 0, raw.size),
        "survey": SURVEYED * computed((EDGE,) * 3) / raw.size,
    }
    for name, scout in (
        ("scout", shipped_scout(inputs.info.gain)),
        ("path opening", None),
    ):
        score = tile_score(scout, decisions.affine, raw.shape)
        score(raw[:128, :128, :128], Roi.whole((128,) * 3), Roi.whole((112,) * 3), TILE)
        begun = time.process_time()
        values = score(raw, roi, roi, TILE).ravel()
        rate = raw.size / 1e6 / (time.process_time() - begun)
        order = np.argsort(values, kind="stable")
        lost = np.cumsum(held.ravel()[order]) / held.sum()
        found[name] = {"million_voxels_a_cpu_second": round(rate, 1)}
        for most in LOSSES:
            least = values[order[np.searchsorted(lost, most, "right")]]
            keep = (values >= least).reshape(held.shape)
            found[name][f"{most:.2%}"] = {
                "left": round(float(keep.mean()), 4),
                **work(keep, raw.size),
            }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--brains", nargs="+", default=["few", "bright"])
    parser.add_argument("--shape", default="256,512,512")
    parser.add_argument("--folder", type=Path, default=Path("/tmp/blockseg-bench"))
    given = parser.parse_args()
    shape = to_zyx(int(n) for n in given.shape.split(","))
    given.folder.mkdir(parents=True, exist_ok=True)
    data = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    data["machine"] = machine()
    for kind in given.brains:
        key = f"{kind} {'x'.join(map(str, shape))}"
        data[key] = row(kind, shape, given.folder)
        print(json.dumps({key: data[key]}, indent=1), flush=True)
        RESULTS.write_text(json.dumps(data, indent=1) + "\n")


if __name__ == "__main__":
    main()

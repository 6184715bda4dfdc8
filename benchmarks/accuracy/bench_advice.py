"""How good the weights and the grid are that ``blockseg info`` recommends.

Held-out synthetic brains, and real volumes where a folder of them is given, are segmented by
each of the shipped weights at full resolution, and by those and the factors that ``info``
recommends. What the advice costs is the best F1 of all of these less its own. Real volumes
without a truth are looked at for what is recommended alone.

    python -m benchmarks.accuracy.bench_advice --json FILE [--real FOLDER] [--brains 3] [--first 0]
    python -m benchmarks.accuracy.bench_advice --json FILE --earlier FILE

The second takes figures and scores of an earlier run, and judges what is recommended now by
them: of a way that was not tried then there is no score.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

import blockseg
from benchmarks.accuracy.accuracy_real import knows_background, real_sets
from benchmarks.accuracy.accuracy_scenes import Scene, as_made, dendrites, synthetic
from blockseg.core.space import Space
from blockseg.io.protocol import MemoryVolume
from blockseg.morphology.measures import measure
from blockseg.networks.shipped import SHIPPED
from blockseg.normalization.structures import Structures
from blockseg.suitability.advice import advised
from blockseg.suitability.sampled import Sampled, sample_of_volume
from blockseg.synthetic.presets import PRESETS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx

_UNJUDGED = (
    "trailmap_chunk/image_160.tif",
    "trailmap_chunk2/image.tif",
    "dlmbmap/image_sparse.tif",
    "neurotorch_olst/image.tif",
)
_FULL = (1, 1, 1)


def scenes(
    first: int, brains: int, folder: Path | None
) -> Iterator[tuple[str, int, Scene]]:
    """Yield kind, number and scene."""
    for number in range(first, first + brains):
        for name in PRESETS:
            yield name, number, synthetic(name, number)
            yield f"{name}, as made", number, as_made(name, number)
        yield "dendrites", number, dendrites(number)
    if folder is None:
        return
    for name, scene in real_sets(folder)[0].items():
        if knows_background(scene) or name == "dlmb_B":
            yield name, 0, scene
    for path in _UNJUDGED:
        if (folder / path).is_file():
            image = tifffile.imread(folder / path)
            nothing = np.zeros(image.shape, bool)
            yield path.partition("/")[0], 0, Scene(image, nothing, nothing, None)


def scored(scene: Scene, weights: str, factors: Zyx) -> float | None:
    """Return F1 of centrelines within 2 voxels of the scene; None without a truth."""
    if not scene.true.any():
        return None
    found: NDArray[np.uint8] = blockseg.predict(
        scene.image, weights=weights, downsample=factors
    )
    for axis, factor in enumerate(factors):
        found = np.repeat(found, factor, axis=axis)
    z, y, x = scene.true.shape
    rows = np.array(scene.rows(found[:z, :y, :x] >= 128))
    if not len(rows):
        return 0.0
    name = "f1_in_plane" if scene.planes else "centreline_f1"
    return next(m.value for m in measure(rows, draws=1) if m.name == name)


def judged(scene: Scene) -> dict[str, Any]:
    """Return what was measured and recommended, and the scores of every way."""
    found = sample_of_volume(MemoryVolume(scene.image))
    if found is None:
        return {}
    weights, factors = advised(found, Space()) or (SHIPPED[0].name, _FULL)
    ways = dict.fromkeys([*((one.name, _FULL) for one in SHIPPED), (weights, factors)])
    scores = {_way(*way): scored(scene, *way) for way in ways}
    figures = {
        name: None if value is None else round(value, 3)
        for name, value in (asdict(found.structures) | asdict(found)).items()
        if name != "structures"
    }
    return with_advice({"measured": figures, "scores": scores})


def _way(weights: str, factors: Zyx) -> str:
    return " ".join(map(str, (weights, *factors)))


def with_advice(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with what is recommended by its figures, and what that costs."""
    if "measured" not in row:
        return row
    figures = dict(row["measured"])
    depth, saturated = figures.pop("half_depth"), figures.pop("saturated", 0.0)
    advice = advised(Sampled(Structures(**figures), depth, saturated), Space())
    way = _way(*(advice or (SHIPPED[0].name, _FULL)))
    scores = [score for score in row["scores"].values() if score is not None]
    own = row["scores"].get(way)
    return row | {
        "advice": way if advice else None,
        "cost": None if own is None else max(scores) - own,
    }


def main() -> None:
    """Judge all volumes, print a line for each, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--real", type=Path)
    parser.add_argument("--earlier", type=Path)
    parser.add_argument("--brains", type=int, default=3)
    parser.add_argument("--first", type=int, default=0)
    given = parser.parse_args()
    rows = []
    if given.earlier:
        rows = [with_advice(row) for row in json.loads(given.earlier.read_text())]
    else:
        for kind, number, scene in scenes(given.first, given.brains, given.real):
            row = {"kind": kind, "number": number, **judged(scene)}
            rows.append(row)
            print(json.dumps(row), flush=True)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n")
    for kind in dict.fromkeys(row["kind"] for row in rows):
        mine = [row for row in rows if row["kind"] == kind]
        costs = [row["cost"] for row in mine if row.get("cost") is not None]
        advice = [row.get("advice") or "nothing" for row in mine]
        print(
            f"{kind:24} {', '.join(sorted(set(advice)))}; costs {max(costs, default=0):.3f}"
        )


if __name__ == "__main__":
    main()

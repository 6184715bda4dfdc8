"""One row of the proof: pick blocks, annotate them with their truth, train, score."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np  # noqa: TC002 - dataclasses read it
import tifffile
from numpy.typing import NDArray  # noqa: TC002 - dataclasses read it

import blockseg
from benchmarks.dhpr import dhpr_brains as brains
from blockseg.dhpr.selection.choice import Choice
from blockseg.dhpr.selection.rules import select
from blockseg.morphology.measures import measures
from blockseg.networks.shipped import default_weights

if TYPE_CHECKING:
    from benchmarks.dhpr.dhpr_brains import Size
    from blockseg.dhpr.grey_scale import GreyScale
    from blockseg.dhpr.selection.table import BlockTable

FINE_TUNING: dict[str, Any] = {
    "batch": 2,
    "patch": brains.EDGE,
    "rate": 2e-3,
    "averaging": 0.95,
    "validation_share": 0.0,
    "threads": 1,
    "workers": 0,
    "tensorboard": False,
    "checkpoint_every": 10**6,
}
START: dict[str, Any] = {
    "batch": 2,
    "patch": 32,
    "averaging": 0.98,
    "validation_share": 0.0,
    "threads": 1,
    "workers": 0,
    "tensorboard": False,
}
"""The network that everything starts from: it has seen bright neurites on an even
background for a minute, and nothing else."""

RULES: dict[str, dict[str, Any]] = {
    "dhpr": {},
    "published": {},
    "entropy": {},
    "random": {},
    "foreground-random": {},
    "dhpr, no hardness": {"hardness_weight": 0.0},
    "dhpr, hardness alone": {"hardness_weight": 1e6},
    "dhpr, shares": {"amount": False},
    "dhpr, no negatives": {"reserve": 0.0},
}
"""By name: what is changed of the rule before the comma."""


@dataclass(frozen=True, eq=False)
class Pool:
    """A brain as the start weights see it, and another of its kind to score on."""

    seed: int
    size: Size
    image: NDArray[np.uint16]
    target: NDArray[np.uint8]
    held_out: brains.Brain
    scale: GreyScale
    tables: dict[str, BlockTable]


@dataclass(frozen=True, order=True)
class Row:
    """One point of a curve."""

    seed: int
    budget: int
    rule: str


def start_weights(folder: Path, size: Size) -> Path:
    """Return the weights that every training starts from, made now if they are not there."""
    if not size.start_steps:
        return default_weights()
    out = folder / f"start-{_hash([START, size.start_steps])}"
    if not (out / "best.safetensors").exists():
        blockseg.train("synth:clean", str(out), steps=size.start_steps, **START)
    return out / "best.safetensors"


def pool(folder: Path, seed: int, size: Size) -> Pool:
    """Return a brain and what is known of its blocks, made now if it is not there."""
    file = folder / f"pool-{seed}-{_hash([START, brains.facts(size)])}.pickle"
    if not file.exists():
        made = brains.brain(seed, size)
        scale = brains.grey_scale(made.image)
        seen = segmented(made.image, start_weights(folder, size), scale, size)
        tables = brains.block_tables(made.image, seen, scale)
        held_out = brains.brain(seed, size, held_out=True)
        one = Pool(seed, size, made.image, made.target, held_out, scale, tables)
        part = file.with_suffix(f".{os.getpid()}.part")
        part.write_bytes(pickle.dumps(one))
        part.replace(file)
    found: Pool = pickle.loads(file.read_bytes())
    return found


def described(pool: Pool) -> dict[str, int]:
    """Return how many blocks there are, how many hold neurites, and are candidates."""
    table = pool.tables["extended"]
    voxels = [int((_of(pool.target, pool, n) == 1).sum()) for n in range(len(table))]
    return {
        "blocks": len(table),
        "blocks_with_neurites": sum(n > 0 for n in voxels),
        "candidates": int(table.candidates.sum()),
    }


def segmented(
    image: NDArray[np.uint16], weights: Path, scale: GreyScale, size: Size
) -> NDArray[np.uint8]:
    """Return 255 p."""
    return blockseg.predict(
        image,
        backend=size.backend,
        weights=str(weights),
        normalization=f"{scale.level},{scale.sd}",
        threads=1,
    )


def picks(pool: Pool, row: Row) -> list[int]:
    """Return the blocks that a rule picks."""
    rule = row.rule.partition(",")[0]
    choice = Choice(row.budget, rule, row.seed, **RULES[row.rule])
    table = pool.tables["published" if rule == "published" else "extended"]
    return [pick.index for pick in select(table, choice).picks]


def key(seed: int, chosen: list[int], size: Size) -> str:
    """Return what decides a result: brain, picks and training, whatever rule picked."""
    return _hash([seed, sorted(chosen), START, FINE_TUNING, brains.facts(size)])


def result(folder: Path, pool: Pool, chosen: list[int]) -> dict[str, Any]:
    """Annotate, train and score.

    Picks without a single neurite, which `blockseg train` refuses, teach nothing: they
    score what the start does.
    """
    voxels = [int((_of(pool.target, pool, n) == 1).sum()) for n in chosen]
    begun = time.perf_counter()
    work = Path(tempfile.mkdtemp(dir=folder))
    weights = start_weights(folder, pool.size)
    try:
        if any(voxels):
            annotate(work / "picks", pool, chosen)
            blockseg.train(
                str(work / "picks"),
                str(work / "run"),
                init=str(weights),
                steps=pool.size.steps,
                **FINE_TUNING,
            )
            weights = work / "run" / "best.safetensors"
        trained = time.perf_counter()
        found = score(pool, weights)
    finally:
        shutil.rmtree(work)
    done = time.perf_counter()
    return {
        "picked": len(chosen),
        "with_neurites": sum(n > 0 for n in voxels),
        "neurite_voxels": sum(voxels),
        **found,
        "training_seconds": round(trained - begun, 1),
        "scoring_seconds": round(done - trained, 1),
    }


def score(pool: Pool, weights: Path) -> dict[str, float]:
    """Return scores on the held-out brain of the pool's kind."""
    held_out = pool.held_out
    seen = segmented(held_out.image, weights, pool.scale, pool.size)
    counts = brains.scores(held_out, seen)
    found = measures(counts.sum(axis=0))
    names = [f"centreline_{n}" for n in ("precision", "recall", "f1")]
    for k in range(len(brains.SNR_EDGES) + 1):
        names += [f"snr_recall_{k}", f"snr_f1_{k}"]
    return {name: round(float(found[name]), 4) for name in names}


def annotate(folder: Path, pool: Pool, chosen: list[int]) -> None:
    """Write blocks with their truth, as an annotator leaves them."""
    for part in ("image", "label"):
        (folder / part).mkdir(parents=True)
    rows = []
    for number in chosen:
        name = f"block{number:05d}"
        for part, volume in (("image", pool.image), ("label", pool.target)):
            tifffile.imwrite(folder / part / f"{name}.tif", _of(volume, pool, number))
        rows.append(
            {
                "name": name,
                "background_level": pool.scale.level,
                "background_sd": pool.scale.sd,
            }
        )
    (folder / "manifest.json").write_text(json.dumps({"picks": rows}))


def _of(volume: NDArray[Any], pool: Pool, number: int) -> NDArray[Any]:
    corner = pool.tables["extended"].start[number]
    return volume[tuple(slice(a, a + brains.EDGE) for a in corner)]


def _hash(values: Any) -> str:
    text = json.dumps(values, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]

"""Somata of synthetic brains with truth, through the commands.

    python -m benchmarks.objects.bench_somata [--folder DIR] [--json FILE] [--quick]
                                              [--real DIR] [--sets preset dim]

Each brain is written, segmented with the default weights and labelled with ``--somata``.
A soma is found if a row of the table lies within its radius; each row finds one at most,
the brightest first. Of precision, a row counts that finds a soma of any brightness.

Three sets of three presets. ``modest``: somata of SNR 4 to 100, neurites of SNR 1 to 2, as
brain images have them, where the soma is the brightest part of a neuron. ``preset``: the
presets as they are, with more neurons. ``dim``: somata of SNR 4 to 100 beside the neurites
of the presets, which outshine them: dendrites reach SNR 100. ``fine``: ``modest`` in voxels
of half a µm. SNR is contrast over noise and texture together, as ``blockseg synth`` has it.
Recall is told by steps of SNR too.

Of real volumes without truth (``--real``) the number of rows is told: cell bodies that
fill an image, and tissue edges and puncta where there is none. Sets and volumes that are
not asked for keep their rows.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.infer.infer_machine import machine
from blockseg.core.space import Space
from blockseg.io.output.create import create_output
from blockseg.io.output.pyramid import PyramidSpec
from blockseg.io.output.writer import PyramidWriter
from blockseg.synthetic.brain import SyntheticBrain
from blockseg.synthetic.presets import preset

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from blockseg.core.geometry import Zyx
    from blockseg.synthetic.neurons.tracing import Somata

SETS = ("modest", "preset", "dim", "fine")
PRESETS = ("clean", "fmost", "lightsheet")
SHAPE: Zyx = (192, 320, 320)
SEED = 62_000  # of no training; the rule was chosen on others
NEURONS = 1.0  # per million voxels
LEAST = 4.0
STEPS = (4.0, 8.0, 16.0, 32.0)
"""SNR from which on a step counts."""

REAL = {
    "cellfinder_cells": "5,2,2",
    "cellfinder_edge": "5,2,2",
    "dlmb_meninges": "2,1,1",
    "dlmb_puncta": "2,1,1",
}
"""Voxel sizes in µm of real volumes; of the last two they are not known, and a guess."""

RADII = "5,15"
"""Of real volumes, in µm: their voxels are up to 5 µm high."""


def brain_of(kind: str, name: str, shape: Zyx, seed: int) -> SyntheticBrain:
    """Return a synthetic brain of one set and preset."""
    params = preset(name)
    clutter, morphology = params.clutter, replace(params.morphology, neurons=NEURONS)
    if kind != "preset":
        clutter = replace(clutter, soma_snr=(LEAST, 100.0))
    if kind in ("modest", "fine"):
        morphology = replace(morphology, snr=((1.0, 1.0, 2.0),))
    if kind == "fine":
        clutter = replace(clutter, soma_radius=(8.0, 14.0))
        morphology = replace(morphology, neurons=NEURONS / 3)
    params = replace(params, clutter=clutter, morphology=morphology)
    return SyntheticBrain(shape, params, seed)


def written(brain: SyntheticBrain, path: Path, size: float, block: int) -> None:
    """Write the image of a brain as OME-Zarr."""
    spec = PyramidSpec(
        uri=str(path.absolute()),
        shape=brain.shape,
        block=(block,) * 3,
        dtype="uint16",
        space=Space((size,) * 3, "micrometer"),
        reduce="mean",
    )
    create_output(spec)
    writer = PyramidWriter(spec)
    for one in spec.grid:
        writer.write_block(one.write_roi, brain.image(one.write_roi))
    for level, grid in spec.second_pass_grids():
        for one in grid:
            writer.write_level_block(level, one.index)


def blockseg(*words: str) -> float:
    """Run a command; return its seconds."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "blockseg_cli", *words, "-q"]
    subprocess.run(command, check=True)
    return time.perf_counter() - begun


def matched(
    bodies: Somata, found: NDArray[np.float64], size: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return for each soma the row that finds it, -1 for none, and its distance in µm."""
    rows = np.full(len(bodies.radius), -1)
    away = np.full(len(bodies.radius), np.nan)
    free = np.ones(len(found), bool)
    for number in np.argsort(-bodies.amplitude, kind="stable"):
        gap = np.linalg.norm(found - bodies.position[number] * size, axis=1)
        gap = np.where(free, gap, np.inf)
        if len(gap) and gap.min() <= bodies.radius[number] * size:
            rows[number], away[number] = int(gap.argmin()), gap.min()
            free[rows[number]] = False
    return rows, away


def score(kind: str, name: str, shape: Zyx, seed: int, folder: Path) -> dict[str, Any]:
    """Return what one brain gives."""
    brain = brain_of(kind, name, shape, seed)
    size = 0.5 if kind == "fine" else 1.0
    source, out = folder / "brain.zarr", folder / "out.zarr"
    for old in (source, out):
        shutil.rmtree(old, ignore_errors=True)
    written(brain, source, size, min(128, *shape))
    blockseg("run", str(source), str(out))
    blockseg("label", str(out))
    seconds = blockseg("label", str(out), "--somata")
    with (out / "tables/somata.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    names = ("z_um", "y_um", "x_um")
    found = np.array([[float(row[n]) for n in names] for row in table]).reshape(-1, 3)
    bodies = brain.tracing.somata
    bodies = bodies.chosen(brain.inside(bodies.position))
    rows, away = matched(bodies, found, size)
    snr = bodies.amplitude / brain.params.contrast_unit
    bright = snr >= LEAST
    hit = rows >= 0
    radius = np.array([float(row["radius_um"]) for row in table])
    ratio = radius[rows[hit]] / (bodies.radius[hit] * size)
    return {
        "set": kind,
        "preset": name,
        "seed": seed,
        "steps": [
            [int((step & bright).sum()), int((step & bright & hit).sum())]
            for step in (
                (snr >= low) & (snr < high)
                for low, high in itertools.pairwise((*STEPS, np.inf))
            )
        ],
        "somata": int(bright.sum()),
        "found": int((hit & bright).sum()),
        "rows": len(table),
        "right": int(hit.sum()),
        "distance_um": float(np.nanmean(away)) if hit.any() else None,
        "radius_ratio": float(np.median(ratio)) if hit.any() else None,
        "seconds": seconds,
    }


def counted(image: Path, size: str, folder: Path) -> dict[str, Any]:
    """Return what a real volume gives."""
    out = folder / "out.zarr"
    shutil.rmtree(out, ignore_errors=True)
    blockseg("run", str(image), str(out), "--voxel-size", size)
    blockseg("label", str(out))
    seconds = blockseg("label", str(out), "--somata", "--soma-radius", RADII)
    with (out / "tables/somata.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    radius = [float(row["radius_um"]) for row in table]
    return {
        "volume": image.parent.name,
        "voxel_size_um": size,
        "rows": len(table),
        "in_objects": sum(row["object"] != "0" for row in table),
        "radius_um": float(np.median(radius)) if radius else None,
        "seconds": seconds,
    }


def summary(brains: list[dict[str, Any]]) -> dict[str, Any]:
    """Return recall and precision of some brains together."""
    names = ("somata", "found", "rows", "right")
    total = {n: sum(row[n] for row in brains) for n in names}
    steps = np.sum([row["steps"] for row in brains], axis=0)
    return total | {
        "recall": round(total["found"] / max(total["somata"], 1), 3),
        "precision": round(total["right"] / max(total["rows"], 1), 3),
        "recall_by_snr": {
            f"{low:g}": round(float(found / many), 3) if many else None
            for low, (many, found) in zip(STEPS, steps, strict=True)
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("bench-somata"))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true", help="one tiny brain")
    parser.add_argument("--threads", type=int, help="ignored; for the test")
    parser.add_argument("--sets", nargs="*", choices=SETS, default=SETS)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--real", type=Path, help="folder with volumes of REAL")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    shape: Zyx = (64, 128, 128) if given.quick else SHAPE
    sets: tuple[str, ...] = tuple(given.sets)
    presets: tuple[str, ...] = PRESETS
    seeds = given.seeds
    if given.quick:
        sets, presets, seeds = sets[:1], ("clean",), 1
    found: dict[str, Any] = {"brains": [], "real": []}
    if given.json and given.json.exists():
        found |= json.loads(given.json.read_text())
    found |= {"machine": machine(), "shape": shape}
    brains = [row for row in found["brains"] if row["set"] not in sets]
    for kind in sets:
        for name in presets:
            for seed in range(SEED, SEED + seeds):
                brains.append(score(kind, name, shape, seed, given.folder))
                print(json.dumps(brains[-1]), flush=True)
    found["brains"] = brains
    found["summary"] = {
        kind: {
            name: summary(rows)
            for name in (*PRESETS, "all")
            if (
                rows := [
                    row
                    for row in brains
                    if row["set"] == kind and name in ("all", row["preset"])
                ]
            )
        }
        for kind in SETS
        if any(row["set"] == kind for row in brains)
    }
    for kind, rows in found["summary"].items():
        print(kind, json.dumps(rows["all"]), flush=True)
    if given.real:
        found["real"] = []
        for name, size in REAL.items():
            image = given.real / name / "image.tif"
            if not image.exists():
                print(f"{name}: left out, {image.name} is absent", flush=True)
                continue
            found["real"].append(counted(image, size, given.folder))
            print(json.dumps(found["real"][-1]), flush=True)
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""Compare weights with each other and with filters, on truth that no training saw.

    python -m benchmarks.accuracy.bench_accuracy [--weights NAME=FILE ...] [--gains 1,2]
        [--thresholds 0.25,...]
        [--annotated NAME=IMAGE.tif,LABEL.tif,SLICE[,SLICE...] ...]
        [--negative NAME=IMAGE.tif ...] [--real FOLDER] [--brains 3] [--whole 4]
        [--filters all|none] [--json FILE]

Networks have one fixed setting, that of ``blockseg run``, and the shipped weights those
of --thresholds besides; filters are told the best
threshold of each set by its truth, and top-hats are shown a second time by one rule for all
volumes, b + 4 s of the response's own background (``accuracy_methods.fixed``). F1 is that of
centrelines within 2 voxels, with the 95 % interval over blocks; in an SNR bin: recall in the
bin, precision over all.
On empty tissue filters are shown twice: at the threshold that was best for the preset, and
(``=``) at the one with which they find the same share of its true voxels as the first
weights do.
Brains of a preset are 96×160×160 voxels, with more neurites than a brain has; those "as
made" are 128×256×256 as ``blockseg synth`` makes them; of those of "every 3rd plane" the
others were left out, so that neurites are thin along z and hardly blurred there.
LABEL holds 1 on background and 2 on neurites; other values are unknown.

--real adds real volumes (``accuracy_real``), in tables of their own. In annotated planes a
true centreline voxel is found if something is painted within 2 voxels of it, in the plane or
in 3-D, and a predicted one is right within 2 voxels of the annotation; "beside" is the share
of what is missed in the plane that is painted in a plane beside. Surface distances are in
voxels, "painted" the share of the known background. Filters told by truth keep the threshold
of ``lightsheet`` where neurites or background are unknown. "By hand" is what adapting would
still bring a network: its best F1 over gains × 0.5, 1, 2, 4, 8 and thresholds .3, .5, .7,
less its own.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import ndimage

from benchmarks.accuracy.accuracy_methods import Method, classical, weights
from benchmarks.accuracy.accuracy_real import (
    by_hand,
    judged_by,
    knows_background,
    real_sets,
    table,
)
from benchmarks.accuracy.accuracy_scenes import (
    TOLERANCE,
    Scene,
    annotated,
    negative,
    synthetic_sets,
)
from blockseg.morphology.measures import OF_PLANES, measure
from blockseg.networks.shipped import default_weights

_CANDIDATES = 14  # thresholds that a filter is offered


def best_threshold(responses: list[np.ndarray], scenes: list[Scene]) -> float:
    """Return the threshold with the best voxel F1 within the tolerance."""
    known = np.concatenate(
        [r[s.counts][::7] for r, s in zip(responses, scenes, strict=True)]
    )
    offered = np.quantile(known, 1 - np.geomspace(0.0005, 0.3, _CANDIDATES))
    best = (-1.0, 0.0)
    for level in np.unique(offered):
        parts = [s.near_f1(r >= level) for r, s in zip(responses, scenes, strict=True)]
        right, predicted, found, true = (sum(p) for p in zip(*parts, strict=True))
        precision, recall = right / max(predicted, 1), found / max(true, 1)
        best = max(
            best, (2 * precision * recall / max(precision + recall, 1e-9), level)
        )
    return float(best[1])


def equal_recall(
    responses: list[np.ndarray], scenes: list[Scene], recall: float
) -> float:
    """Return the highest threshold that finds a share of the true voxels."""
    z, y, x = np.ogrid[-2:3, -2:3, -2:3]
    ball = z**2 + y**2 + x**2 <= TOLERANCE**2
    # A true voxel is found if the highest response within the tolerance is.
    highest = [
        ndimage.maximum_filter(r, footprint=ball)[s.true & s.counts]
        for r, s in zip(responses, scenes, strict=True)
    ]
    level = np.quantile(np.concatenate(highest), 1 - recall, method="lower")
    return float(level)


def score(
    method: Method,
    scenes: list[Scene],
    told: float | None,
    recall: float | None = None,
    equal: float | None = None,
) -> dict[str, Any]:
    """Return all numbers of one method on one set.

    Parameters
    ----------
    method, scenes
        What is scored, and on what.
    told
        The threshold, where the method has none of its own and the set has no truth.
    recall
        For which share of true voxels found the threshold is sought.
    equal
        The threshold that was so found, for a set without truth.
    """
    responses = [method.response(scene.image) for scene in scenes]
    level = method.threshold if method.threshold is not None else told
    empty = not any(scene.true.any() for scene in scenes)
    if level is None:
        level = best_threshold(responses, scenes)
    masks = [r >= level for r in responses]
    voxels = sum(int(scene.counts.sum()) for scene in scenes)
    pairs = list(zip(scenes, masks, strict=True))
    out: dict[str, Any] = {
        "threshold": float(level),
        "painted_share": sum(int((m & s.counts).sum()) for s, m in pairs) / voxels,
        "painted_background": sum(int((m & s.counts & ~s.true).sum()) for s, m in pairs)
        / max(1, sum(int((s.counts & ~s.true).sum()) for s in scenes)),
        "painted_of_volume": sum(int(m.sum()) for m in masks)
        / sum(m.size for m in masks),
        "false_per_100_cubed": sum(s.false_components(m) for s, m in pairs)
        / voxels
        * 1e6,
    }
    if empty:
        if equal is not None:
            out["painted_at_equal_recall"] = (
                sum(
                    int(((r >= equal) & s.counts).sum())
                    for s, r in zip(scenes, responses, strict=True)
                )
                / voxels
            )
        return out
    if recall is not None and method.threshold is None:
        out["equal_recall_threshold"] = equal_recall(responses, scenes, recall)
    rows = np.array([row for s, m in pairs for row in s.rows(m)])
    planes = any(scene.planes for scene in scenes)
    for found in measure(rows):
        if found.name == "painted_share" or (found.name in OF_PLANES and not planes):
            continue
        out[found.name] = found.value
        if found.name == "centreline_f1":
            out["interval"] = [found.low, found.high]
        elif found.name == "f1_in_plane":
            out["interval_in_plane"] = [found.low, found.high]
    return out


def line(name: str, scores: dict[str, dict[str, Any]]) -> str:
    """Return one row of the table."""
    cells = []
    for of_set in scores.values():
        if "centreline_f1" not in of_set:
            text = f"{of_set['painted_share']:8.2%}{of_set['false_per_100_cubed']:7.1f}"
            if "painted_at_equal_recall" in of_set:
                text += f" ={of_set['painted_at_equal_recall']:.2%}"
            cells.append(text)
            continue
        low, high = of_set["interval"]
        text = f"{of_set['centreline_f1']:6.3f} ({low:.2f}-{high:.2f})"
        # A set without SNR has no bins; the first is below what can be seen.
        if not np.isnan(of_set.get("snr_f1_2", np.nan)):
            text += f"{of_set['snr_f1_2']:7.3f}"
        elif "snr_f1_3" in of_set and not np.isnan(of_set["snr_f1_3"]):
            text += f"{'–':>7}"
        if not np.isnan(of_set.get("snr_f1_3", np.nan)):
            text += f"{of_set['snr_f1_3']:7.3f}"
        cells.append(text)
    return f"{name:34.34}" + " |".join(cells)


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--gains", default="1", help="factors on the gain of --weights")
    parser.add_argument("--thresholds", default="", help="more, of the shipped weights")
    parser.add_argument("--annotated", action="append", default=[])
    parser.add_argument("--negative", action="append", default=[])
    parser.add_argument("--real", type=Path, metavar="FOLDER", help="of real volumes")
    parser.add_argument(
        "--brains", type=int, default=3, help="of each preset, dense; 0: none"
    )
    parser.add_argument("--whole", type=int, default=4, help="of each preset, as made")
    parser.add_argument("--filters", choices=("all", "none"), default="all")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    sets = synthetic_sets(given.brains, given.whole) if given.brains else {}
    for item in given.annotated:
        name, rest = item.split("=", 1)
        image, label, *slices = rest.split(",")
        sets[name] = [annotated(image, label, tuple(int(z) for z in slices))]
    for item in given.negative:
        name, image = item.split("=", 1)
        sets[name] = [negative(image)]
    real, absent = real_sets(given.real) if given.real else ({}, [])
    shipped = str(default_weights())
    methods = [weights(shipped, "shipped weights", threads=given.threads)]
    for threshold in filter(None, given.thresholds.split(",")):
        title = f"shipped weights, threshold {threshold}"
        level = float(threshold)
        methods.append(weights(shipped, title, threshold=level, threads=given.threads))
    for item in given.weights:
        name, path = item.split("=", 1)
        for gain in (float(g) for g in given.gains.split(",")):
            title = name if gain == 1 else f"{name}, gain × {gain:g}"
            methods.append(weights(path, title, gain, threads=given.threads))
    if given.filters == "all":
        methods += classical()
    sys.stdout.write(f"{platform.processor() or platform.machine()}, {__doc__}\n")
    sys.stdout.write(f"{'':34}{' | '.join(sets)}\n")
    results: dict[str, dict[str, dict[str, Any]]] = {}
    recalls: dict[str, float] = {}
    for method in methods:
        results[method.name] = scores = {}
        told: dict[str, float] = {}
        equal: dict[str, float] = {}
        for name, scenes in sets.items():
            # Where there is no neurite, a filter keeps the threshold of its preset.
            of = name.removesuffix(", empty")
            scores[name] = score(
                method, scenes, told.get(of), recalls.get(name), equal.get(of)
            )
            if name in ("fmost", "lightsheet"):
                told[name] = scores[name]["threshold"]
                recalls.setdefault(name, scores[name]["near_recall"])
                if "equal_recall_threshold" in scores[name]:
                    equal[name] = scores[name]["equal_recall_threshold"]
        sys.stdout.write(line(method.name, scores) + "\n")
        sys.stdout.flush()
        for name, scene in real.items():
            judged = knows_background(scene)
            by_preset = None if judged else told.get("lightsheet")
            scores[name] = of_set = score(method, [scene], by_preset)
            if judged:
                of_set |= by_hand(method, scene, of_set[judged_by(scene)])
    for text in (*table(results, real), *absent):
        sys.stdout.write(f"{text}\n")
    if given.json:
        given.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()

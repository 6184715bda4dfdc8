"""What ``--sparse`` may skip: speed and separation of the score, and what is lost.

    python -m benchmarks.run.bench_sparse            # ten synthetic brains, 200 draws each
    python -m benchmarks.run.bench_sparse --brains 1 # one of them anew; what is kept stays
    python -m benchmarks.run.bench_sparse --quick    # a tiny one in cubes of 32, to see it work
    python -m benchmarks.run.bench_sparse --score path-opening   # instead of the scout

1. Voxels/s of CPU time that the score passes, beside a white top-hat, in turns.
2. How well the score and top-hats tell cubes with any foreground, by the
   network, from those without: the area under the curve, each brain by itself.
3. Surveys as ``--sparse`` makes them, drawn again and again on brains that were inferred
   whole: how often nothing is skipped, how much is, and what is lost with it: of what
   counts as foreground, of true neurites that the network finds, in specks. ``faster``
   are multiply-adds without over those with ``--sparse``, the survey's included. The
   first brains are that of bench_run, 5 % of whose cubes hold dense neurites, one of few
   whole axons, and one of few bright ones. ``best`` is the share of tiles that a bound
   that knew everything could skip, ``at_loss`` the same where more may be lost, and
   ``no_evidence`` what knowing the pieces could.
4. The same on drawn numbers: 2000 cubes, 6 % of them occupied, 5 % faint, that is
   with 1 to 19 voxels of foreground; 60 inferred.

Three numbers are median, least and most. Prints JSON, and writes it after each part to
benchmarks/run/results/sparse.json; with ``--quick`` only where ``--json`` says.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from benchmarks.infer.infer_machine import machine
from benchmarks.run.run_brains import FEW, OCCUPIED, SEED
from blockseg.blockwise.sources.inputs import Inputs, memory_source, read_weights
from blockseg.config.settings import RunSettings
from blockseg.core.cubes import EDGE, TILE, cube_counts, voxels_of
from blockseg.core.geometry import Roi, Zyx, to_zyx
from blockseg.core.grid import BlockGrid
from blockseg.core.specs import Affine, ScoutSpec
from blockseg.inference.components import LENGTH, long_components
from blockseg.inference.skip_calibration import (
    FEWEST,
    LOSS,
    Inferred,
    SkipCalibration,
    choose_threshold,
)
from blockseg.inference.tile_scores.path_opening import path_opening_score
from blockseg.inference.tile_scores.scout import Scout, shipped_scout
from blockseg.networks.cost import margin_cost
from blockseg.networks.shipped import default_weights
from blockseg.normalization.affine import normalize
from blockseg.segmentation.decisions import decide
from blockseg.segmentation.predict import predict
from blockseg.segmentation.sparse.cube import what_it_holds
from blockseg.segmentation.sparse.decisions import surveyed
from blockseg.segmentation.sparse.survey import Group, Survey
from blockseg.segmentation.sparse.windows import cheapest_window
from blockseg.synthetic.brain import SyntheticBrain
from blockseg.synthetic.presets import preset

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from blockseg.blockwise.planning.decisions import Decisions

RESULTS = Path(__file__).parent / "results"
POPULATIONS = (5, 6, 7)
LOSSES = (0.001, 0.002, 0.005, 0.01)


@dataclass(frozen=True)
class Brain:
    """A synthetic brain with few neurites."""

    preset: str
    shape: Zyx
    axons: float
    """Voxels of path a million voxels."""
    neurons: float
    """A million voxels."""
    seed: int

    occupied: float = 0.0
    """Share of the cubes with neurites, which are dense there; of whole brains 0."""

    def made(self) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
        """Return the image, and where its neurites are."""
        if not self.occupied:
            return self._painted(self.axons, self.neurons)
        image, _ = self._painted(0.0, 0.0)
        dense, neurites = self._painted(DENSE, preset(self.preset).morphology.neurons)
        counts = cube_counts(self.shape, EDGE)
        count = int(np.prod(counts))
        order = np.random.default_rng(self.seed).permutation(count)
        chosen = (order < max(1, round(self.occupied * count))).reshape(counts)
        there = chosen.repeat(EDGE, 0).repeat(EDGE, 1).repeat(EDGE, 2)
        return np.where(there, dense, image), there & neurites

    def _painted(
        self, axons: float, neurons: float
    ) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
        params = preset(self.preset)
        few = replace(params.morphology, axon_density=axons, neurons=neurons)
        made = SyntheticBrain(self.shape, replace(params, morphology=few), self.seed)
        image = np.empty(self.shape, np.uint16)
        neurites = np.empty(self.shape, bool)
        for block in made.blocks():
            image[block.roi.slices()] = block.image
            neurites[block.roi.slices()] = block.mask > 0
        return image, neurites


DENSE = 900.0  # as in run_brains
TARGET = (256, 512, 512)
BRAINS = (
    Brain("fmost", TARGET, 0.0, 0.0, SEED, OCCUPIED),
    Brain("fmost", (256, 1024, 1024), FEW["few"][1], 0.0, SEED),
    Brain("clean", (256, 1024, 1024), FEW["bright"][1], 0.0, SEED),
    Brain("fmost", TARGET, 0.0, 0.0, SEED + 1, OCCUPIED),
    Brain("fmost", TARGET, 0.0, 0.0, SEED + 2, OCCUPIED),
    Brain("clean", (256, 384, 384), 25.0, 0.0, 3),
    Brain("fmost", (192, 256, 256), 6.0, 0.01, 0),
    Brain("fmost", (192, 256, 256), 6.0, 0.01, 1),
    Brain("fmost", (192, 256, 256), 40.0, 0.0, 3),
    Brain("lightsheet", (128, 256, 256), 15.0, 0.002, 0),
)
QUICK = (Brain("clean", (64, 128, 128), 150.0, 0.0, 3),)


def speeds(edge: int, repeat: int) -> dict[str, Any]:
    """Return million voxels a second of CPU time."""
    raw = np.random.default_rng(0).normal(200, 20, (edge,) * 3).astype(np.uint16)
    roi, affine = Roi.whole(raw.shape), Affine(200.0, 20.0)
    normal = np.empty(raw.shape, np.float32)

    def top_hat() -> None:
        normalize(raw, affine, normal, roi.start)
        ndimage.white_tophat(normal, 5)

    scout = Scout(shipped_scout(1.0), affine, raw.shape)
    ways: dict[str, Callable[[], object]] = {
        "scout": lambda: scout.score(raw, roi, roi),
        "evidence": lambda: path_opening_score(raw, roi, roi, affine, raw.shape),
        "normalise, top-hat 5³": top_hat,
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeat + 1):
        for name, work in ways.items():
            begun = time.process_time()
            work()
            taken[name].append(raw.size / 1e6 / (time.process_time() - begun))
    return {name: spread(rates[1:]) for name, rates in taken.items()}


def spread(values: Sequence[float]) -> list[float] | None:
    """Return median, least and most, to four digits."""
    if not values:
        return None
    return [float(f"{f(values):.4g}") for f in (np.median, np.min, np.max)]


def statistics(cube: NDArray[np.float32]) -> dict[str, float]:
    """Return what else could tell that a normalised cube holds foreground."""
    n = len(cube) // 2
    pooled = cube.reshape(n, 2, n, 2, n, 2).mean(axis=(1, 3, 5))
    level = _above_tiles(pooled, TILE // 2)
    opened = ndimage.white_tophat(cube, 5)
    return {
        "second largest": _ranked(level, 2),
        "sixth largest": _ranked(level, 6),
        "not averaged": _ranked(_above_tiles(cube, TILE), 4),
        "top-hat 3³ of averaged": _ranked(ndimage.white_tophat(pooled, 3), 4),
        "top-hat 5³, 8th": _ranked(opened, 8),
        "top-hat 5³, 32nd": _ranked(opened, 32),
    }


def _above_tiles(values: NDArray[np.float32], tile: int) -> NDArray[np.float32]:
    n = len(values) // tile
    tiles = values.reshape(n, tile, n, tile, n, tile).transpose(0, 2, 4, 1, 3, 5)
    tiles = tiles.reshape(n**3, tile**3)
    above: NDArray[np.float32] = tiles - np.median(tiles, axis=1, keepdims=True)
    return above


def _ranked(values: NDArray[np.float32], rank: int) -> float:
    return float(np.partition(values.ravel(), values.size - rank)[-rank])


def area(values: NDArray[np.float64], holds: NDArray[np.bool_]) -> float | None:
    """Return the area under the curve; None where cubes are all of one kind."""
    if holds.all() or not holds.any():
        return None
    more = values[holds][:, None] - values[~holds]
    return round(float((more > 0).mean() + (more == 0).mean() / 2), 4)


class KnownSurvey(Survey):
    """The survey of ``--sparse``, of a volume that is known."""

    def __init__(
        self,
        inputs: Inputs,
        decisions: Decisions,
        edge: int,
        foreground: NDArray[np.bool_],
        scout: ScoutSpec | None,
    ) -> None:
        self._seen: dict[Zyx, Group | None] = {}
        super().__init__(inputs, decisions, edge, None, scout)
        volume = inputs.source.volume
        counts = cube_counts(volume.shape, edge)
        self.tiles = np.empty(cube_counts(volume.shape, TILE), np.float32)
        """Evidence of all tiles."""
        self.cubes: dict[Zyx, Inferred] = {}
        """All of them, by position."""
        for part in self._grid(counts):
            group = self._group(part.write_roi)
            if group is None:
                raise AssertionError(part.write_roi)
            corner = [i * edge // TILE for i in group.box.start]
            self.tiles[Roi.whole(group.tiles.shape).shifted(corner).slices()] = (
                group.tiles
            )
            for index in np.ndindex(group.cubes.shape):
                place = to_zyx(np.add(index, group.box.start))
                one = Roi(place, to_zyx(i + 1 for i in place))
                cube = voxels_of(one, volume.shape, edge)
                each = edge // TILE
                near = group.tiles[
                    tuple(slice(i * each, (i + 1) * each) for i in index)
                ]
                found = foreground[cube.slices()]
                value = float(group.cubes[index])
                self.cubes[place] = what_it_holds(
                    found, cube, volume.shape, value, near, 0
                )
        self._counts = counts

    @staticmethod
    def _grid(counts: Zyx) -> BlockGrid:
        return BlockGrid(counts, (2, 2, 2))

    def drawn_with(self, seed: int) -> tuple[list[Inferred], SkipCalibration]:
        """Look and draw cubes as the survey does, with another seed."""
        self._rng = np.random.default_rng(seed)
        self._left = []
        self.groups = self._look(self._grid(self._counts))
        return surveyed(self, workers=1)

    def _group(self, cubes: Roi) -> Group | None:
        if cubes.start not in self._seen:
            self._seen[cubes.start] = super()._group(cubes)
        return self._seen[cubes.start]

    def _infer(self, drawn: Sequence[tuple[Zyx, float, int]]) -> list[Inferred]:
        return [replace(self.cubes[place], stratum=n) for place, _, n in drawn]


def brain_row(
    brain: Brain, edge: int, draws: int, settings: RunSettings, score: str
) -> dict[str, Any]:
    """Infer a brain, and return how well its cubes are told and what is lost."""
    raw, neurites = brain.made()
    roi = Roi.whole(raw.shape)
    weights = read_weights(settings)
    inputs = Inputs(memory_source(raw), Path(), roi, weights, None, settings)
    decisions = decide(inputs)
    foreground = predict(raw, settings) >= decisions.threshold
    scout = shipped_scout(inputs.info.gain) if score == "scout" else None
    survey = KnownSurvey(inputs, decisions, edge, foreground, scout)
    places = list(np.ndindex(cube_counts(raw.shape, edge)))
    cubes = [survey.cubes[place] for place in places]
    pieces, _ = long_components(foreground, roi, raw.shape)
    counts = pieces > 0
    kinds = {
        "foreground": counts,
        "true": counts & neurites,
        "specks": foreground & ~counts,
    }
    held = {name: in_cubes(mask, TILE) for name, mask in kinds.items()}
    in_cube = {name: in_cubes(kinds[name], edge) for name in ("foreground", "true")}
    columns: dict[str, list[float]] = {"evidence": [cube.score for cube in cubes]}
    normal = np.empty((edge,) * 3, np.float32)
    for place in places:
        cube_roi = voxels_of(Roi(place, to_zyx(i + 1 for i in place)), raw.shape, edge)
        normalize(raw[cube_roi.slices()], decisions.affine, normal, cube_roi.start)
        for name, value in statistics(normal).items():
            columns.setdefault(name, []).append(value)
    return {
        **asdict(brain),
        "score": score,
        "foreground": round(float(foreground.mean()), 7),
        "cubes": len(cubes),
        "cubes_with_foreground": int(np.count_nonzero(in_cube["foreground"])),
        "cubes_with_true": int(np.count_nonzero(in_cube["true"])),
        "in_specks": round(float(held["specks"].sum() / foreground.sum()), 5),
        "specks_true": round(
            float((kinds["specks"] & neurites).sum() / (foreground & neurites).sum()), 5
        ),
        "area": {
            name: area(np.array(v), in_cube["foreground"] > 0)
            for name, v in columns.items()
        },
        **losses(survey, inputs, decisions, held, draws),
    }


def in_cubes(mask: NDArray[np.bool_], edge: int) -> NDArray[np.int64]:
    """Count voxels in each cube, in C order."""
    z, y, x = (n // edge for n in mask.shape)
    cubes = mask.reshape(z, edge, y, edge, x, edge)
    return np.asarray(cubes.sum(axis=(1, 3, 5)).ravel())


def work(window: Zyx) -> float:
    """Return multiply-adds of SDASN for each voxel that windows write."""
    return margin_cost("sdasn", None, window)


def losses(
    survey: KnownSurvey,
    inputs: Inputs,
    decisions: Decisions,
    held: dict[str, NDArray[np.int64]],
    draws: int,
) -> dict[str, Any]:
    """Draw surveys, and return what each would skip and lose."""
    values = survey.tiles.ravel()
    order, counts = np.argsort(values), held["foreground"]
    lost, fewest = np.cumsum(counts[order]), np.cumsum(np.sort(counts))
    reasons = {"too few with foreground": 0, "too faint": 0, "does not pay": 0}
    rows: dict[str, list[float]] = {
        name: [] for name in ("skipped", "lost", "true_lost", "specks_lost", "faster")
    }
    for seed in range(draws):
        cubes, chosen = survey.drawn_with(seed)
        if chosen.with_foreground < FEWEST:
            reasons["too few with foreground"] += 1
        elif chosen.threshold is None:
            reasons["too faint"] += 1
        else:
            cover = cheapest_window(survey, chosen.threshold, inputs, decisions)
            if not cover.pays:
                reasons["does not pay"] += 1
                continue
            empty = values <= chosen.threshold
            rows["skipped"].append(float(empty.mean()))
            for name, kind in (("lost", "foreground"), ("true_lost", "true")):
                share = held[kind][empty].sum() / max(held[kind].sum(), 1)
                rows[name].append(float(share))
            rows["specks_lost"].append(float(held["specks"][empty].sum()))
            inferred = len(cubes) / len(survey.cubes) * work((survey.edge,) * 3)
            sparse = cover.computed * work(cover.window) + inferred
            rows["faster"].append(work(decisions.window) / sparse)
    return {
        "best": skippable(lost, LOSS),
        "at_loss": {loss: skippable(lost, loss) for loss in LOSSES},
        "no_evidence": skippable(fewest, LOSS),
        "inferred": len(cubes),
        "draws": draws,
        "off": reasons,
        **{name: spread(found) for name, found in rows.items()},
        "lost_too_much": sum(share > LOSS for share in rows["lost"]),
    }


def skippable(lost: NDArray[np.int64], loss: float) -> float:
    """Return the share of tiles that may go, of tiles whose losses were added up."""
    return round(float((lost <= loss * lost[-1]).mean()), 4)


def outcome(skipped: list[float], lost: list[float]) -> dict[str, Any]:
    """Sum up the draws in which something is skipped."""
    return {
        "skipped": spread(skipped),
        "lost": spread(lost),
        "lost_too_much": sum(share > LOSS for share in lost),
    }


def population_row(seed: int, draws: int) -> dict[str, Any]:
    """Draw cubes of known, rarely faint foreground, and a bound again and again."""
    rng, count = np.random.default_rng(seed), 2000
    held = np.where(rng.random(count) < 0.06, rng.integers(200, 4000, count), 0)
    faint = (held == 0) & (rng.random(count) < 0.05)
    held[faint] = rng.integers(1, 20, faint.sum())
    values = rng.normal(1.7, 0.1, count)
    values += np.where(faint, 0.8, 0) + np.where(held > 100, 8, 0)
    values = values.astype(np.float32)  # as score is
    best, off = np.argsort(-values), 0
    skipped, lost = [], []
    for _ in range(draws):
        cubes, sizes = [], []
        for number, (a, b) in enumerate(((0, 125), (125, 500), (500, 2000))):
            for i in rng.choice(best[a:b], 20, replace=False):
                here = held[i : i + 1][held[i : i + 1] > 0]
                near = np.full(len(here), values[i])
                faintest = float(values[i]) if len(here) else np.inf
                cubes.append(
                    Inferred(float(values[i]), near, here, 0 * here, number, faintest)
                )
            sizes.append(float(b - a))
        bound = choose_threshold(cubes, sizes).threshold
        if bound is None:
            off += 1
            continue
        skipped.append(float((values <= bound).mean()))
        lost.append(float(held[values <= bound].sum() / held.sum()))
    return {
        "seed": seed,
        "cubes_with_foreground": float((held > 0).mean()),
        "draws": draws,
        "off": off,
        **outcome(skipped, lost),
    }


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--score", choices=["scout", "path-opening"], default="scout")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--weights", type=Path, default=default_weights())
    parser.add_argument("--json", type=Path)
    parser.add_argument("--brains", type=int, nargs="+", metavar="N", help="from 0")
    options = parser.parse_args()
    target = options.json or (None if options.quick else RESULTS / "sparse.json")
    edge, draws = (32, 5) if options.quick else (EDGE, options.draws)
    data: dict[str, Any] = {"machine": machine(), "edge": edge}
    data["weights"] = _digest(options.weights)
    data["shortest"] = LENGTH
    settings = RunSettings(threads=options.threads, weights=str(options.weights))

    def keep(part: str, found: list[Any] | dict[str, Any]) -> None:
        data[part] = found
        newest = found[-1] if isinstance(found, list) else found
        print(f"{part}: {json.dumps(newest, ensure_ascii=False)}", flush=True)
        if target is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")

    rows: list[dict[str, Any]] = []
    if options.brains is None:
        keep("speed", speeds(64 if options.quick else 128, 2 if options.quick else 15))
        drawn: list[dict[str, Any]] = []
        for seed in POPULATIONS[:1] if options.quick else POPULATIONS:
            drawn.append(population_row(seed, draws))
            keep("population", drawn)
    elif target is not None and target.exists():
        kept = json.loads(target.read_text())
        if kept["weights"] != data["weights"]:
            parser.error(f"{target} is of other weights; leave out --brains")
        data, rows = kept, kept["brains"]
    every = QUICK if options.quick else BRAINS
    for brain in (
        every if options.brains is None else [every[n] for n in options.brains]
    ):
        begun = time.process_time()
        row = brain_row(brain, edge, draws, settings, options.score)
        if _digest(options.weights) != data["weights"]:
            parser.error(f"{options.weights} was replaced meanwhile; run it again")
        same = json.loads(json.dumps(asdict(brain) | {"score": options.score})).items()
        rows = [old for old in rows if not same <= old.items()]
        rows.append({**row, "cpu_seconds": round(time.process_time() - begun, 1)})
        keep("brains", rows)


if __name__ == "__main__":
    main()

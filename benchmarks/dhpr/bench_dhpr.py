"""Which rule picks the blocks from whose annotation a network learns most.

    python -m benchmarks.dhpr.bench_dhpr                       # all seeds, rules and budgets
    python -m benchmarks.dhpr.bench_dhpr --seeds 0 --budgets 10 --rules dhpr random
    python -m benchmarks.dhpr.bench_dhpr --quick               # two tiny rows, to see it work

A brain of ten regions, from empty to dense, from bright to dim, with puncta, cells,
streaks and edges, is segmented by weights that have seen bright neurites only. Each rule
picks blocks of 32³ by the metrics of that run; their truth is what an annotator would
draw. The same weights are fine-tuned on them for the same number of steps by `blockseg
train`, and score on another brain of the same regions, by SNR.

Each row (seed, rule, budget) is a line of FOLDER/rows.jsonl: what was stopped goes on.
Writes benchmarks/dhpr/results/dhpr.json and dhpr.png. Seeds 0 to 5 are fixed and were looked at
only when the rule was; it was tuned on 900 and above.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from benchmarks.dhpr import dhpr_brains as brains
from benchmarks.dhpr import dhpr_curves as curves
from benchmarks.dhpr import dhpr_trial as trial
from blockseg.blockwise.record.record import machine_facts

if TYPE_CHECKING:
    from collections.abc import Callable

RESULTS = Path(__file__).parent / "results"
SEEDS = (0, 1, 2, 3, 4, 5)
BUDGETS = (10, 20, 40, 80)
MAIN = ("dhpr", "published", "entropy", "random", "foreground-random")
GUESS = 40.0  # seconds of a row, before one was measured
GUESS_BRAIN = 200.0  # seconds of making a brain and segmenting it

pool = lru_cache(maxsize=2)(trial.pool)


def prepared(folder: Path, seed: int, size: brains.Size) -> dict[str, float]:
    """Make a brain, and score the weights that everything starts from."""
    start = trial.start_weights(folder, size)
    made = pool(folder, seed, size)
    return {**trial.described(made), **trial.score(made, start)}


def trained(
    folder: Path, seed: int, size: brains.Size, chosen: list[int]
) -> dict[str, Any]:
    found: dict[str, Any] = trial.result(folder, pool(folder, seed, size), chosen)
    return found


class Here:
    """An executor that does everything at once, in this process."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to end."""

    def submit(self, function: Callable[..., Any], *given: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(function(*given))
        return done


class Rows:
    """Lines of a file, by what decides them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.found: dict[str, dict[str, Any]] = {}
        if path.exists():
            for line in path.read_text().splitlines():
                if line.endswith("}"):  # else a kill cut it
                    one = json.loads(line)
                    self.found[one["key"]] = one

    def add(self, key: str, row: dict[str, Any]) -> None:
        self.found[key] = {"key": key, **row}
        with self._path.open("a") as file:
            file.write(json.dumps(self.found[key]) + "\n")


def executor(processes: int) -> Here | ProcessPoolExecutor:
    if processes == 0:
        return Here()
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(processes, mp_context=context)


def run(
    folder: Path, wanted: list[trial.Row], size: brains.Size, processes: int
) -> tuple[list[dict[str, Any]], dict[int, dict[str, float]]]:
    """Return a row for each of what is wanted, and the start's score by seed."""
    trial.start_weights(folder, size)
    rows = Rows(folder / "rows.jsonl")
    seeds = sorted({row.seed for row in wanted})
    starts: dict[int, dict[str, float]] = {}
    with executor(processes) as workers:
        waiting = {}
        for seed in seeds:
            key = trial.key(seed, [], size)
            if key in rows.found:
                starts[seed] = rows.found[key]
            else:
                waiting[workers.submit(prepared, folder, seed, size)] = (seed, key)
        minutes = len(waiting) * GUESS_BRAIN / max(processes, 1) / 60
        print(f"{len(waiting)} brains to make: about {minutes:.0f} minutes", flush=True)
        for done in as_completed(waiting):
            seed, key = waiting[done]
            rows.add(key, {"seed": seed, "rule": "start", "budget": 0, **done.result()})
            starts[seed] = rows.found[key]
            print(f"brain {seed} made", flush=True)
        chosen = {
            row: trial.picks(pool(folder, row.seed, size), row)
            for row in sorted(wanted)
        }
        keys = {row: trial.key(row.seed, picks, size) for row, picks in chosen.items()}
        missing = {keys[r]: r for r in sorted(wanted) if keys[r] not in rows.found}
        known = [
            row["training_seconds"] + row["scoring_seconds"]
            for row in rows.found.values()
            if "picks" in row
        ]
        each = sum(known) / len(known) if known else GUESS
        minutes = len(missing) * each / max(processes, 1) / 60
        print(f"{len(missing)} rows to train: about {minutes:.0f} minutes", flush=True)
        jobs = {
            workers.submit(trained, folder, row.seed, size, chosen[row]): (key, row)
            for key, row in missing.items()
        }
        begun = time.perf_counter()
        for number, job in enumerate(as_completed(jobs), 1):
            key, row = jobs[job]
            one = {"seed": row.seed, "rule": row.rule, "budget": row.budget}
            rows.add(key, {**one, "picks": chosen[row], **job.result()})
            left = (time.perf_counter() - begun) / number * (len(jobs) - number) / 60
            f1 = rows.found[key]["centreline_f1"]
            print(
                f"seed {row.seed} {row.rule:20} {row.budget:3}: F1 {f1:.3f}; "
                f"{left:.0f} min left",
                flush=True,
            )
    found = [
        {
            **rows.found[keys[row]],
            "seed": row.seed,
            "rule": row.rule,
            "budget": row.budget,
        }
        for row in sorted(wanted)
    ]
    return found, starts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=SEEDS)
    parser.add_argument("--budgets", type=int, nargs="*", default=BUDGETS)
    parser.add_argument("--rules", nargs="*", default=MAIN, choices=list(trial.RULES))
    parser.add_argument("--processes", type=int, default=2, help="0: in this one")
    parser.add_argument("--pool", type=int, nargs=3, help="voxels of a region")
    parser.add_argument("--folder", type=Path, default=Path("/tmp/blockseg-dhpr"))
    parser.add_argument("--json", type=Path, default=RESULTS / "dhpr.json")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--threads", type=int, help="of nothing: each has one")
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes; they share the cores
    size = brains.QUICK if given.quick else brains.Size()
    if given.pool:
        size = replace(size, pool=tuple(given.pool))
    if given.quick:
        given.seeds, given.budgets, given.rules = (900,), (2,), ("dhpr", "random")
        given.processes = 0
    given.folder.mkdir(parents=True, exist_ok=True)
    wanted = [
        trial.Row(seed, budget, rule)
        for seed in given.seeds
        for budget in given.budgets
        for rule in given.rules
    ]
    rows, starts = run(given.folder, wanted, size, given.processes)
    summary = curves.summary(rows)
    given.json.parent.mkdir(parents=True, exist_ok=True)
    data = {
        "machine": machine_facts(),
        "brains": brains.facts(size),
        "start": {"settings": trial.START, "scores": list(starts.values())},
        "fine_tuning": trial.FINE_TUNING,
        **summary,
        "rows": rows,
    }
    given.json.write_text(json.dumps(data, indent=1) + "\n")
    curves.draw(given.json.with_suffix(".png"), rows, list(starts.values()))
    print(curves.table(summary))


if __name__ == "__main__":
    main()

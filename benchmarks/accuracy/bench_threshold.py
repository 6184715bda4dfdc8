"""Scores of the default weights at several thresholds, on small synthetic brains.

    python -m benchmarks.accuracy.bench_threshold [--json FILE] [--seeds 6]
        [--thresholds 0.3 0.5 0.7]

Each brain is made, segmented once and scored at every threshold, by the commands that
``docs/howto/which-threshold.md`` shows. The table has means over the seeds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import mean

import blockseg

_SHAPE = "48,128,160"
_PRESETS = ("clean", "fmost", "lightsheet")
_NAMES = ("topology_precision", "topology_sensitivity", "cl_dice")


def scores(
    preset: str, seed: int, thresholds: list[float], folder: Path
) -> dict[str, list[float]]:
    """Return precision, recall and F1 of the centreline (clDice) at each threshold."""
    brain = folder / f"{preset}-{seed}.zarr"
    making = ["--preset", preset, "--shape", _SHAPE, "--seed", str(seed)]
    made = [*making, "--voxel-size", "2,1,1", "--scheduler", "serial", "-q"]
    subprocess.run(
        [sys.executable, "-m", "blockseg_cli", "synth", str(brain), *made], check=True
    )
    result = blockseg.run(brain, scheduler="serial")
    found = {}
    for threshold in thresholds:
        scored = blockseg.evaluate(result.out, brain, threshold=threshold)
        found[f"{threshold:g}"] = [scored[name].value for name in _NAMES]
    return found


def main() -> None:
    """Print a table, and write every row to the file that is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--thresholds", type=float, nargs="+", default=[0.3, 0.5, 0.7])
    options = parser.parse_args()
    rows: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for preset in _PRESETS:
            every = [
                scores(preset, seed, options.thresholds, Path(folder))
                for seed in range(options.seeds)
            ]
            rows[preset] = {
                threshold: [
                    round(mean(values), 4)
                    for values in zip(*(one[threshold] for one in every), strict=True)
                ]
                for threshold in every[0]
            }
    print(f"{'brain':12}{'threshold':>10}{'precision':>10}{'recall':>10}{'F1':>10}")
    for preset, found in rows.items():
        for threshold, values in found.items():
            numbers = "".join(f"{value:10.3f}" for value in values)
            print(f"{preset:12}{threshold:>10}{numbers}")
    if options.json:
        facts = {"shape": _SHAPE, "seeds": options.seeds, "means": rows}
        options.json.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

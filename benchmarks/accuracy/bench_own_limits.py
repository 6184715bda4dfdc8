"""How often limits are told that a training wrote into its weights, on both sides.

Eight small brains of a preset stand for what was annotated. Other, larger brains of that
preset should raise no warning; neurites four times as thick, and dim ones, should.

    python -m benchmarks.accuracy.bench_own_limits --json FILE [--first-seed 7 --seeds 4]
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.accuracy.bench_limits import axons, brain, lines, thickened
from blockseg.core.geometry import Roi
from blockseg.core.space import Space
from blockseg.io.protocol import MemoryVolume
from blockseg.suitability.covered import covered
from blockseg.suitability.limits import outside_of
from blockseg.suitability.sampled import sample_of_volume
from blockseg.synthetic.brain import SyntheticBrain
from blockseg.synthetic.presets import PRESETS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blockseg.networks.trained import Trained

_SMALL = (64, 128, 128)
_TAUGHT = range(101, 109)  # seeds
_FLAT = Space((1.0, 1.0, 1.0), "micrometer")


def learned() -> dict[str, Trained]:
    """Return the limits that weights have which were trained on a preset alone."""
    found = {}
    for name in ("clean", "fmost", "lightsheet"):
        seen = []
        for seed in _TAUGHT:
            image = SyntheticBrain(_SMALL, PRESETS[name], seed).image(Roi.whole(_SMALL))
            sampled = sample_of_volume(MemoryVolume(image))
            if sampled is not None:
                seen.append((sampled, _FLAT))
        limits = covered(seen)
        assert limits is not None
        found[name] = limits
    return found


def judged_by_learned(
    limits: dict[str, Trained], seeds: range
) -> Iterator[dict[str, Any]]:
    """Yield what weights of one preset say of brains like it, and of thick and dim ones."""
    for seed in seeds:
        others = {
            "four times as thick": thickened(brain(axons((8.0, 30.0)), seed), 4, seed),
            "SNR 2": lines(2.0, 60, seed),
        }
        for name, trained in limits.items():
            volumes = [("inside", name, brain(PRESETS[name], seed))]
            volumes += [("outside", what, image) for what, image in others.items()]
            for side, what, image in volumes:
                found = sample_of_volume(MemoryVolume(image))
                said = [] if found is None else list(outside_of(found, _FLAT, trained))
                yield {
                    "weights": name,
                    "side": side,
                    "name": what,
                    "said": said,
                    "measured": None if found is None else asdict(found.structures),
                }


def main() -> None:
    """Judge all volumes, print a table, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--first-seed", type=int, default=7)
    parser.add_argument("--seeds", type=int, default=4)
    given = parser.parse_args()
    limits = learned()
    for name, trained in limits.items():
        print(name, trained)
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    rows = list(judged_by_learned(limits, seeds))
    summary = {}
    for group in dict.fromkeys((r["weights"], r["side"], r["name"]) for r in rows):
        mine = [r for r in rows if (r["weights"], r["side"], r["name"]) == group]
        warned = sum(bool(r["said"]) for r in mine)
        summary[" | ".join(group)] = [warned, len(mine)]
        print(
            f"{group[0]:10} {group[1]:8} {group[2]:20} warned {warned} of {len(mine)}"
        )
        if (warned == len(mine)) != (group[1] == "outside"):
            for row in mine:
                print("     ", row["measured"], row["said"])
    if given.json:
        ranges = {name: asdict(one) for name, one in limits.items()}
        found = {"summary": summary, "learned": ranges, "rows": rows}
        given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Picking blocks to annotate: seconds and memory for each rule and number of blocks.

    python -m benchmarks.dhpr.bench_select            # 2,000, 100,000 and a million blocks
    python -m benchmarks.dhpr.bench_select --quick    # 500 and 2,000, to see it work

Blocks have drawn metrics, one half of them neurites; 300 are picked. ``peak`` is what
selecting takes beside the table. Writes benchmarks/dhpr/results/select.json.
"""

from __future__ import annotations

import argparse
import json
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np

from blockseg.blockwise.record.record import machine_facts
from blockseg.dhpr.selection.choice import Choice
from blockseg.dhpr.selection.rules import RULES, select
from blockseg.dhpr.selection.table import BlockTable

RESULTS = Path(__file__).parent / "results"
EDGE = 320
PICKS = 300


def table(blocks: int) -> BlockTable:
    """Blocks on a cubic lattice with drawn metrics."""
    rng = np.random.default_rng(0)
    side = int(np.ceil(blocks ** (1 / 3)))
    place = np.unravel_index(np.arange(blocks), (side,) * 3)
    start = np.stack(place, axis=1).astype(np.int64) * EDGE
    plus = rng.gamma(0.3, 20_000, blocks).astype(np.int64)
    return BlockTable(
        start=start,
        stop=start + EDGE,
        foreground=(0.6 * plus).astype(np.int64),
        extended=plus,
        density=rng.random(blocks),
        level=rng.normal(180, 10, blocks),
        noise=rng.gamma(5, 1, blocks),
        low_snr=rng.random(blocks),
        entropy=rng.random(blocks),
        fragmentation=rng.gamma(2, 1, blocks),
        saturation=np.where(rng.random(blocks) < 0.01, rng.random(blocks), 0),
        features=rng.normal(size=(blocks, 8)),
        region=np.zeros(blocks, np.int64),
    )


def measured(blocks: int, rule: str) -> dict[str, Any]:
    made = table(blocks)
    begun = time.perf_counter()
    chosen = select(made, Choice(PICKS, rule))
    seconds = time.perf_counter() - begun
    tracemalloc.start()
    select(made, Choice(PICKS, rule))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return {
        "blocks": blocks,
        "rule": rule,
        "picks": len(chosen.picks),
        "seconds": round(seconds, 3),
        "peak_bytes": peak,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path, default=RESULTS / "select.json")
    options = parser.parse_args()
    rows = []
    for blocks in (500, 2_000) if options.quick else (2_000, 100_000, 1_000_000):
        for rule in RULES:
            row = measured(blocks, rule)
            rows.append(row)
            print(
                f"{blocks:>9,} {rule:18} {row['seconds']:8.2f} s "
                f"{row['peak_bytes'] / 2**20:8.0f} MiB"
            )
    options.json.parent.mkdir(parents=True, exist_ok=True)
    data = {"machine": machine_facts(), "rows": rows}
    options.json.write_text(json.dumps(data, indent=1) + "\n")


if __name__ == "__main__":
    main()

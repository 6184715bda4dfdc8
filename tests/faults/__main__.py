# ruff: noqa: T201 - a command that prints
"""``python -m tests.faults``: seeded fault runs on real processes.

Each starts a real ``blockseg`` on a small brain, harms it at a seeded moment, resumes it,
and compares the store byte by byte with that of a run that nobody harmed, and the ledger
with the store. As root on Linux it moves into a mount namespace of its own first, for
small disks; otherwise those faults are skipped, and said.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from tests.faults.lab import Brain
from tests.faults.runner import Outcome, fault_run, planned, save, scratch_of, summary
from tests.faults.table import FAULTS

NAMESPACE = "BLOCKSEG_FAULTS_NAMESPACE"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="how many [200]")
    parser.add_argument("--seed", type=int, default=0, help="of the first [0]")
    parser.add_argument("--only", action="append", default=[], metavar="FAULT")
    parser.add_argument("--side-by-side", type=int, default=2, metavar="N", help="[2]")
    parser.add_argument("--minutes", type=float, default=1e9, help="begin none later")
    parser.add_argument("--json", type=Path, help="file for the outcomes")
    parser.add_argument("--scratch", help="folder for brains and stores [TMPDIR]")
    parser.add_argument("--list", action="store_true", help="list the faults")
    asked = parser.parse_args()
    if asked.list:
        print("\n".join(FAULTS))
        return 0
    unknown = set(asked.only) - FAULTS.keys()
    if unknown:
        parser.error(f"no fault {unknown.pop()!r}; --list shows them")
    _into_namespace()
    return _run(asked)


def _run(asked: argparse.Namespace) -> int:
    scratch = scratch_of(asked.scratch)
    brain = Brain(scratch / "brain")
    brain.undisturbed("run", *_whole())
    began, outcomes = time.monotonic(), []

    def one(job: tuple[str, int]) -> Outcome | None:
        if time.monotonic() - began > 60 * asked.minutes:
            return None
        return fault_run(*job, brain, scratch)

    plan = planned(asked.runs, asked.seed, asked.only)
    try:
        with ThreadPoolExecutor(asked.side_by_side) as pool:
            for outcome in pool.map(one, plan):
                if outcome is None:
                    continue
                outcomes.append(outcome)
                _tell(outcome, len(outcomes), len(plan))
                if asked.json:
                    save(asked.json, outcomes, _facts(asked, began))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(summary(outcomes))
    return int(any(outcome.result in ("wrong", "hang") for outcome in outcomes))


def _whole() -> tuple[str, ...]:
    from tests.faults.lab import RUN, SERIAL

    return (*RUN, *SERIAL, "-q")


def _tell(outcome: Outcome, number: int, of: int) -> None:
    notes = f" ({outcome.notes})" if outcome.notes else ""
    print(
        f"{number}/{of} {outcome.result}: {outcome.fault}, seed {outcome.seed}, "
        f"{outcome.seconds} s{notes}",
        flush=True,
    )
    if outcome.error:
        print(outcome.error, flush=True)


def _facts(asked: argparse.Namespace, began: float) -> dict[str, object]:
    return {
        "runs": asked.runs,
        "seed": asked.seed,
        "side_by_side": asked.side_by_side,
        "machine": f"{os.cpu_count()} cores of {_processor()}, {platform.system()}",
        "commit": _commit(),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "minutes": round((time.monotonic() - began) / 60, 1),
    }


def _processor() -> str:
    from blockseg.blockwise.record.record import processor_name

    return processor_name()


def _commit() -> str:
    words = ["git", "rev-parse", "--short", "HEAD"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _into_namespace() -> None:
    """Begin anew where mounts are nobody else's, if that can be had."""
    unshare = shutil.which("unshare")
    if os.environ.get(NAMESPACE) or not unshare or os.geteuid():
        return
    words = [unshare, "--mount", "--propagation", "private"]
    os.environ[NAMESPACE] = "1"
    os.execv(unshare, [*words, sys.executable, "-m", "tests.faults", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())

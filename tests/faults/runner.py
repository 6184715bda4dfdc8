"""Seeded fault runs, one after the other or side by side, and their table."""

from __future__ import annotations

import json
import os
import random
import shutil
import time
import traceback
from collections import defaultdict
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults.cases import (
    commands,
    disks,
    hangs,
    jobs,
    kills,
    networks,
    repairs,
    shares,
    trainings,
)
from tests.faults.child import HangError, NotHarmedError
from tests.faults.lab import Brain, Lab
from tests.faults.table import FAULTS, Fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MODULES = (kills, hangs, disks, repairs, networks, shares, jobs, commands, trainings)
"""Where faults are declared."""

_TRIES = 4
_NOT_HARMED = "never harmed: "


@dataclass(frozen=True)
class Outcome:
    """What came of one fault run."""

    fault: str
    seed: int
    result: str
    """``ok``, ``skipped``, ``hang`` or ``wrong``."""
    seconds: float
    notes: str = ""
    error: str = ""


def why_not(fault: Fault) -> str:
    """Return why a fault cannot be made here; empty if it can."""
    if fault.needs and os.geteuid():
        return f"needs root, for {fault.needs}"
    if fault.needs == "mount" and not os.environ.get("BLOCKSEG_FAULTS_NAMESPACE"):
        return "needs a mount namespace of its own: unshare --mount"
    return ""


def fault_run(name: str, seed: int, brain: Brain, scratch: Path) -> Outcome:
    """Make one fault and say what came of it.

    A fault that comes too late, as the command has just ended, is made again at another
    moment; a run that was never harmed counts as wrong.
    """
    fault = FAULTS[name]
    if reason := why_not(fault):
        return Outcome(name, seed, "skipped", 0.0, reason)
    began = time.monotonic()
    notes: list[str] = []
    for turn in range(_TRIES):
        outcome = _once(fault, seed, turn, brain, scratch)
        notes += outcome.notes.split("; ") if outcome.notes else []
        if not outcome.error.startswith(_NOT_HARMED):
            break
        notes.append("not harmed, made again")
    seconds = round(time.monotonic() - began, 1)
    return replace(outcome, seconds=seconds, notes="; ".join(notes))


def _once(fault: Fault, seed: int, turn: int, brain: Brain, scratch: Path) -> Outcome:
    name = fault.name
    folder = scratch / f"{os.getpid()}-{seed}-{name.replace(' ', '-')[:40]}"
    dice = random.Random(f"{seed} {name}{turn or ''}")
    lab = Lab(brain, folder, dice)
    result, error = "ok", ""
    try:
        fault.make(lab)
    except HangError as found:
        result, error = "hang", str(found)
    except NotHarmedError as found:
        result, error = "wrong", f"{_NOT_HARMED}{found}"
    except BaseException as found:
        if isinstance(found, KeyboardInterrupt):
            raise
        result = "wrong"
        error = "".join(traceback.format_exception(found))
    finally:
        lab.close()
    return Outcome(name, seed, result, 0.0, "; ".join(lab.notes), error[-8000:])


def planned(runs: int, seed: int, names: Sequence[str] = ()) -> list[tuple[str, int]]:
    """Return which faults, in turn, each with a seed of its own."""
    chosen = [FAULTS[name] for name in names] or list(FAULTS.values())
    plan: list[tuple[str, int]] = []
    turn = 0
    while len(plan) < runs:
        for fault in chosen:
            if fault.seldom and turn % 3 != 2 and not names:
                continue
            plan.append((fault.name, seed + len(plan)))
        turn += 1
    return plan[:runs]


def summary(outcomes: Iterable[Outcome]) -> str:
    """Return a table in Markdown, a row a kind of fault."""
    kinds: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        kinds[outcome.fault].append(outcome)
    lines = [
        "| fault | runs | right | wrong | hangs | skipped |",
        "|---|---|---|---|---|---|",
    ]
    in_order = sorted(kinds, key=list(FAULTS).index)
    lines += [_row(name, kinds[name]) for name in in_order]
    every = [outcome for found in kinds.values() for outcome in found]
    lines.append(_row("**all**", every))
    return "\n".join(lines)


def _row(name: str, found: Sequence[Outcome]) -> str:
    counts = [
        sum(o.result == r for o in found) for r in ("ok", "wrong", "hang", "skipped")
    ]
    return f"| {name} | {len(found)} | " + " | ".join(map(str, counts)) + " |"


def save(path: Path, outcomes: Iterable[Outcome], facts: dict[str, object]) -> None:
    """Write outcomes as JSON."""
    lines = ",\n".join(json.dumps(asdict(outcome)) for outcome in outcomes)
    head = json.dumps(facts)[:-1]
    path.write_text(f'{head}, "outcomes": [\n{lines}\n]}}\n', encoding="utf-8")


def scratch_of(place: str | None) -> Path:
    """Return an empty folder for brains and stores."""
    base = Path(place or os.environ.get("TMPDIR", "/tmp"))
    folder = base / f"blockseg-faults-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder

"""Every hostile input through the real command line, judged; a table at the end.

    python -m tests.hostile [--only TEXT] [--jobs N] [--json FILE] [--slice N] [--seed N]

Each input is made anew and given to its command in a process of its own. Right is one clear
line and exit code 1 before anything is written, or an answer that takes the input for what
it is; within 2 s of CPU time and 200 MB more than the same command takes for a sound input of
64×64×128 voxels, and within a minute by the clock whatever happens. CPU time, because other
work on the machine would count by the clock; whoever waits without working is caught by the
minute. Exit code 0 if all answers are right.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blockseg.blockwise.record.record import processor_name
from tests.hostile.case import Case, Stock
from tests.hostile.child import HARD_SECONDS, ask
from tests.hostile.corpus.every import every_case
from tests.hostile.here import ask_here
from tests.hostile.judge import GOOD, MEANINGS, Limits, judged
from tests.hostile.sound import baselines
from tests.hostile.stock import make_stock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.hostile.judge import Answer, Verdict

SECONDS = 2.0
BYTES = 200 * 10**6
_KEPT_EACH = 10


def chosen(given: argparse.Namespace) -> list[Case]:
    """Return the cases that are asked for; of a slice some of each area."""
    cases = [case for case in every_case() if given.only in case.name]
    if given.slice is None:
        return cases
    drawn = random.Random(given.seed)
    drawn.shuffle(cases)
    seen: Counter[str] = Counter()
    order: list[tuple[int, int, Case]] = []
    for case in cases:
        seen[case.area] += 1
        order.append((seen[case.area], len(order), case))
    return [case for _, _, case in sorted(order, key=lambda one: one[:2])][
        : given.slice
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="part of a name")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--slice", type=int, help="so many, some of each area")
    parser.add_argument("--seed", type=int, default=0, help="of the slice")
    parser.add_argument(
        "--here", action="store_true", help="in this process, without limits: quick"
    )
    parser.add_argument("--sound", type=Path, help="sound inputs of an earlier call")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hostile-") as place:
        sound = given.sound or make_stock(Path(place, "sound"))
        if given.here:
            return report(given, judged_here(chosen(given), sound, place), place)
        usual = baselines(sound, Path(place, "baselines"))
        cases = chosen(given)

        def judge(number: int) -> dict[str, Any]:
            case = cases[number]
            folder = Path(place, "cases", str(number))
            folder.mkdir(parents=True)
            try:
                words = case.make(Stock(sound, folder))
                base = usual[str(words[0])]
                shutil.rmtree(folder)
                folder.mkdir()
                answer = ask(case, Stock(sound, folder), HARD_SECONDS)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            limits = Limits(base.seconds + SECONDS, base.peak + BYTES)
            verdict, line = judged(case, answer, limits)
            return noted(case, verdict, line, answer, base)

        with ThreadPoolExecutor(given.jobs) as pool:
            return report(given, pool.map(judge, range(len(cases))), place)


def judged_here(cases: list[Case], sound: Path, place: str) -> Iterator[dict[str, Any]]:
    """Yield what is found of each case in this process."""
    (script,) = entry_points(group="console_scripts", name="blockseg")
    command = script.load()
    for case in cases:
        folder = Path(place, "case")
        folder.mkdir()
        answer = ask_here(case, Stock(sound, folder), command)
        verdict, line = judged(case, answer, None)
        shutil.rmtree(folder, ignore_errors=True)
        yield noted(case, verdict, line)


def noted(
    case: Case,
    verdict: Verdict,
    line: str,
    answer: Answer | None = None,
    base: Limits | None = None,
) -> dict[str, Any]:
    """Return what is kept of a case, and print it if it is not right."""
    if verdict not in GOOD:
        print(f"{verdict:10}{case.name}\n          {line[:300]}", flush=True)
    found: dict[str, Any] = {
        "area": case.area, "title": case.title, "right": case.right,
        "verdict": verdict, "line": line,
    }  # fmt: skip
    if answer is not None and base is not None:
        found["seconds"] = round(answer.seconds, 2)
        found["seconds_more"] = round(answer.seconds - base.seconds, 2)
        found["mb"] = round(answer.peak / 1e6)
        found["mb_more"] = round((answer.peak - base.peak) / 1e6)
    return found


def report(
    given: argparse.Namespace, judging: Iterable[dict[str, Any]], place: str
) -> int:
    """Keep what is found as it comes, and print how many are of each kind; 0 if all right."""
    found = []
    where = f"{version()}, {os.cpu_count()} cores of {processor_name()}"
    for one in judging:
        one["line"] = one["line"].replace(place, "…")
        one["measured"] = where if "mb" in one else ""
        found.append(one)
        if given.json and len(found) % _KEPT_EACH == 0:
            save(given.json, found)
    if given.json:
        save(given.json, found)
    counts: Counter[Verdict] = Counter(one["verdict"] for one in found)
    for verdict, meaning in MEANINGS.items():
        if counts[verdict]:
            print(f"{counts[verdict]:5} {verdict:10}{meaning}")
    print(f"{len(found):5} inputs")
    return 0 if all(one["verdict"] in GOOD for one in found) else 1


def save(path: Path, found: list[dict[str, Any]]) -> None:
    """Write what is found so far."""
    text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    path.write_bytes(text.encode(errors="backslashreplace"))


def version() -> str:
    """Return which commit was measured."""
    words = ["git", "rev-parse", "--short", "HEAD"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())

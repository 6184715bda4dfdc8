"""``python -m tests.faults.report [JSON]``: the table of ``docs/faults.md``, from outcomes.

With a file, its outcomes become those of the repository; without, they are written again.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.faults.cases import commands
from tests.faults.cases.commands import ELSEWHERE, HARMS
from tests.faults.commands import JOBS
from tests.faults.runner import MODULES, Outcome, save, summary
from tests.faults.table import FAULTS

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RESULTS = HERE / "results.json"
PAGE = ROOT / "docs" / "faults.md"
BEGIN = "<!-- made by python -m tests.faults.report -->\n"
END = "<!-- end -->\n"


def section(results: Path = RESULTS) -> str:
    """Return what stands between the marks of the page."""
    plain: dict[str, Any] = json.loads(results.read_text(encoding="utf-8"))
    outcomes = [Outcome(**outcome) for outcome in plain.pop("outcomes")]
    seeds = [outcome.seed for outcome in outcomes]
    head = (
        f"{len(outcomes)} runs, seeds {min(seeds)} to {max(seeds)}, on "
        f"{plain['machine']}, in {plain['minutes']:.0f} minutes, "
        f"{plain['side_by_side']} side by side; version {plain['commit']}.\n\n"
    )
    return head + summary(outcomes) + "\n\n" + _matrix() + "\n" + _where()


def _matrix() -> str:
    """Return which harm is done to which command."""
    rows = (*JOBS, "propose-annotations", "training")
    lines = ["| fault | " + " | ".join(rows) + " |", "|---" * (len(rows) + 1) + "|"]
    for harm in HARMS:
        names = [f"{row}: {harm}" for row in rows]
        made = [ELSEWHERE.get(name, name) in FAULTS for name in names]
        cells = ["yes" if one else "–" for one in made]
        lines.append(f"| {harm} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _where() -> str:
    """Return which file makes which fault."""
    lines = []
    for module in MODULES:
        file = f"tests/faults/cases/{module.__name__.rpartition('.')[2]}.py"
        names = [
            f.name for f in FAULTS.values() if f.make.__module__ == module.__name__
        ]
        told = "; ".join(names)
        if module is commands:
            told = "COMMAND: FAULT, as in the table above"
        lines.append(f"- [{file}](../{file}): {told}")
    return "\n".join(lines) + "\n"


def page(text: str) -> str:
    """Return the page with its section as the outcomes are."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + section() + END + after


def main() -> None:
    if len(sys.argv) > 1:
        plain = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
        outcomes = [Outcome(**outcome) for outcome in plain.pop("outcomes")]
        save(RESULTS, outcomes, plain)
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()

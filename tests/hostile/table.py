"""The table of ``docs/hostile-input.md`` from what the runner found.

python -m tests.hostile --json found.json
python -m tests.hostile.table found.json… > docs/hostile-input.md
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from tests.hostile.judge import GOOD, MEANINGS

HEAD = """# Hostile input

Files and options that no honest user gives, and what blockseg answers: every one through the real command line, by

```
python -m tests.hostile              # each in a process of its own, within limits of time and memory
python -m tests.hostile --here       # all in one process: quick, and nothing is measured
```

Right is one clear line (which file, what is wrong, what to do) and exit code 1 before anything is written, or an answer that takes the input for what it is. A process of its own has 2 s of CPU time and
200 MB more than the same command takes for a sound input of 64×64×128 voxels, and a minute by the clock. `tests/e2e/test_hostile_input.py` gives all but the largest with `make test`, in one process and some of each area as
processes; `tests/property/test_hostile_metadata.py` puts any value in the place of any other in the metadata of each format, any bytes into TIFF files, any text into YAML.
`tests/property/test_parsers.py` gives changed bytes to each of our parsers, and `python -m tests.fuzz` has [atheris](https://github.com/google/atheris) look for such bytes by what code they reach, for as long as you like (`pip install atheris`; on Linux).
What is refused before a library sees it, and by which bound, stands in [security.md](security.md).

This page is written by `python -m tests.hostile.table`.
"""


def shortened(text: str) -> str:
    """Return a line of an answer without folders that say nothing here."""
    line = re.sub(r"\S*/cases?/(\d+/)?", "", text.strip().removeprefix("Error: "))
    line = line.replace("|", "\\|").replace("`", "'")
    return line if len(line) <= 160 else f"{line[:159]}…"


def main() -> None:
    by_name: dict[tuple[str, str], dict[str, Any]] = {}
    for name in sys.argv[1:]:  # what was measured, after what was not
        for one in json.loads(Path(name).read_text(encoding="utf-8")):
            by_name[one["area"], one["title"]] = one
    found = list(by_name.values())
    verdicts = Counter(one["verdict"] for one in found)
    areas: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in found:
        areas[one["area"]].append(one)
    measured = [one for one in found if "mb_more" in one]
    out = [HEAD, "## What came of it", "", "| answers | of them | |", "|---|---|---|"]
    for verdict, meaning in MEANINGS.items():
        if verdict in GOOD or verdicts[verdict]:
            out.append(f"| {verdict} | {verdicts[verdict]} | {meaning} |")
    out += ["", f"{len(found)} answers, of which {len(measured)} were measured."]
    if measured:
        slowest = max(one["seconds_more"] for one in measured)
        largest = max(one["mb_more"] for one in measured)
        out[-1] += (
            f" The slowest took {slowest:.1f} s of CPU time more than a sound input, the largest"
            f" {largest} MB more."
        )
    for area, cases in areas.items():
        out += ["", f"## {area}", "", "| input (command) | answer |", "|---|---|"]
        for case in cases:
            said = "taken for what it is" if case["verdict"] == "handled" else ""
            answer = said or shortened(case["line"])
            mark = "" if case["verdict"] in GOOD else f"**{case['verdict']}** "
            out.append(f"| {case['title']} | {mark}{answer} |")
    print("\n".join(out))


if __name__ == "__main__":
    main()

"""``docs/hostile-input.md`` and all answers beside it, from what the runner found.

    python -m tests.hostile --json found.json
    python -m tests.hostile.table [found.json …]

What is found takes the place of what was known of the same input, in ``results.csv``; without
a file the page alone is written again.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from tests.hostile.corpus.every import every_case
from tests.hostile.judge import GOOD, MEANINGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HERE = Path(__file__).parent
RESULTS = HERE / "results.csv"
PAGE = HERE.parents[1] / "docs" / "hostile-input.md"
COLUMNS = (
    "area", "title", "verdict", "seconds", "seconds_more", "mb", "mb_more", "measured",
    "line",
)  # fmt: skip
_DEAREST = 5

Row: TypeAlias = dict[str, str]

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

This page is written by `python -m tests.hostile.table`. Every input with its answer, its time and its memory: [tests/hostile/results.csv](../tests/hostile/results.csv).
"""


def known(path: Path = RESULTS) -> list[Row]:
    """Return what was found of each input before."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def together(before: Iterable[Row], found: Iterable[dict[str, object]]) -> list[Row]:
    """Return what is known of the inputs that there are, in their order."""
    by_name = {(row["area"], row["title"]): row for row in before}
    for one in found:
        row = {name: str(one.get(name, "")) for name in COLUMNS}
        by_name[row["area"], row["title"]] = row | {"line": shortened(row["line"])}
    names = [(case.area, case.title) for case in every_case()]
    return [by_name[name] for name in names if name in by_name]


def shortened(text: str) -> str:
    """Return a line of an answer without folders that say nothing here."""
    line = re.sub(r"\S*/cases?/(\d+/)?", "", text.strip().removeprefix("Error: "))
    line = "".join(c if c.isprintable() else "·" for c in line)
    return line if len(line) <= 200 else f"{line[:199]}…"


def page(rows: Sequence[Row]) -> str:
    """Return the page."""
    verdicts = Counter(row["verdict"] for row in rows)
    out = [HEAD, "## What came of it", "", "| answers | of them | |", "|---|---|---|"]
    for verdict, meaning in MEANINGS.items():
        if verdict in GOOD or verdicts[verdict]:
            out.append(f"| {verdict} | {verdicts[verdict]} | {meaning} |")
    measured = [row for row in rows if row["seconds"]]
    out += ["", f"{len(rows)} answers, of which {len(measured)} were measured."]
    if measured:
        where = sorted({row["measured"] for row in measured})
        out[-1] += f" Version {'; version '.join(where)}."
        out += _dearest(measured)
    out += _wrong(rows)
    out += ["", "## By what is hostile", "", _AREAS, "|---|---|---|---|---|---|---|"]
    for area in dict.fromkeys(row["area"] for row in rows):
        out.append(_area(area, [row for row in rows if row["area"] == area]))
    return "\n".join(out) + "\n"


def _dearest(rows: Sequence[Row]) -> list[str]:
    """Return which took most time, and which most memory."""
    out = []
    for name, unit, title in (
        ("seconds", "s of CPU time", "Those that took most time"),
        ("mb", "MB", "Those that took most memory"),
    ):
        more = f"{name}_more"
        first = sorted(rows, key=lambda row: -float(row[more]))[:_DEAREST]
        out += ["", f"{title}, beside a sound input:", ""]
        out += [
            f"- {_plain(row['area'])}, {_plain(row['title'])}: {float(row[more]):+g} "
            f"{unit}, {row[name]} in all"
            for row in first
        ]
    return out


def _wrong(rows: Sequence[Row]) -> list[str]:
    """Return which answers are not right, if any."""
    wrong = [row for row in rows if row["verdict"] not in GOOD]
    if not wrong:
        return []
    lines = [
        f"- {_plain(row['area'])}, {_plain(row['title'])}: {row['verdict']}, "
        f"{_plain(row['line'])}"
        for row in wrong
    ]
    return ["", "Not right:", "", *lines]


_AREAS = (
    "| format or file | inputs | refused | handled | s more at most | MB more at most | "
    "one of them, and its answer |"
)


def _area(name: str, rows: Sequence[Row]) -> str:
    verdicts = Counter(row["verdict"] for row in rows)
    most = [
        max((float(row[more]) for row in rows if row[more]), default=None)
        for more in ("seconds_more", "mb_more")
    ]
    told = [row for row in rows if row["verdict"] == "told"] or list(rows)
    # The shortest answer is the one that a table has room for.
    example = min(told, key=lambda row: len(row["line"]))
    said = f"{_plain(example['title'])}: “{_plain(example['line'])}”"
    numbers = " | ".join("" if one is None else f"{one:+g}" for one in most)
    return (
        f"| {name} | {len(rows)} | {verdicts['told']} | {verdicts['handled']} | "
        f"{numbers} | {said} |"
    )


def _plain(text: str) -> str:
    """Return a text that means nothing to Markdown."""
    return re.sub(r"([\\|*_<>\[\]])", r"\\\1", text.replace("`", "'"))


def main() -> None:
    found = [
        one
        for name in sys.argv[1:]
        for one in json.loads(Path(name).read_text(encoding="utf-8"))
    ]
    rows = together(known(), found)
    with RESULTS.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    PAGE.write_text(page(rows), encoding="utf-8")


if __name__ == "__main__":
    main()

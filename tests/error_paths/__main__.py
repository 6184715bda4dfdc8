# ruff: noqa: T201 - a command that prints
"""``python -m tests.error_paths``: which errors of blockseg any test has met.

Runs the tests with a note of every place that made an error of ours, in all of their
processes, and compares these with the places that the code has. Arguments go to pytest;
``--noted FOLDER`` takes the notes of an earlier run instead.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.error_paths.places import ROOT, met, places, table

HERE = Path(__file__).parent


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.error_paths", description=__doc__
    )
    parser.add_argument("--noted", type=Path, metavar="FOLDER")
    parser.add_argument("--markdown", action="store_true", help="as docs have it")
    asked, words = parser.parse_known_args()
    code = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.noted or Path(temporary)
        if asked.noted is None:
            code = _tested(folder, words)
        found = places()
        seen = met(folder, found)
    if asked.markdown:
        print(table(found, seen))
    else:
        for place in found:
            if place not in seen:
                print(f"{place}: {place.kind} is met by no test")
        print(f"{len(seen)} of {len(found)} places that make an error were met")
    return code


def _tested(folder: Path, words: list[str]) -> int:
    path = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))
    environment = {
        **os.environ,
        "BLOCKSEG_ERROR_PATHS": str(folder),
        "PYTHONPATH": path,
    }
    command = [sys.executable, "-m", "pytest", *words]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())

# ruff: noqa: T201 - a command that prints
"""``python -m tests.error_paths``: which errors of blockseg any test has met.

Runs the tests with a note of every place that made an error of ours, in all of their
processes, and compares these with the places that the code has. Arguments go to pytest.
``--add FOLDER`` keeps the notes there, beside those of earlier pieces, so that the whole
suite can be done in parts; ``--noted FOLDER`` runs nothing and only counts them::

    python -m tests.error_paths --add notes -n 2 --dist loadfile
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.error_paths.places import ROOT, met, of_other_code, places, table

HERE = Path(__file__).parent


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.error_paths", description=__doc__
    )
    parser.add_argument("--noted", type=Path, metavar="FOLDER")
    parser.add_argument("--add", type=Path, metavar="FOLDER")
    parser.add_argument("--markdown", action="store_true", help="as docs have it")
    asked, words = parser.parse_known_args()
    code = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.noted or asked.add or Path(temporary)
        found = places()
        if problem := of_other_code(folder, found):
            parser.error(problem)
        if asked.noted is None:
            code = _tested(folder.absolute(), words)
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

# ruff: noqa: T201 - a command that prints
"""``python -m tests.fuzz``: any bytes in the place of what our parsers read.

Coverage-guided, by atheris (``pip install atheris``), each parser for so many seconds in
a process of its own. What it finds stands in ``--found FOLDER`` and ends with code 1.
``--parser NAME FILE`` gives one such file to its parser again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=30, help="a parser [30]")
    parser.add_argument("--parser", action="append", default=[], metavar="NAME")
    parser.add_argument("--found", type=Path, default=Path("fuzz-found"))
    parser.add_argument("--list", action="store_true", help="list the parsers")
    parser.add_argument("file", nargs="?", type=Path, help="give this to the parser")
    parser.add_argument("--guided", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.guided:
        return _guided(asked)
    from tests.fuzz.targets import TARGETS

    if asked.list:
        print("\n".join(TARGETS))
        return 0
    unknown = set(asked.parser) - TARGETS.keys()
    if unknown:
        parser.error(f"no parser {unknown.pop()!r}; --list shows them")
    if asked.file:
        for name in asked.parser:
            with tempfile.TemporaryDirectory() as folder:
                TARGETS[name].parse(asked.file.read_bytes(), Path(folder))
        return 0
    if find_spec("atheris") is None:
        parser.error("atheris is not installed; pip install atheris")
    failed = [name for name in asked.parser or TARGETS if not _fuzzed(name, asked)]
    print(f"failed: {', '.join(failed)}" if failed else "nothing was found")
    return bool(failed)


def _fuzzed(name: str, asked: argparse.Namespace) -> bool:
    asked.found.mkdir(parents=True, exist_ok=True)
    words = ["--guided", name, "--seconds", asked.seconds, "--found", asked.found]
    command = [sys.executable, "-m", "tests.fuzz", *map(str, words)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    last = [line for line in done.stderr.splitlines() if " cov: " in line][-1:]
    print(f"{name}: {'ok' if done.returncode == 0 else 'FAILED'} {' '.join(last)}")
    if done.returncode:
        print(done.stdout[-3000:] + done.stderr[-3000:])
    return done.returncode == 0


def _guided(asked: argparse.Namespace) -> int:
    import atheris

    with atheris.instrument_imports(include=["blockseg"]):
        from tests.fuzz.targets import TARGETS
    chosen = TARGETS[asked.guided]

    def one(data: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            chosen.parse(data, Path(folder))

    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(chosen.seeds):
            (Path(corpus) / f"{number}").write_bytes(seed)
        limits = [
            f"-max_total_time={asked.seconds}",
            "-rss_limit_mb=4096",
            "-timeout=20",
        ]
        prefix = f"-artifact_prefix={asked.found}/{asked.guided.replace(' ', '-')}-"
        atheris.Setup([sys.argv[0], *limits, "-max_len=4096", prefix, corpus], one)
        atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())

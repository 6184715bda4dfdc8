"""Exit code and text of commands for each option and many values, to hold a change against.

    record_answers.py answers.json             before the change
    record_answers.py answers.json --compare   after it: lists what differs, exit code 1 if any

No benchmark, like `record_bytes.py`. Places do not exist, so that settings alone are
judged; `synth`, which needs no source, writes a brain of 8³ voxels.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path

import click
from click.testing import CliRunner

from blockseg_cli.main import main as blockseg  # type: ignore[import-not-found]

VALUES = (
    *("auto", "none", "x", "", "-1", "0", "1", "2.5", "1e9", "nan", "0.2"),
    *("1,2", "1,2,3", "0:8,0:8,0:8", "1:2,2:0", "s", "10m", "64GB"),
    *("torch", "fake", "float32", "field"),
)
ARGUMENTS = {
    "run": ("none.zarr", "out"),
    "plan": ("none.zarr",),
    "info": ("none.zarr",),
    "convert": ("none.zarr", "out"),
    "metrics": ("none.zarr", "out"),
    "propose-annotations": ("none", "picks"),
    "train": ("none", "run"),
    "evaluate": ("none-a", "none-b"),
    "preview": ("none",),
    "synth": ("out", "-q", "--scheduler", "serial"),
}


def answers() -> dict[str, list[object]]:
    """Return exit code and text by command, option and value."""
    found: dict[str, list[object]] = {}
    context = click.Context(blockseg)
    for name, places in ARGUMENTS.items():
        command = blockseg.get_command(context, name)
        assert command is not None
        for option in command.params:
            if not isinstance(option, click.Option) or option.is_flag:
                continue
            flag = option.opts[0]
            small = ("--shape", "8,8,8") if name == "synth" else ()
            for value in VALUES:
                words = [name, *places, *(() if flag == "--shape" else small)]
                with tempfile.TemporaryDirectory() as folder:
                    os.chdir(folder)
                    done = CliRunner().invoke(blockseg, [*words, flag, value])
                    os.chdir("/")
                text = done.output.replace(folder, "")
                found[f"{name} {flag} {value!r}"] = [done.exit_code, text]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--compare", action="store_true")
    given = parser.parse_args()
    file, now = given.file.absolute(), answers()
    if not given.compare:
        file.write_text(json.dumps(now, indent=1), encoding="utf-8")
        print(f"{len(now)} answers")
        return 0
    before = json.loads(file.read_text(encoding="utf-8"))
    other = [key for key in now.keys() | before if now.get(key) != before.get(key)]
    for key in sorted(other):
        print(f"{key}\n  was {before.get(key)}\n  now {now.get(key)}")
    print(f"{len(now)} answers, {len(other)} differ")
    return 1 if other else 0


if __name__ == "__main__":
    raise SystemExit(main())

"""A command line to drive, and small brains to drive it on."""

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

STOPS = """
import os, signal, sys
from blockseg_cli import progress
from blockseg_cli.main import main

left, shown = int(sys.argv.pop(1)), progress._print_json

def show(event):
    global left
    shown(event)
    left -= type(event).__name__ == "BlockDone"
    if left == 0:
        left = -1
        os.kill(os.getpid(), signal.SIGSTOP)

progress._print_json = show
main()
"""


@dataclass
class Blockseg:
    """The command, in this process where it need not die, else in one of its own."""

    folder: Path
    command: click.Command
    started: list[Any] = field(default_factory=list)

    def __call__(self, *arguments, code=0):
        with contextlib.chdir(self.folder), warnings.catch_warnings():
            # Said to users, and no fault of the test.
            warnings.filterwarnings("always", message=".* states no unit")
            done = CliRunner().invoke(self.command, [str(word) for word in arguments])
        assert code in (None, done.exit_code), done.output + repr(done.exception)
        return done

    def words(self, *arguments):
        return [sys.executable, "-m", "blockseg_cli", *map(str, arguments)]

    def start(self, *arguments, **how):
        return self._start(self.words(*arguments), **how)

    def start_and_stop(self, blocks, *arguments):
        """Start a command and return when it has stopped (SIGSTOP) after some blocks."""
        words = [
            sys.executable,
            "-c",
            STOPS,
            str(blocks),
            *map(str, arguments),
            "--json",
        ]
        process = self._start(words)
        # Or ended, which the test will tell; left for ``process.wait``.
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        return process

    def _start(self, words, **how):
        process = subprocess.Popen(
            words,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder,
            **how,
        )
        self.started.append(process)
        return process


@pytest.fixture
def blockseg(tmp_path, blockseg_command):
    command = Blockseg(tmp_path, blockseg_command)
    yield command
    for process in command.started:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture(scope="module")
def shared_blockseg(tmp_path_factory, blockseg_command):
    """The command, in a folder that the tests of a module share."""
    return Blockseg(tmp_path_factory.mktemp("shared"), blockseg_command)


@pytest.fixture(scope="session")
def brain(tmp_path_factory, blockseg_command):
    """A clean synthetic brain of 128×192×256 voxels, as OME-Zarr."""
    folder = tmp_path_factory.mktemp("brain")
    command = Blockseg(folder, blockseg_command)
    command(
        "synth", "brain.zarr", "--shape", "128,192,256", "--preset", "clean",
        "--scheduler", "serial", "-q",
    )  # fmt: skip
    return folder / "brain.zarr"


def content(store):
    """Return the hash of every file of a store but its notes and its report."""
    root = Path(store)
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
        and ".blockseg" not in path.relative_to(root).parts
        and path != root / "report.html"
    }


@pytest.fixture(scope="session")
def content_of():
    return content


def events(lines):
    """Yield the events that ``--json`` prints."""
    for line in lines:
        if line.startswith("{"):
            yield json.loads(line)


@pytest.fixture(scope="session")
def events_of():
    return events

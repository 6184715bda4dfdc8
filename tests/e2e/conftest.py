"""A command line to drive, and small brains to drive it on."""

import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass
class Blockseg:
    """The command, as a user has it, in a process of its own."""

    folder: Path

    def __call__(self, *arguments, code=0, timeout=300):
        done = subprocess.run(
            self.words(*arguments),
            capture_output=True,
            text=True,
            cwd=self.folder,
            timeout=timeout,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def words(self, *arguments):
        return [sys.executable, "-m", "blockseg_cli", *map(str, arguments)]

    def start(self, *arguments):
        return subprocess.Popen(
            self.words(*arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder,
        )


@pytest.fixture
def blockseg(tmp_path):
    return Blockseg(tmp_path)


@pytest.fixture(scope="session")
def brain(tmp_path_factory):
    """A clean synthetic brain of 128×192×256 voxels, as OME-Zarr."""
    folder = tmp_path_factory.mktemp("brain")
    command = Blockseg(folder)
    command(
        "synth", "brain.zarr", "--shape", "128,192,256", "--preset", "clean",
        "--scheduler", "serial", "-q",
    )  # fmt: skip
    return folder / "brain.zarr"


def content(store):
    """Return the hash of every file of a store but its own notes."""
    root = Path(store)
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".blockseg" not in path.relative_to(root).parts
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

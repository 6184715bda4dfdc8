"""The bundle: all that is known of one block, in one zip file."""

from __future__ import annotations

import io
import json
import platform
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import distributions
from typing import TYPE_CHECKING, Any

import numpy as np

from blockseg.blockwise.record.record import machine_facts
from blockseg.core.version import __version__
from blockseg.io.output.atomic_files import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

README = """All that blockseg knew of one block: what to send with a report.

run.json        what the run was asked and decided, weights by their SHA-256, the machine
block.json      the block: its place, what it reads and writes, its row in the ledger
traceback.txt   of its last failure, as the ledger keeps it
log.jsonl       what the logs tell of it, and of the starts of the run
input.npy       voxels that it reads, with the halo, axes (z, y, x); numpy.load reads it
versions.txt    of Python, blockseg and every package that is installed
machine.json    the machine that made this file
rerun.txt       what came of running it once more, alone: seconds, or the traceback
output.npy      probability of the rerun, round(255 p), if it got so far

The voxels are part of your image: look whether you may pass them on.
"""


@dataclass(slots=True)
class Bundle:
    """A zip file that is being written."""

    archive: zipfile.ZipFile
    """It."""

    def text(self, name: str, text: str) -> None:
        """Add a text."""
        self.archive.writestr(name, text)

    def json(self, name: str, value: object) -> None:
        """Add a value as JSON."""
        self.text(name, json.dumps(value, indent=2, default=str) + "\n")

    def array(self, name: str, array: NDArray[Any]) -> None:
        """Add an array as ``.npy``."""
        held = io.BytesIO()
        np.save(held, array, allow_pickle=False)
        self.archive.writestr(name, held.getvalue())

    def surroundings(self) -> None:
        """Add what is known of this installation and machine."""
        self.text("README.txt", README)
        found = {f"{one.metadata['Name']}=={one.version}" for one in distributions()}
        lines = [
            f"python {platform.python_version()}",
            f"blockseg {__version__}",
            *sorted(found, key=str.lower),
        ]
        self.text("versions.txt", "\n".join(lines) + "\n")
        self.json("machine.json", machine_facts())


@contextmanager
def new_bundle(path: Path) -> Iterator[Bundle]:
    """Give a bundle that appears as ``path`` at the end, whole or not at all.

    Raises
    ------
    NoSpaceError, OutputGoneError, VolumeError
        If it cannot be written.
    """
    with (
        replacing(path) as part,
        zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        yield Bundle(archive)

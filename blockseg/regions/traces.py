"""Traces of a run as the tasks of derived jobs read them, a group of files at a time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from blockseg.blockwise.derived.job import fresh_part
from blockseg.core.errors import ConfigError, VolumeError
from blockseg.core.grid import BlockGrid
from blockseg.core.text import blockseg_command
from blockseg.core.untrusted.files import TABLE_BYTES, opened
from blockseg.io.ahead import map_ahead
from blockseg.morphology.swc import read_swc, swc_files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blockseg.atlas.transform import Transform
    from blockseg.blockwise.derived.finished import FinishedRun
    from blockseg.core.grid import Block
    from blockseg.morphology.swc import Tree

_FOLDER, _SWC = "traces", "swc"  # where blockseg skeletonize leaves its files
_PART = "skeletonize-traces"
_GROUP = 32  # files that one block of a task reads
_READERS = 4
_LOOKED_AT = 3


@dataclass(frozen=True, slots=True)
class TraceFiles:
    """SWC files in µm from the origin of a source, in order of their names."""

    folder: str
    """Absolute path of their folder."""

    names: tuple[str, ...]
    """Names of the files."""

    digest: str
    """SHA-256 over names and contents."""

    transform: Transform | None = None
    """Way to the atlas; None where nothing is to be taken there."""

    @property
    def grid(self) -> BlockGrid:
        """Groups of files, as blocks of one column each."""
        return BlockGrid((len(self.names), 1, 1), (_GROUP, 1, 1))

    def group(self, block: Block) -> Iterator[Tree]:
        """Yield the trees of a group, in order.

        Raises
        ------
        VolumeError
            If a file cannot be read.
        """
        roi = block.write_roi
        for name in self.names[roi.start[0] : roi.stop[0]]:
            yield read_swc(Path(self.folder, name))


def find_traces(run: FinishedRun, asked: str | None) -> TraceFiles:
    """Find the traces of a run, and read them once.

    Parameters
    ----------
    run
        Run whose objects they are.
    asked
        Folder, or a single file; None for those in the output.

    Raises
    ------
    ConfigError, VolumeError
        If there are none, or the first of them are no SWC.
    LedgerError
        If those in the output are incomplete or stale.
    """
    if asked is None:
        fresh_part(run, _PART, blockseg_command("skeletonize", run.out))
    place = run.out / _FOLDER if asked is None else Path(asked).expanduser().absolute()
    if (place / _SWC).is_dir():
        place /= _SWC
    elif asked is None:
        message = (
            f"OUT {run.out} has no traces: no object was long enough; see the table in "
            f"{place}, and blockseg skeletonize --min-length"
        )
        raise ConfigError(message)
    try:
        files = swc_files([place])
        for path in files[:_LOOKED_AT]:
            read_swc(path)
    except VolumeError as error:
        message = f"--traces: {error}"
        raise ConfigError(message) from error
    return TraceFiles(
        str(files[0].parent), tuple(path.name for path in files), _digest(files)
    )


def _digest(files: tuple[Path, ...]) -> str:
    def of(path: Path) -> bytes:
        try:
            with opened(path, TABLE_BYTES) as file:
                return hashlib.file_digest(file, "sha256").digest()
        except OSError as error:
            message = f"--traces: {path} cannot be read: {error.strerror or error}"
            raise VolumeError(message) from error

    whole = hashlib.sha256()
    found = map_ahead(of, files, _READERS)
    for path, content in zip(files, found, strict=True):
        whole.update(path.name.encode() + b"\0" + content)
    return whole.hexdigest()

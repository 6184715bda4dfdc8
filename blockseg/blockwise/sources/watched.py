"""A source of a job, and what its files were when it was looked at last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from blockseg.io.source_files.files import SourceFiles
from blockseg.io.source_files.table import FileTable
from blockseg.runtime.events import Message

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from blockseg.blockwise.events import OnJobEvent
    from blockseg.blockwise.sources.inputs import Source
    from blockseg.core.specs import VolumeSpec
    from blockseg.io.source_files.fingerprint import Fingerprint

_MANY = 100_000  # files that take a second to look at
_AGAIN = 64  # files that are looked at again where all would take too long


@dataclass(frozen=True, slots=True)
class Watched:
    """One source, as it was when it was looked at last."""

    name: str
    """``source`` or ``mask``."""

    spec: VolumeSpec
    """Specification by which it is opened."""

    files: SourceFiles
    """Files, and what they hold."""

    fingerprint: Fingerprint
    """Its metadata, and a few of its files."""

    table: FileTable
    """Size and time of its files: of all, or of a few where there are too many."""

    @classmethod
    def of(cls, name: str, source: Source, on_event: OnJobEvent) -> Watched | None:
        """Look at a source; None for one without files."""
        files = SourceFiles.of(source.spec)
        if files is None:
            return None
        if files.expected >= _MANY:
            text = f"looking at size and time of all files of the {name}"
            on_event(Message(f"{text}, {files.expected:,} if none is missing"))
        table = files.look()
        if table is None:
            table = files.sampled(_lines(source.fingerprint))
            text = (
                f"looking at all files of the {name} takes too long: {len(table)} of "
                "them, always the same ones, tell whether it changes"
            )
            on_event(Message(text))
        return cls(name, source.spec, files, source.fingerprint, table)

    def again(self) -> FileTable:
        """Look a second time, at the same files."""
        if self.table.complete and (seen := self.files.look()) is not None:
            return seen
        step = max(1, len(self.table) // _AGAIN)
        return self.files.look_at(self.table.numbers[::step].tolist())

    def earlier(self, kept: bytes | None, was: Fingerprint) -> FileTable:
        """Return the state of the files in an earlier session."""
        if kept is None:  # a session of a version that looked at a few
            return self.files.sampled(_lines(was))
        return FileTable.from_bytes(kept)

    def listed(self, numbers: Sequence[int] | NDArray[np.int64]) -> str:
        """Return the number of these files, and the name of the first."""
        first = self.files.name(int(numbers[0]))
        return first if len(numbers) == 1 else f"{len(numbers)} files, such as {first}"


def look_at(sources: Mapping[str, Source], on_event: OnJobEvent) -> tuple[Watched, ...]:
    """Look at the files of a job's sources, given by name."""
    found = (Watched.of(name, source, on_event) for name, source in sources.items())
    return tuple(source for source in found if source is not None)


def _lines(found: Fingerprint) -> list[str]:
    lines = found.get("chunks", found.get("store"))
    return [str(line) for line in lines] if isinstance(lines, list) else []

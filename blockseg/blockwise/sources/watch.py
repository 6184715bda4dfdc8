"""Watch over a job's sources: what may change, and what follows where something did.

Between two sessions what failed may change, for so it is repaired; what finished blocks
have read may not. What changes while a session goes on makes the blocks that read it
pending again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from blockseg.core.blocks import BlockState
from blockseg.core.errors import LedgerError, VolumeError
from blockseg.io.source_files.fingerprint import differences, fingerprint
from blockseg.runtime.events import Message
from blockseg.runtime.ledger.ledger import STATE_CODES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from blockseg.blockwise.events import OnJobEvent
    from blockseg.blockwise.record.record import RunRecord
    from blockseg.blockwise.sources.block_reading import BlockReading
    from blockseg.blockwise.sources.watched import Watched
    from blockseg.io.source_files.table import FileTable
    from blockseg.runtime.ledger.ledger import Ledger

_REPLACED = "source_replaced"
_PUT_BACK = "put it back as it was, or start over with --overwrite"


@dataclass(frozen=True, slots=True)
class Watch:
    """The sources of a job while it is done."""

    sources: tuple[Watched, ...] = ()
    """As they are now; ``mask`` beside ``source``, if there is one."""

    reading: BlockReading | None = None
    """Reading of the main pass's blocks; there is one where there are sources."""

    phase: str = ""
    """Name of the main pass."""

    kept: bool = False
    """Whether the ledger knows all of this already."""

    replaced: tuple[int, ...] = ()
    """Files of the source that changed since the last session, and may have."""

    def resumed(
        self,
        ledger: Ledger,
        record: RunRecord,
        on_event: OnJobEvent,
        *,
        verify: bool,
    ) -> Watch:
        """Compare with what an earlier session knew, and allow what may have changed.

        Parameters
        ----------
        ledger
            Of the job.
        record
            Record of the job, as it began.
        on_event
            Told before what takes long.
        verify
            Whether to read blocks again where that alone can tell.

        Raises
        ------
        LedgerError
            If something changed that finished blocks have read.
        """
        kept = True
        replaced: list[int] = []
        sources = []
        for source in self.sources:
            content = ledger.source.files(source.name)
            was = source.earlier(content, record.request[source.name]["fingerprint"])
            changed = was.changed(source.table)
            kept = kept and content is not None and not len(changed)
            if len(changed):
                if source.name != "source":
                    _refuse(source, changed)
                self._allow(source, changed, ledger, on_event, verify=verify)
                replaced = changed.tolist()
            sources.append(replace(source, table=was.updated(source.table)))
        return replace(
            self, sources=tuple(sources), kept=kept, replaced=tuple(replaced)
        )

    def begin(self, ledger: Ledger, on_event: OnJobEvent) -> None:
        """Enter into the ledger how the sources are before the first block is read."""
        if self.kept:
            return
        for source in self.sources:
            changed = self.replaced if source.name == "source" else ()
            self._enter(source, source.table, ledger, changed)
            if changed:
                text = (
                    f"the source changed since the last start: {source.listed(changed)}; "
                    "no finished block has read other voxels there"
                )
                on_event(Message(text))

    def finish(self, ledger: Ledger, on_event: OnJobEvent) -> str:
        """Compare the sources with what they were at the beginning of the session.

        Blocks that read what has changed become pending.

        Returns
        -------
        What changed, in one line; empty if nothing did.
        """
        lines = []
        for source in self.sources:
            what = f"the {source.name} changed while the run went on"
            try:
                metadata = fingerprint(source.spec)
                now = source.again()
            except VolumeError as error:
                lines.append(f"{what}: {error}")
                continue
            lines += [
                f"{what}: {line}; {_PUT_BACK}"
                for line in differences(source.fingerprint, metadata, data=False)
            ]
            changed = source.table.changed(now)
            if not len(changed):
                continue
            if source.name != "source":
                lines.append(f"{what}: {source.listed(changed)}; {_PUT_BACK}")
                continue
            blocks = self._undo(source, now, changed, ledger, on_event)
            lines.append(
                f"{what}: {source.listed(changed)}; {_counted(blocks)} may have read "
                "what was there before and will be done again; run the same command "
                "when nothing writes to the source any more"
            )
        return "; ".join(lines)

    def _undo(
        self,
        source: Watched,
        now: FileTable,
        changed: NDArray[np.int64],
        ledger: Ledger,
        on_event: OnJobEvent,
    ) -> int:
        """Make blocks pending that read a file before it changed; return how many."""
        touched = self._touched(source, changed)
        blocks = touched[_done(ledger, self.phase, touched)].tolist()
        if source.files.single and blocks and self.reading is not None:
            blocks = self._changed(blocks, ledger, on_event)
        self._enter(source, source.table.updated(now), ledger, changed, blocks)
        return len(blocks)

    def _enter(
        self,
        source: Watched,
        table: FileTable,
        ledger: Ledger,
        changed: Sequence[int] | NDArray[np.int64],
        pending: Sequence[int] = (),
    ) -> None:
        """Take a source as it is now; blocks not done forget what they read of it."""
        unread: set[int] = set(pending)
        if len(changed):
            touched = self._touched(source, changed)
            unread |= set(touched[~_done(ledger, self.phase, touched)].tolist())
            ledger.put(_REPLACED, source.listed(changed))
        ledger.source.settle(
            source.name,
            table.to_bytes(),
            self.phase,
            unread=sorted(unread),
            pending=pending,
        )

    def _touched(
        self, source: Watched, changed: Sequence[int] | NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return the blocks, ascending, that read any of the files."""
        if self.reading is None:
            return np.empty(0, np.int64)
        boxes = (source.files.box(int(number)) for number in changed)
        return np.flatnonzero(self.reading.reach.any_of(boxes)).astype(np.int64)

    def _changed(
        self, blocks: Sequence[int], ledger: Ledger, on_event: OnJobEvent
    ) -> list[int]:
        """Return those finished blocks that would read something else now."""
        if self.reading is None:
            return []
        text = f"reading {_counted(len(blocks))} again, as files that hold their voxels"
        on_event(Message(f"{text} were replaced"))
        return self.reading.changed(blocks, ledger.source.reads(self.phase))

    def _allow(
        self,
        source: Watched,
        changed: NDArray[np.int64],
        ledger: Ledger,
        on_event: OnJobEvent,
        *,
        verify: bool,
    ) -> None:
        """Refuse files that finished blocks have read, but those that were damaged.

        Of a damaged file parts could be read: blocks that read some must find the same.
        """
        if self.reading is None:
            return
        reach, grid = self.reading.reach, self.reading.grid
        states = ledger.states(self.phase, len(grid)).reshape(grid.counts)
        done = states == STATE_CODES[BlockState.DONE]
        damaged = ledger.source.damaged()
        doubtful = np.zeros(grid.counts, bool)
        for number in changed.tolist():
            place = reach.touching(source.files.box(number))
            if not done[place].any():
                continue
            name = source.files.name(number)
            if not _is_one_of(str(source.files.file(number)), name, damaged):
                first = np.argwhere(done[place])[0] + [part.start for part in place]
                index = tuple(first.tolist())
                _refuse(source, changed, f"; block {index} has read {name}")
            doubtful[place] |= done[place]
        blocks = np.flatnonzero(doubtful).tolist()
        if not (blocks and verify):
            return
        if other := self._changed(blocks, ledger, on_event):
            index = grid.index_of(other[0])
            _refuse(source, changed, f"; block {index} would read other voxels now")


def replaced_before(ledger: Ledger) -> str:
    """Return which files of the source were replaced after the run began, if any."""
    return ledger.get(_REPLACED) or ""


def _done(ledger: Ledger, phase: str, blocks: NDArray[np.int64]) -> NDArray[np.bool_]:
    if not len(blocks):
        return np.zeros(0, bool)
    states = ledger.states(phase, int(blocks.max()) + 1)
    return np.asarray(states[blocks] == STATE_CODES[BlockState.DONE])


def _is_one_of(file: str, name: str, damaged: Sequence[str]) -> bool:
    # By its name inside the source too, for the source may have been moved.
    return any(one == file or one.endswith(f"/{name}") for one in damaged)


def _counted(blocks: int) -> str:
    return f"{blocks} finished block{'s' * (blocks != 1)}"


def _refuse(source: Watched, changed: NDArray[np.int64], why: str = "") -> None:
    message = (
        "OUT belongs to a run of other data: since then the "
        f"{source.name} changed: {source.listed(changed)}{why}; {_PUT_BACK}"
    )
    raise LedgerError(message)

"""Source of a run, read once more: whether blocks would read what they read then."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from blockseg.blockwise.record.settings import recorded_settings
from blockseg.blockwise.sources.recorded import recorded_inputs
from blockseg.checks.verification.findings import Finding, Kind
from blockseg.core.blocks import BlockState
from blockseg.core.errors import BlocksegError
from blockseg.core.text import counted
from blockseg.io.ahead import batches
from blockseg.runtime.events import Message
from blockseg.runtime.ledger.ledger import STATE_CODES
from blockseg.segmentation.run import prepare_inputs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blockseg.blockwise.events import OnJobEvent
    from blockseg.checks.jobs import StoredJob
    from blockseg.runtime.ledger.ledger import Ledger

_AT_ONCE = 64  # blocks
_SECONDS_BETWEEN = 15.0


def compare_source(
    job: StoredJob, ledger: Ledger, on_event: OnJobEvent, notes: list[str]
) -> Iterator[Finding]:
    """Yield the blocks of a run that would read something else now.

    Parameters
    ----------
    job, ledger
        The run.
    on_event
        Told from time to time how far it is.
    notes
        Takes what cannot be told.
    """
    record = job.record
    if record is None:
        return
    if record.phases[0].name != "segment":
        notes.append(f"--source compares what runs read, not {record.phases[0].name}")
        return
    try:
        inputs = recorded_inputs(job.paths, record, recorded_settings(record))
        main = prepare_inputs(inputs, foresee=True)[0].main
    except BlocksegError as error:
        yield Finding(Kind.SOURCE, str(error))
        return
    reading = main.task.reads()
    if reading is None:
        return
    sums = ledger.source.reads(main.name)
    done = ledger.states(main.name, len(main.grid)) == STATE_CODES[BlockState.DONE]
    blocks = [int(block) for block in done.nonzero()[0]]
    known = [block for block in blocks if block in sums]
    if len(known) < len(blocks):
        notes.append(
            "a blockseg that kept no checksums of what it read did "
            f"{counted(len(blocks) - len(known), 'block')}: --source cannot tell whether "
            "the source is the same there"
        )
    last, seen = time.monotonic(), 0
    for some in batches(known, _AT_ONCE):
        for block in reading.changed(some, sums):
            index = main.grid.index_of(block)
            what = f"block {index} would read other voxels of the source now"
            yield Finding(Kind.SOURCE, what, phase=main.name, block=block)
        seen += len(some)
        if time.monotonic() - last > _SECONDS_BETWEEN:
            last = time.monotonic()
            on_event(Message(f"read {seen} of {len(known)} blocks of the source"))

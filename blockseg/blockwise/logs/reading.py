"""Logs of an output, read together in the order in which things happened."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from blockseg.blockwise.logs.session import LOGS
from blockseg.blockwise.record.record import FOLDER
from blockseg.blockwise.store_state import paths_of
from blockseg.core.errors import VolumeError
from blockseg.core.geometry import Zyx, to_zyx
from blockseg.core.untrusted.files import LOG_BYTES, text_of
from blockseg.core.untrusted.json_text import MALFORMED, parse_json
from blockseg.runtime.logs.lines import ENDING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_TROUBLE = frozenset({"raised", "failed", "retried", "lost", "unopened"})
_OF_EVERY_BLOCK = frozenset({"begun", "processed", "done"})


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a log."""

    time: float
    """Seconds since the epoch."""

    event: str
    """Event, in one word."""

    part: str
    """Name of the derived job; empty for the run itself."""

    session: int
    """Number of the start, 1 the first."""

    worker: str
    """Name of the worker; empty where none is meant."""

    block: Zyx | None
    """Position of the block in the grid of its pass; None where none is meant."""

    values: dict[str, Any] = field(default_factory=dict)
    """All else that the line tells."""

    def to_plain(self) -> dict[str, Any]:
        """Return it as JSON values."""
        told = {"time": self.time, "event": self.event, "session": self.session}
        about = {"part": self.part, "worker": self.worker, "block": self.block}
        return {**told, **{k: v for k, v in about.items() if v}, **self.values}


def read_logs(
    out: str,
    block: Zyx | None = None,
    worker: str | None = None,
    *,
    failed: bool = False,
) -> Iterator[LogLine]:
    """Yield what the logs of an output tell, by time.

    Parameters
    ----------
    out
        Output of a run.
    block
        Position (z, y, x) in the grid: what happened to this block, in every pass that
        has one there.
    worker
        Part of the name of a worker: all that it did.
    failed
        What went wrong, and nothing else.

    Yields
    ------
    LogLine
        Without ``block``, ``worker`` or ``failed`` all but what happens to every block.

    Raises
    ------
    VolumeError
        If there is no such output, or it has no logs.
    """
    paths = paths_of(out)
    root = paths.folder
    if not root.is_dir():
        message = f"{paths.out} is no output of blockseg: it has no folder {FOLDER}"
        raise VolumeError(message)
    folders = [root / LOGS, *sorted(root.glob(f"*/{LOGS}"))]
    files = [path for folder in folders for path in sorted(folder.glob(f"*{ENDING}"))]
    if not files:
        message = (
            f"{paths.out} has no logs: it was made by a blockseg that kept none, or they "
            "could not be written"
        )
        raise VolumeError(message)
    read = (_lines(path, root) for path in files)
    for line in heapq.merge(*read, key=lambda line: line.time):
        if block is not None and line.block != block:
            continue
        if worker is not None and worker not in line.worker:
            continue
        if failed and line.event not in _TROUBLE:
            continue
        of_all = block is None and worker is None and line.event in _OF_EVERY_BLOCK
        if not of_all:
            yield line


def _lines(path: Path, root: Path) -> Iterator[LogLine]:
    """Yield the lines of one file; one that a kill or a full disk cut short is left out."""
    parts = path.relative_to(root).parts
    part = parts[0] if len(parts) > 2 else ""
    with text_of(path, LOG_BYTES, errors="replace") as file:
        for text in file:
            try:
                yield _line(parse_json(text), part)
            except MALFORMED:
                continue


def _line(told: dict[str, Any], part: str) -> LogLine:
    block = told.pop("block", None)
    return LogLine(
        time=float(told.pop("time")),
        event=str(told.pop("event")),
        part=part,
        session=int(told.pop("session", 0)),
        worker=str(told.pop("worker", "")),
        block=None if block is None else to_zyx(int(n) for n in block),
        values=told,
    )

"""Workers of a start, as far as the ends of its logs tell."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from blockseg.blockwise.logs.session import DRIVER, LOGS
from blockseg.core.untrusted.files import LOG_BYTES, opened
from blockseg.core.untrusted.json_text import MALFORMED, parse_json
from blockseg.runtime.logs.lines import ENDING
from blockseg.runtime.logs.worker import session_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_TAIL_BYTES = 2**14
_DRIVER_TAIL_BYTES = 2**16
_MOST_READ = 64
_ENDED = frozenset({"processed", "raised"})


@dataclass(frozen=True, slots=True)
class WorkerNow:
    """A worker at work."""

    name: str
    """Its name."""

    blocks: tuple[str, ...]
    """Pass and place of the blocks that it has begun."""


def workers_now(folder: Path, session: int) -> tuple[int, tuple[WorkerNow, ...]]:
    """Return the number of workers of a start, and those that are at a block.

    Only the ends of the logs are read, and at most those of the 64 workers that wrote
    last: a look costs the same at any time of a run.

    Parameters
    ----------
    folder
        Folder of the job, in which its logs are.
    session
        Number of the start, 1 the first.
    """
    logs = folder / LOGS
    driver = logs / session_file(session, DRIVER)
    count, lost = 0, set()
    for line in _tail(driver, _DRIVER_TAIL_BYTES):
        if line["event"] in ("started", "workers"):
            count = told if isinstance(told := line.get("workers"), int) else count
        elif line["event"] == "lost":
            lost.add(line.get("worker"))
    begun: dict[tuple[str, ...], tuple[float, str]] = {}
    logged = _latest(logs, session, driver)
    for path in logged:
        for at, (when, name) in _open_blocks(path).items():
            if name not in lost and when > begun.get(at, (0.0, ""))[0]:
                begun[at] = when, name
    at_work: dict[str, list[str]] = {}
    for at, (_, name) in begun.items():
        at_work.setdefault(name, []).append(" ".join(at))
    found = tuple(WorkerNow(name, tuple(at_work[name])) for name in sorted(at_work))
    return max(count or len(logged), len(found)), found  # a run without a cluster has 0


def _latest(logs: Path, session: int, driver: Path) -> list[Path]:
    changed: list[tuple[float, Path]] = []
    for path in logs.glob(session_file(session, "*")):
        if path != driver and not path.name.endswith(f".old{ENDING}"):
            with suppress(OSError):
                changed.append((path.stat().st_mtime, path))
    return [path for _, path in sorted(changed, reverse=True)[:_MOST_READ]]


def _open_blocks(path: Path) -> dict[tuple[str, ...], tuple[float, str]]:
    """Return the blocks that a worker began and did not end: since when, and its name."""
    begun: dict[tuple[str, ...], tuple[float, str]] = {}
    for line in _tail(path, _TAIL_BYTES):
        if not isinstance(line.get("block"), list):
            continue
        at = str(line.get("phase", "")), ",".join(map(str, line["block"]))
        if line["event"] == "begun":
            begun[at] = line["time"], str(line.get("worker", ""))
        elif line["event"] in _ENDED:
            begun.pop(at, None)
    return begun


def _tail(path: Path, most: int) -> Iterator[dict[str, Any]]:
    """Yield the last whole lines of a log; nothing of one that cannot be read."""
    try:
        with opened(path, LOG_BYTES) as file:
            start = max(0, file.seek(0, os.SEEK_END) - most)
            file.seek(start)
            lines = file.read(most).split(b"\n")
    except OSError:
        return
    for text in lines[1:] if start else lines:
        try:
            line = parse_json(text.decode())
            known = isinstance(line["event"], str) and line["time"] >= 0
        except MALFORMED:  # the last one, which is being written
            continue
        if known:
            yield line
